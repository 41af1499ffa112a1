"""Which obstacle sensors there are, and where they sit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
import math
from typing import Any

from janusvln_ros.motion.safety.footprint import BodyParameters
from janusvln_ros.motion.safety.rays import Mount
from janusvln_ros.parameters import group, parameter

SENSORS = ('scan', 'scan2', 'depth', 'points')  # names of their topics


class Use(Enum):
    """What a guess of the way does to the robot."""

    NONE = 'none'
    SLOW = 'slow'
    STOP = 'stop'


def _place(default: float, description: str) -> Any:
    return parameter(default, description, unit='m', low=-3.0, high=3.0)


def _angle(description: str) -> Any:
    return parameter(0.0, description, unit='rad', low=-math.tau, high=math.tau)


@dataclass(frozen=True)
class MountParameters:
    """Mounts of the sensors, for where tf does not tell them."""

    scan_x: float = _place(0.0, 'Laser in base_link, forward.')
    scan_y: float = _place(0.0, 'Laser in base_link, to the left.')
    scan_z: float = _place(0.2, 'Laser above the floor.')
    scan_roll: float = _angle('Laser; 3.1416: it hangs upside down.')
    scan_pitch: float = _angle('Laser; positive looks down.')
    scan_yaw: float = _angle('Laser in base_link, to the left.')
    scan2_x: float = _place(0.0, 'Second laser in base_link, forward.')
    scan2_y: float = _place(0.0, 'Second laser in base_link, to the left.')
    scan2_z: float = _place(0.2, 'Second laser above the floor.')
    scan2_roll: float = _angle('Second laser; 3.1416: it hangs upside down.')
    scan2_pitch: float = _angle('Second laser; positive looks down.')
    scan2_yaw: float = _angle('Second laser in base_link, to the left.')
    depth_x: float = _place(0.0, 'Depth camera in base_link, forward.')
    depth_y: float = _place(0.0, 'Depth camera in base_link, to the left.')
    depth_z: float = _place(0.4, 'Depth camera above the floor.')
    depth_roll: float = _angle('Depth camera; 3.1416: it hangs upside down.')
    depth_pitch: float = _angle('Depth camera; positive looks down.')
    depth_yaw: float = _angle('Depth camera in base_link, to the left.')
    points_x: float = _place(0.0, 'Frame of the points in base_link, forward.')
    points_y: float = _place(0.0, 'Frame of the points in base_link, to the left.')
    points_z: float = _place(0.4, 'Frame of the points above the floor.')
    points_roll: float = _angle('Frame of the points; 3.1416: it is upside down.')
    points_pitch: float = _angle('Frame of the points; positive looks down.')
    points_yaw: float = _angle('Frame of the points in base_link, to the left.')
    camera_x: float = _place(0.0, 'Camera of guessed_depth in base_link, forward.')
    camera_y: float = _place(0.0, 'Camera of guessed_depth in base_link, to the left.')
    camera_z: float = _place(1.25, 'Camera of guessed_depth above the floor.')
    camera_roll: float = _angle('Camera of guessed_depth; 3.1416: it hangs upside down.')
    camera_pitch: float = _angle('Camera of guessed_depth; positive looks down.')
    camera_yaw: float = _angle('Camera of guessed_depth in base_link, to the left.')

    def of(self, sensor: str) -> Mount:
        """Return where a sensor sits; a camera's is that of its body, x ahead."""
        axes = ('x', 'y', 'z', 'roll', 'pitch', 'yaw')
        return Mount.of(**{axis: getattr(self, f'{sensor}_{axis}') for axis in axes})


@dataclass(frozen=True)
class SensorParameters:
    """Which sensors there are, and the robot that they look for; ValueError for an unknown one."""

    obstacle_sensor: str = parameter(
        'scan',
        'Where obstacles are looked for, with stop_distance above 0: topics, parted by commas, of'
        ' scan and scan2 (LaserScan), depth (Image, 16UC1 or 32FC1) and points (PointCloud2); both'
        ' is scan,depth. All of them must be alive.',
    )
    sensor_mounts: str = parameter(
        'auto',
        'Where the sensors sit: tf (from base_frame to the frame of their messages), parameters'
        ' (*_x to *_yaw), or auto: tf where tf2_ros is installed.',
        choices=('auto', 'tf', 'parameters'),
    )
    base_frame: str = parameter('base_link', 'Frame of the robot in tf.')
    base_height: float = parameter(
        0.0, 'Origin of base_frame above the floor, for tf.', unit='m', low=-1.0, high=2.0
    )
    depth_hfov: float = parameter(
        1.38,
        'Horizontal field of view of the depth camera, where no camera_info comes on'
        ' depth_camera_info; 0: it must come.',
        unit='rad',
        low=0.0,
        high=2.8,
    )
    guessed_depth: Use = parameter(
        Use.NONE,
        "What depth/image does, which the navigator's network guesses from the camera, besides"
        ' the sensors: slow the robot down, or stop it as well. It is weaker than any sensor. With'
        ' stop the robot drives ahead only while it comes.',
    )
    mounts: MountParameters = group(MountParameters)
    body: BodyParameters = group(BodyParameters)

    def __post_init__(self) -> None:
        self.sensors  # noqa: B018 - says what is wrong

    @cached_property
    def sensors(self) -> tuple[str, ...]:
        """Return the sensors that are listened to."""
        asked = 'scan,depth' if self.obstacle_sensor == 'both' else self.obstacle_sensor
        names = tuple(dict.fromkeys(asked.replace(',', ' ').split()))
        if not names or not set(names) <= {*SENSORS}:
            right = ', '.join(SENSORS)
            raise ValueError(f'obstacle_sensor is "{asked}"; some of {right} are right')
        return names
