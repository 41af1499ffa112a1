"""Depth, its camera and points as the fields of ROS messages, whatever makes these."""

from __future__ import annotations

from typing import Any

import numpy as np

POINT_FIELDS = (('x', 0), ('y', 4), ('z', 8), ('rgb', 12))  # names and offsets, all FLOAT32
_POINT = np.dtype([('x', '<f4'), ('y', '<f4'), ('z', '<f4'), ('rgb', '<u4')])


def image_fields(values: np.ndarray) -> dict[str, Any]:
    """Give those of an Image of float32 (H, W), except for the header."""
    height, width = values.shape
    return {
        'height': height,
        'width': width,
        'encoding': '32FC1',
        'is_bigendian': 0,
        'step': 4 * width,
        'data': np.ascontiguousarray(values, '<f4').tobytes(),
    }


def camera_fields(
    width: int, height: int, fx: float, fy: float, cx: float, cy: float
) -> dict[str, Any]:
    """
    Give those of a CameraInfo, except for the header, binning and region of interest.

    The numbers are those of a camera without distortion, in pixels.
    """
    return {
        'height': height,
        'width': width,
        'distortion_model': 'plumb_bob',
        'd': np.zeros(5),
        'k': np.array([fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]),
        'r': np.eye(3).ravel(),
        'p': np.array([fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]),
    }


def cloud_fields(points: np.ndarray, rgb: np.ndarray) -> dict[str, Any]:
    """
    Give those of an organised PointCloud2, except for header and fields, which are POINT_FIELDS.

    points: (H, W, 3) m, NaN where not known; rgb: uint8 (H, W, 3).
    """
    height, width = points.shape[:2]
    cloud = np.empty((height, width), _POINT)
    cloud['x'], cloud['y'], cloud['z'] = np.moveaxis(points, -1, 0)
    red, green, blue = np.moveaxis(rgb.astype(np.uint32), -1, 0)
    cloud['rgb'] = red << 16 | green << 8 | blue  # as PCL has it: the bits of a float
    return {
        'height': height,
        'width': width,
        'is_bigendian': False,
        'point_step': _POINT.itemsize,
        'row_step': _POINT.itemsize * width,
        'data': cloud.tobytes(),
        'is_dense': False,
    }
