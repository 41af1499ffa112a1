"""How far the robot can move forward: from a laser scan or a depth image."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np


@dataclass(frozen=True)
class Footprint:
    """What the robot sweeps when it drives forward (m), about the origin of base_link."""

    front: float  # how far it reaches ahead
    half_width: float
    low: float = 0.05  # lower things are driven over, as is the floor
    high: float = 1.5  # higher things are driven under


@dataclass(frozen=True)
class Mount:
    """Where a sensor sits in base_link: m, and rad (pitch positive: it looks down)."""

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0


def scan_clearance(
    ranges: np.ndarray,
    angle_min: float,
    angle_increment: float,
    range_min: float,
    range_max: float,
    mount: Mount,
    footprint: Footprint,
) -> float:
    """
    Return the free way (m) ahead by a planar scan; infinite when nothing is in it.

    ranges: (N,) m; beams that are NaN, infinite or out of the sensor's range see nothing
    (REP-117). Raises ValueError when all beams are NaN: such a sensor is blind.
    """
    ranges = np.asarray(ranges, dtype=np.float64)
    if ranges.size == 0 or np.isnan(ranges).all():
        raise ValueError('no beam of the scan has a value')
    with np.errstate(invalid='ignore'):
        seen = np.isfinite(ranges) & (ranges >= range_min) & (ranges <= range_max)
    angles = mount.yaw + angle_min + angle_increment * np.flatnonzero(seen)
    return _clearance(
        mount.x + ranges[seen] * np.cos(angles), mount.y + ranges[seen] * np.sin(angles), footprint
    )


def depth_clearance(depth: np.ndarray, hfov: float, mount: Mount, footprint: Footprint) -> float:
    """
    Return the free way (m) ahead by a depth image; infinite when nothing is in it.

    depth: (H, W) m along the optical axis; pixels that are not finite or not above 0 see
    nothing. hfov: rad, of a camera with square pixels and a centred axis. Raises ValueError
    when no pixel sees anything: such a sensor is blind.
    """
    height, width = depth.shape
    stride = max(1, width // 160)  # a chair leg at 1 m is wider than that
    depth = np.asarray(depth[::stride, ::stride], dtype=np.float64)
    with np.errstate(invalid='ignore'):
        seen = np.isfinite(depth) & (depth > 0.0)
    if not seen.any():
        raise ValueError('no pixel of the depth image has a value')
    rows, columns = np.nonzero(seen)
    z = depth[seen]
    focal = width / 2.0 / math.tan(hfov / 2.0)
    right = (columns * stride + (stride - width) / 2.0) / focal * z
    down = (rows * stride + (stride - height) / 2.0) / focal * z
    forward = z * math.cos(mount.pitch) - down * math.sin(mount.pitch)
    up = mount.z - z * math.sin(mount.pitch) - down * math.cos(mount.pitch)
    solid = (up > footprint.low) & (up < footprint.high)
    forward, left = forward[solid], -right[solid]
    cosine, sine = math.cos(mount.yaw), math.sin(mount.yaw)
    return _clearance(
        mount.x + cosine * forward - sine * left,
        mount.y + sine * forward + cosine * left,
        footprint,
    )


def _clearance(x: np.ndarray, y: np.ndarray, footprint: Footprint) -> float:
    """
    Return how far the nearest point before the robot is from its front.

    What lies in the rear half of the way to its front is the robot itself: posts, a tower.
    """
    ahead = x[(np.abs(y) <= footprint.half_width) & (x > footprint.front / 2.0)]
    return float(ahead.min()) - footprint.front if ahead.size else math.inf
