"""Parameters of sim_robot, without its physics: launch files read and check them."""

from __future__ import annotations

from dataclasses import dataclass
import math

from janusvln_ros.episodes.scene import house_of
from janusvln_ros.parameters import parameter
from janusvln_ros.sim.generator import generate_house
from janusvln_ros.sim.house import clearance, free_start, House, ROBOT_RADIUS
import numpy as np


@dataclass(frozen=True)
class Settings:
    """Parameters of the node."""

    scene: str = parameter(
        '', 'scene_id of an episode, whose house is taken; empty: house_seed and rooms.'
    )
    house_seed: int = parameter(18, 'Seed of the house.', low=0, high=2**31 - 1)
    rooms: int = parameter(3, 'Rooms of the house.', low=1, high=6)
    start_pose: str = parameter(
        '', 'Start as "x y yaw" in m and rad; empty: a free place in the first room.'
    )
    image_width: int = parameter(320, 'Pixels.', low=16, high=1920)
    image_height: int = parameter(240, 'Pixels.', low=16, high=1080)
    image_rate: float = parameter(10.0, 'Pictures per simulated second.', low=0.1, high=60.0)
    hfov: float = parameter(
        math.radians(79.0), 'rad, horizontal field of view.', low=0.2, high=2.5
    )
    camera_height: float = parameter(1.25, 'm above the floor.', low=0.05, high=2.4)
    camera_tilt: float = parameter(0.0, 'rad, positive looks down.', low=-1.2, high=1.2)
    image_noise: float = parameter(
        0.0, 'Grey levels, standard deviation of noise in the picture.', low=0.0, high=50.0
    )
    odom_rate: float = parameter(50.0, 'Hz of simulated time.', low=5.0, high=100.0)
    wheel_error: float = parameter(
        0.0,
        'Relative standard deviation between the wheels and what odometry believes.',
        low=0.0,
        high=0.2,
    )
    seed: int = parameter(0, 'Seed of image_noise and wheel_error.', low=0, high=2**31 - 1)
    stamped_cmd_vel: bool = parameter(False, 'cmd_vel is a TwistStamped instead of a Twist.')
    real_time_factor: float = parameter(
        1.0,
        'Simulated seconds per second; other than 1 implies publish_clock, and the other nodes '
        'need use_sim_time.',
        low=0.05,
        high=50.0,
    )
    publish_clock: bool = parameter(
        False,
        'Publish /clock; stamps are then simulated time from 0. The other nodes need '
        'use_sim_time. Also on when this node itself has use_sim_time.',
    )
    odom_frame: str = parameter('odom', 'Frame of the odometry.')
    base_frame: str = parameter('base_link', 'Frame of the base, on the floor.')
    camera_frame: str = parameter('camera_optical_frame', 'Frame of the pictures.')


def make_house(scene: str, seed: int, rooms: int) -> House:
    """Return the house of a scene_id, or without one that of a seed; ValueError: no such scene."""
    return house_of(scene) if scene else generate_house(seed, rooms=rooms)


def read_start_pose(text: str, house: House) -> tuple[float, float, float]:
    """
    Return where the robot starts (m, m, rad); without a text a free place.

    ValueError if it is not three numbers, or nowhere where the robot has room.
    """
    if not text:
        return free_start(house)
    try:
        x, y, yaw = (float(word) for word in text.replace(',', ' ').split())
    except ValueError:
        raise ValueError(f'start_pose has to be "x y yaw" in m, m and rad, not "{text}"') from None
    if not house.is_inside(x, y):
        raise ValueError(f'start_pose ({x:g}, {y:g}) is not in the house')
    gap = float(clearance(house.obstacles(), np.array([x, y])))
    if gap < ROBOT_RADIUS:
        raise ValueError(
            f'start_pose ({x:g}, {y:g}) is {max(gap, 0.0):.2f} m from an obstacle; the '
            f'robot needs {ROBOT_RADIUS} m'
        )
    return x, y, yaw
