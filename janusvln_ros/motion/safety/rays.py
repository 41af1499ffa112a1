"""What a sensor has looked at, ray by ray: scans, depth images and clouds of points alike."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # z ahead, x right
_SLACK = 2.0  # increments that angle_max may be off: drivers count beams or gaps
_MOST_TURNS = 1.1  # that a scan may span
_COLUMNS = 160  # of a depth image that are looked at: a chair leg at 1 m is wider
_MOST_POINTS = 50000  # of a cloud that are looked at
_NO_DEPTH = 65.5  # m: 16 bits are full, which some cameras mean by "nothing"


@dataclass(frozen=True, eq=False)
class Mount:
    """Where a sensor sits: base_link_point = rotation @ point + position; z from the floor."""

    position: np.ndarray  # (3,) m
    rotation: np.ndarray  # (3, 3)

    @classmethod
    def of(
        cls,
        x: float = 0.0,
        y: float = 0.0,
        z: float = 0.0,
        roll: float = 0.0,
        pitch: float = 0.0,
        yaw: float = 0.0,
    ) -> Mount:
        """Make one of m and rad, turned about fixed axes as in URDF: positive pitch looks down."""
        (cr, cp, cy), (sr, sp, sy) = (
            (function(roll), function(pitch), function(yaw)) for function in (math.cos, math.sin)
        )
        rotation = [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
        return cls(np.array([x, y, z]), np.array(rotation))

    @classmethod
    def of_transform(
        cls, translation: tuple[float, float, float], quaternion: tuple[float, float, float, float]
    ) -> Mount:
        """Make one of a transform: m, and (x, y, z, w); ValueError for one that is none."""
        x, y, z, w = quaternion
        norm = math.sqrt(x * x + y * y + z * z + w * w)
        if not 0.7 < norm < 1.4 or not all(map(math.isfinite, translation)):
            raise ValueError(f'the transform {translation}, {quaternion} is none')
        x, y, z, w = x / norm, y / norm, z / norm, w / norm
        rotation = [
            [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)],
            [2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)],
            [2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)],
        ]
        return cls(np.array(translation), np.array(rotation))

    @property
    def optical(self) -> Mount:
        """Return that of the optical frame (z ahead, x right, y down) of a camera that sits so."""
        return Mount(self.position, self.rotation @ _OPTICAL)


@dataclass(frozen=True, eq=False)
class Rays:
    """
    Rays in base_link, from the floor up.

    origin: (3,) m. directions: (N, 3), of any length. ranges: (N,) in lengths of its direction;
    infinite: nothing within reach; -infinite: something nearer than `nearest`, which may be
    infinite; NaN: unknown.
    """

    origin: np.ndarray
    directions: np.ndarray
    ranges: np.ndarray
    reach: float = math.inf
    nearest: float = 0.0


@dataclass(frozen=True)
class Lens:
    """A camera without distortion: pixels."""

    focal_x: float
    focal_y: float
    centre_x: float
    centre_y: float

    @classmethod
    def of_view(cls, hfov: float, width: int, height: int) -> Lens:
        """Make one of a horizontal field of view (rad), with square pixels and centred axis."""
        focal = width / 2.0 / math.tan(hfov / 2.0)
        return cls(focal, focal, width / 2.0, height / 2.0)


def scan_rays(
    ranges: np.ndarray,
    angle_min: float,
    angle_max: float,
    angle_increment: float,
    range_min: float,
    range_max: float,
    mount: Mount,
) -> Rays:
    """
    Return the rays of a planar scan; ranges: (N,) m, angles in rad.

    By REP 117 NaN is no measurement, +Inf nothing within range_max, -Inf too near. So is no
    measurement what is 0, negative, or beyond range_max. ValueError when the numbers contradict.
    """
    ranges = np.asarray(ranges, dtype=np.float64)
    span = abs(angle_increment) * max(0, ranges.size - 1)
    if not ranges.size:
        raise ValueError('there are no beams in it')
    if not math.isfinite(angle_min) or not math.isfinite(angle_increment):
        raise ValueError(f'angle_min {angle_min:g}, angle_increment {angle_increment:g}')
    last = angle_min + angle_increment * (ranges.size - 1)
    if ranges.size > 1 and (
        angle_increment == 0.0
        or not abs(angle_max - last) <= _SLACK * abs(angle_increment) + 1e-3
        or span > _MOST_TURNS * math.tau
    ):
        raise ValueError(
            f'{ranges.size} beams from {angle_min:.3f} by {angle_increment:.5f} rad do not end at'
            f' angle_max {angle_max:.3f}'
        )
    if not 0.0 <= range_min < range_max:
        raise ValueError(f'range_min {range_min:g} m is not below range_max {range_max:g} m')
    with np.errstate(invalid='ignore'):
        nothing = np.isfinite(ranges) & ((ranges <= 0.0) | (ranges > range_max))
    angles = angle_min + angle_increment * np.arange(ranges.size)
    flat = np.stack([np.cos(angles), np.sin(angles), np.zeros_like(angles)], axis=1)
    return Rays(
        mount.position,
        flat @ mount.rotation.T,
        np.where(nothing, math.nan, ranges),
        range_max,
        range_min,
    )


def depth_rays(depth: np.ndarray, lens: Lens, mount: Mount) -> Rays:
    """
    Return the rays of a depth image.

    depth: (H, W) m along the optical axis; by REP 117 and 118 infinite is far, -infinite too near,
    and NaN or 0 no measurement. mount: of the optical frame. How near is too near is unknown.
    """
    height, width = depth.shape
    stride = max(1, width // _COLUMNS)
    depth = np.asarray(depth[::stride, ::stride], dtype=np.float64)
    rows, columns = np.mgrid[0:height:stride, 0:width:stride] + 0.5
    across = (columns - lens.centre_x) / lens.focal_x
    down = (rows - lens.centre_y) / lens.focal_y
    directions = np.stack([across, down, np.ones_like(down)], axis=-1).reshape(-1, 3)
    ranges = depth.ravel()
    with np.errstate(invalid='ignore'):
        nothing = np.isfinite(ranges) & ((ranges <= 0.0) | (ranges > _NO_DEPTH))
    ranges = np.where(nothing, math.nan, ranges)
    return Rays(mount.position, directions @ mount.rotation.T, ranges, nearest=math.inf)


def cloud_rays(points: np.ndarray, mount: Mount) -> Rays:
    """
    Return the rays to the points of a cloud, (N, 3) m in the sensor's frame.

    Points that are not finite, or all zero, are none.
    """
    points = points[:: 1 + len(points) // _MOST_POINTS]
    points = np.asarray(points[np.isfinite(points).all(axis=1)], dtype=np.float64)
    points = points[(points != 0.0).any(axis=1)]
    return Rays(mount.position, points @ mount.rotation.T, np.ones(len(points)))
