"""How far the robot can move forward by a laser scan or a depth image; the guard of that."""

from __future__ import annotations

from dataclasses import dataclass
import math

from janusvln_ros.motion.geometry import Pose
from janusvln_ros.motion.safety.guard import Driven, Stop, Verdict
from janusvln_ros.motion.types import Result
from janusvln_ros.parameters import parameter
import numpy as np


@dataclass(frozen=True)
class SensorParameters:
    """Which sensors there are, where they sit, and what the robot sweeps."""

    obstacle_sensor: str = parameter(
        'scan',
        'Where obstacles are looked for, with stop_distance above 0: topic scan (LaserScan), depth'
        ' (Image, 16UC1 or 32FC1), or both.',
        choices=('scan', 'depth', 'both'),
    )
    scan_x: float = parameter(0.0, 'Laser in base_link, forward.', unit='m', low=-2.0, high=2.0)
    scan_y: float = parameter(
        0.0, 'Laser in base_link, to the left.', unit='m', low=-2.0, high=2.0
    )
    scan_yaw: float = parameter(
        0.0, 'Laser in base_link, to the left.', unit='rad', low=-math.pi, high=math.pi
    )
    depth_x: float = parameter(
        0.0, 'Depth camera in base_link, forward.', unit='m', low=-2.0, high=2.0
    )
    depth_y: float = parameter(
        0.0, 'Depth camera in base_link, to the left.', unit='m', low=-2.0, high=2.0
    )
    depth_z: float = parameter(0.4, 'Depth camera above the floor.', unit='m', low=0.0, high=3.0)
    depth_yaw: float = parameter(
        0.0, 'Depth camera in base_link, to the left.', unit='rad', low=-math.pi, high=math.pi
    )
    depth_pitch: float = parameter(
        0.0, 'Depth camera; positive looks down.', unit='rad', low=-1.5, high=1.5
    )
    depth_hfov: float = parameter(
        1.38, 'Horizontal field of view of the depth camera.', unit='rad', low=0.1, high=2.8
    )
    robot_front: float = parameter(
        0.2, 'How far the robot reaches ahead of base_link.', unit='m', low=0.0, high=2.0
    )
    robot_half_width: float = parameter(
        0.22, 'Half the width that must be free to drive.', unit='m', low=0.01, high=2.0
    )
    floor_height: float = parameter(
        0.05, 'Depth: lower things are driven over.', unit='m', low=0.0, high=0.5
    )
    robot_height: float = parameter(
        1.5, 'Depth: higher things are driven under.', unit='m', low=0.1, high=3.0
    )

    @property
    def sensors(self) -> tuple[str, ...]:
        """Return the sensors that are listened to."""
        both = self.obstacle_sensor == 'both'
        return ('scan', 'depth') if both else (self.obstacle_sensor,)

    @property
    def footprint(self) -> Footprint:
        """Return what the robot sweeps."""
        return Footprint(
            self.robot_front, self.robot_half_width, self.floor_height, self.robot_height
        )

    @property
    def scan_mount(self) -> Mount:
        """Return where the laser sits."""
        return Mount(self.scan_x, self.scan_y, yaw=self.scan_yaw)

    @property
    def depth_mount(self) -> Mount:
        """Return where the depth camera sits."""
        return Mount(self.depth_x, self.depth_y, self.depth_z, self.depth_yaw, self.depth_pitch)


@dataclass(frozen=True)
class ObstacleParameters:
    """When an obstacle, or a sensor that is silent, stops the robot."""

    stop_distance: float = parameter(
        0.0,
        'An obstacle nearer than this before the robot blocks forward motion; 0: obstacles are'
        ' not looked for.',
        unit='m',
        low=0.0,
        high=5.0,
    )
    obstacle_timeout: float = parameter(
        0.5,
        'Silence of the obstacle sensor that stops forward motion.',
        unit='s',
        low=0.05,
        high=5.0,
    )


class Obstacles:
    """Knows how far each sensor said that the way was clear, and from where."""

    def __init__(
        self, parameters: ObstacleParameters, sensors: tuple[str, ...], driven: Driven
    ) -> None:
        self.parameters = parameters
        self._sensors, self._driven = sensors, driven
        self._clear: dict[str, tuple[float, float, Pose]] = {}  # when, metres free, from where

    def on_clear_distance(self, sensor: str, distance: float, now: float) -> None:
        """Take how far (m) a sensor says the robot can move before it touches anything."""
        if not math.isnan(distance):
            self._clear[sensor] = (now, distance, self._driven.pose or Pose())

    def room(self, now: float) -> float:
        """Return how far (m) the robot may still move forward."""
        if self.parameters.stop_distance <= 0.0:
            return math.inf
        pose = self._driven.predicted(now)
        free = (distance - pose.seen_from(seen)[0] for _, distance, seen in self._clear.values())
        return min(free, default=math.inf) - self.parameters.stop_distance

    def verdict(self, now: float) -> Verdict | None:
        """Halt a motion forward when the way is not known or not clear."""
        if self.parameters.stop_distance <= 0.0 or not self._driven.drives_forward(now):
            return None
        silent = [sensor for sensor in self._sensors if self._is_silent(sensor, now)]
        if silent:
            message = f'{" and ".join(silent)} silent: the way ahead is not known'
            return Verdict(Stop.HALT, Result.INPUT_LOST, message)
        if self.room(now) <= 0.0:
            message = f'an obstacle ahead is nearer than {self.parameters.stop_distance:.2f} m'
            return Verdict(Stop.HALT, Result.BLOCKED, message)
        return None

    def forget(self) -> None:
        """Drop what the sensors have said."""
        self._clear.clear()

    def _is_silent(self, sensor: str, now: float) -> bool:
        if sensor not in self._clear:
            return True
        return now - self._clear[sensor][0] > self.parameters.obstacle_timeout


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
