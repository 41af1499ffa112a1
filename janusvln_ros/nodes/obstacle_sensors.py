"""Scans, depth images and clouds of points as the messages that they are, to rays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
import math

from janusvln_ros.motion.safety.rays import cloud_rays, depth_rays, Lens, Mount, Rays, scan_rays
from janusvln_ros.motion.safety.sensors import SensorParameters
from janusvln_ros.nodes.common.conversions import seconds
from janusvln_ros.nodes.common.qos import SENSOR
from janusvln_ros.nodes.mounts import Mounts
import numpy as np
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, LaserScan, PointCloud2, PointField

_DEPTH = {'16UC1': ('u2', 0.001), 'mono16': ('u2', 0.001), '32FC1': ('f4', 1.0)}
_NUMBERS = {PointField.FLOAT32: 'f4', PointField.FLOAT64: 'f8'}

# Name, frame, stamp (s), and what makes the rays; returns what is wrong with the message, or ''.
Report = Callable[[str, str, float, Callable[[], Rays]], str]


class ObstacleSensors:
    """
    Subscribes to the sensors that obstacle_sensor names, and reports what comes.

    wanted: whether anybody wants to know; where not, messages are not looked at.
    """

    def __init__(
        self,
        node: Node,
        parameters: SensorParameters,
        mounts: Mounts,
        wanted: Callable[[], bool],
        report: Report,
    ) -> None:
        self._node, self._parameters, self._mounts = node, parameters, mounts
        self._wanted, self._report = wanted, report
        self._info: CameraInfo | None = None
        kinds = {'scan': LaserScan, 'scan2': LaserScan, 'depth': Image, 'points': PointCloud2}
        read = {LaserScan: self._scan, Image: self._depth, PointCloud2: self._points}
        for name in parameters.sensors:
            kind = kinds[name]
            callback = partial(self._on_message, name, read[kind])
            node.create_subscription(kind, name, callback, SENSOR)
        if 'depth' in parameters.sensors:
            node.create_subscription(
                CameraInfo, 'depth_camera_info', self._on_info, qos_profile_sensor_data
            )

    def _on_info(self, info: CameraInfo) -> None:
        self._info = info

    def _on_message(
        self,
        name: str,
        read: Callable[[LaserScan | Image | PointCloud2, Mount], Rays],
        message: LaserScan | Image | PointCloud2,
    ) -> None:
        if not self._wanted():
            return
        header = message.header

        def rays() -> Rays:
            return read(message, self._mounts.of(name, header.frame_id))

        problem = self._report(name, header.frame_id, seconds(header.stamp), rays)
        if problem:
            self._node.get_logger().warning(f'{name}: {problem}', throttle_duration_sec=5.0)

    def _scan(self, scan: LaserScan, mount: Mount) -> Rays:
        return scan_rays(
            np.asarray(scan.ranges),
            scan.angle_min,
            scan.angle_max,
            scan.angle_increment,
            scan.range_min,
            scan.range_max,
            mount,
        )

    def _depth(self, image: Image, mount: Mount) -> Rays:
        depth = depth_metres(image)
        return depth_rays(depth, self._lens(*depth.shape), mount)

    def _points(self, cloud: PointCloud2, mount: Mount) -> Rays:
        return cloud_rays(cloud_points(cloud), mount)

    def _lens(self, height: int, width: int) -> Lens:
        """Return the depth camera's; ValueError when camera_info does not fit or has to come."""
        info, hfov = self._info, self._parameters.depth_hfov
        if info is None:
            if not hfov:
                raise ValueError('nothing has come on depth_camera_info: set it, or depth_hfov')
            return Lens.of_view(hfov, width, height)
        return lens_of(info, height, width)


def lens_of(info: CameraInfo, height: int, width: int) -> Lens:
    """Return the lens of images of a size; ValueError when their camera_info does not fit."""
    lens = Lens(info.k[0], info.k[4], info.k[2], info.k[5])
    if (info.width, info.height) != (width, height):
        raise ValueError(
            f'its camera_info is for {info.width} x {info.height} pixels, not for'
            f' {width} x {height}'
        )
    if not (min(lens.focal_x, lens.focal_y) > 0.0 and all(map(math.isfinite, info.k))):
        raise ValueError('its camera_info has no focal length: is the camera calibrated?')
    return lens


def depth_metres(image: Image) -> np.ndarray:
    """Return (H, W) float m of a depth image (REP-118); ValueError for one that is none."""
    if image.encoding not in _DEPTH:
        raise ValueError(f'encoding "{image.encoding[:20]}" is not one of {", ".join(_DEPTH)}')
    code, scale = _DEPTH[image.encoding]
    kind = np.dtype(('>' if image.is_bigendian else '<') + code)
    if (
        image.step < image.width * kind.itemsize
        or not image.width
        or not image.height
        or len(image.data) < image.step * image.height
    ):
        raise ValueError(
            f'{len(image.data)} bytes do not hold {image.height} rows of'
            f' {image.step} bytes for {image.width} pixels'
        )
    rows = np.frombuffer(image.data, np.uint8)[: image.step * image.height]
    rows = rows.reshape(image.height, image.step)[:, : image.width * kind.itemsize]
    return np.ascontiguousarray(rows).view(kind) * scale


def cloud_points(cloud: PointCloud2) -> np.ndarray:
    """Return (N, 3) float m of a cloud; ValueError when its layout contradicts itself."""
    offsets, formats = [], []
    for axis in 'xyz':
        fields = [field for field in cloud.fields if field.name == axis]
        if len(fields) != 1 or fields[0].datatype not in _NUMBERS or fields[0].count > 1:
            raise ValueError(f'it has no one field {axis} of FLOAT32 or FLOAT64')
        formats.append(('>' if cloud.is_bigendian else '<') + _NUMBERS[fields[0].datatype])
        offsets.append(fields[0].offset)
    ends = [offset + np.dtype(kind).itemsize for offset, kind in zip(offsets, formats)]
    if (
        max(ends) > cloud.point_step
        or cloud.row_step < cloud.width * cloud.point_step
        or len(cloud.data) < cloud.row_step * cloud.height
    ):
        raise ValueError(
            f'{len(cloud.data)} bytes do not hold {cloud.height} rows of {cloud.row_step} bytes'
            f' for {cloud.width} points of {cloud.point_step} bytes'
        )
    if not cloud.width or not cloud.height:
        raise ValueError('there are no points in it')
    layout = {
        'names': [*'xyz'],
        'formats': formats,
        'offsets': offsets,
        'itemsize': cloud.point_step,
    }
    points = np.ndarray(
        (cloud.height, cloud.width),
        np.dtype(layout),  # type: ignore[call-overload]  # its hint knows no such dictionary
        cloud.data,
        strides=(cloud.row_step, cloud.point_step),
    ).ravel()
    return np.stack([points[axis].astype(np.float64) for axis in 'xyz'], axis=1)
