"""Parameters of motion_executor, by when they may change, and what is built from them."""

from __future__ import annotations

from dataclasses import dataclass, fields
import math
from typing import Any

from janusvln_ros.actions import FORWARD_STEP, TURN_STEP
from janusvln_ros.motion.limits import AxisLimits
from janusvln_ros.motion.safety.obstacles import Footprint, Mount
from janusvln_ros.motion.types import ExecutorConfig, Mode
from janusvln_ros.parameters import parameter


@dataclass(frozen=True)
class FixedParameters:
    """What is fixed once the node runs."""

    output: str = parameter(
        'velocity',
        'What the base takes: velocity on cmd_vel, or command: one mid_level_command '
        'at a time, answered on mid_level_done.',
        choices=('velocity', 'command'),
    )
    control_rate: float = parameter(
        50.0, 'Velocity commands per second of ROS time.', low=10.0, high=500.0
    )
    status_rate: float = parameter(
        10.0, 'motion_status messages per second, besides changes.', low=1.0, high=100.0
    )
    stamped_cmd_vel: bool = parameter(False, 'Publish TwistStamped on cmd_vel, not Twist.')
    cmd_vel_frame: str = parameter('base_link', 'frame_id of a TwistStamped.')
    realtime_priority: int = parameter(
        5,
        'SCHED_FIFO priority that this process gives itself if it has the right to (rtprio, '
        'CAP_SYS_NICE), so that other programs do not delay a stop; 0: none.',
        low=0,
        high=98,
    )
    obstacle_sensor: str = parameter(
        'scan',
        'Where obstacles are looked for, with stop_distance above 0: topic scan '
        '(LaserScan), depth (Image, 16UC1 or 32FC1), or both.',
        choices=('scan', 'depth', 'both'),
    )
    scan_x: float = parameter(0.0, 'Laser in base_link: m forward.', low=-2.0, high=2.0)
    scan_y: float = parameter(0.0, 'Laser in base_link: m to the left.', low=-2.0, high=2.0)
    scan_yaw: float = parameter(
        0.0, 'Laser in base_link: rad to the left.', low=-math.pi, high=math.pi
    )
    depth_x: float = parameter(0.0, 'Depth camera in base_link: m forward.', low=-2.0, high=2.0)
    depth_y: float = parameter(
        0.0, 'Depth camera in base_link: m to the left.', low=-2.0, high=2.0
    )
    depth_z: float = parameter(0.4, 'Depth camera above the floor, m.', low=0.0, high=3.0)
    depth_yaw: float = parameter(
        0.0, 'Depth camera in base_link: rad to the left.', low=-math.pi, high=math.pi
    )
    depth_pitch: float = parameter(
        0.0, 'Depth camera: rad, positive looks down.', low=-1.5, high=1.5
    )
    depth_hfov: float = parameter(
        1.38, 'Horizontal field of view of the depth camera, rad.', low=0.1, high=2.8
    )
    robot_front: float = parameter(
        0.2, 'How far the robot reaches ahead of base_link, m.', low=0.0, high=2.0
    )
    robot_half_width: float = parameter(
        0.22, 'Half the width that must be free to drive, m.', low=0.01, high=2.0
    )
    floor_height: float = parameter(
        0.05, 'Depth: lower things are driven over, m.', low=0.0, high=0.5
    )
    robot_height: float = parameter(
        1.5, 'Depth: higher things are driven under, m.', low=0.1, high=3.0
    )


@dataclass(frozen=True)
class StandingParameters:
    """What may change while the robot stands."""

    execution_mode: str = parameter(
        'step',
        'step: one action, settle, then the next; continuous: actions keep coming while '
        "the robot moves and move the goal on. The same as the navigator's.",
        choices=('step', 'continuous'),
    )
    step_length: float = parameter(FORWARD_STEP, 'What MOVE_FORWARD moves, m.', low=0.01, high=5.0)
    step_angle: float = parameter(TURN_STEP, 'What a turn turns, rad.', low=0.01, high=math.pi)
    max_linear_speed: float = parameter(0.3, 'Fastest drive, m/s.', low=0.01, high=3.0)
    max_angular_speed: float = parameter(1.0, 'Fastest turn, rad/s.', low=0.01, high=6.0)
    min_linear_speed: float = parameter(
        0.0, 'Slowest drive that the base can do, m/s; 0 for wheels.', low=0.0, high=1.0
    )
    min_angular_speed: float = parameter(
        0.0,
        'Slowest turn on the spot that the base can do, rad/s; 0 for wheels.',
        low=0.0,
        high=2.0,
    )
    max_linear_acceleration: float = parameter(
        0.5, 'Speeding up and braking, m/s^2.', low=0.01, high=10.0
    )
    max_angular_acceleration: float = parameter(
        2.0, 'Speeding up and braking, rad/s^2.', low=0.01, high=30.0
    )
    max_linear_jerk: float = parameter(
        2.5, 'Change of the acceleration, m/s^3.', low=0.01, high=100.0
    )
    max_angular_jerk: float = parameter(
        12.0, 'Change of the acceleration, rad/s^3.', low=0.01, high=500.0
    )
    position_tolerance: float = parameter(
        0.01, 'A move this near its end has arrived, m.', low=0.001, high=0.2
    )
    angle_tolerance: float = parameter(
        math.radians(0.75), 'A turn this near its end has arrived, rad.', low=0.001, high=0.5
    )
    approach_gain: float = parameter(
        5.0, 'Near the goal the speed is at most this times the distance, 1/s.', low=0.2, high=20.0
    )
    actuation_delay: float = parameter(
        0.05,
        'From a command until the base obeys; the controller looks that far ahead, s.',
        low=0.0,
        high=0.5,
    )
    settle_time: float = parameter(
        0.2, 'Least time at rest after a motion, s.', low=0.0, high=10.0
    )
    settle_timeout: float = parameter(
        1.5, 'Longest wait for the base to come to rest, s.', low=0.1, high=30.0
    )
    settle_speed: float = parameter(
        0.02, 'Slower than this the base is at rest, m/s.', low=0.001, high=1.0
    )
    settle_turn_rate: float = parameter(
        0.03, 'Slower than this the base is at rest, rad/s.', low=0.001, high=2.0
    )
    allow_open_loop: bool = parameter(
        False, 'Without odometry, time the motions instead of refusing them.'
    )
    allow_reverse: bool = parameter(False, 'Obey sentences that ask to drive backwards.')
    max_move: float = parameter(
        5.0, 'Longest move that a sentence may ask for, m.', low=0.01, high=100.0
    )
    max_turn: float = parameter(
        math.tau, 'Widest turn that a sentence may ask for, rad.', low=0.01, high=4.0 * math.pi
    )
    merge_length: float = parameter(
        0.75, 'Output command: equal moves that wait merge up to this, m.', low=0.0, high=5.0
    )
    merge_angle: float = parameter(
        math.radians(45.0),
        'Output command: equal turns that wait merge up to this, rad.',
        low=0.0,
        high=math.tau,
    )


@dataclass(frozen=True)
class SafetyParameters:
    """What may change at any time."""

    time_allowance: float = parameter(
        10.0, 'For one motion, besides twice its duration at full speed, s.', low=0.5, high=600.0
    )
    zero_hold: float = parameter(
        1.0,
        'Zero velocity is published this long after a stop, then nothing, s.',
        low=0.1,
        high=60.0,
    )
    odometry_timeout: float = parameter(
        0.5, 'Silence of odometry that stops the robot, s.', low=0.02, high=5.0
    )
    odometry_jump: float = parameter(
        0.25,
        'Odometry that moves this much farther between two messages than the robot can '
        'stops it, m.',
        low=0.01,
        high=10.0,
    )
    odometry_jump_angle: float = parameter(
        0.5, 'The same for the heading, rad.', low=0.01, high=math.pi
    )
    recovery_time: float = parameter(
        1.0, 'After a fault, odometry and clock must be well this long, s.', low=0.0, high=60.0
    )
    clock_jump: float = parameter(
        1.0, 'A gap in ROS time that stops the robot, s.', low=0.1, high=60.0
    )
    clock_timeout: float = parameter(
        0.5, 'Wall time without ROS time going on that stops the robot, s.', low=0.1, high=60.0
    )
    navigator_timeout: float = parameter(
        1.0,
        'Silence of the navigator that stops the robot in continuous mode, s; 0: never. In '
        'step mode the step is finished.',
        low=0.0,
        high=60.0,
    )
    max_decision_age: float = parameter(
        2.0,
        'In continuous mode a decision from an older image is dropped, s.',
        low=0.05,
        high=60.0,
    )
    stop_distance: float = parameter(
        0.0,
        'An obstacle nearer than this before the robot blocks forward motion, m; 0: '
        'obstacles are not looked for.',
        low=0.0,
        high=5.0,
    )
    obstacle_timeout: float = parameter(
        0.5, 'Silence of the obstacle sensor that stops forward motion, s.', low=0.05, high=5.0
    )


KINDS = (FixedParameters, StandingParameters, SafetyParameters)


def executor_config(values: dict[str, Any]) -> ExecutorConfig:
    """Build the configuration from parameters by name; ValueError when they contradict."""

    def axis(name: str) -> AxisLimits:
        return AxisLimits(
            values[f'max_{name}_speed'],
            values[f'max_{name}_acceleration'],
            values[f'max_{name}_jerk'],
            values[f'min_{name}_speed'],
        )

    same = {
        entry.name: values[entry.name] for entry in fields(ExecutorConfig) if entry.name in values
    }
    return ExecutorConfig(
        mode=Mode(values['execution_mode']),
        linear=axis('linear'),
        angular=axis('angular'),
        commands=values['output'] == 'command',
        obstacle_sensors=obstacle_sensors(values['obstacle_sensor']),
        **same,
    )


def obstacle_sensors(choice: str) -> tuple[str, ...]:
    """Return the sensors that the parameter obstacle_sensor names."""
    return ('scan', 'depth') if choice == 'both' else (choice,)


def footprint(fixed: FixedParameters) -> Footprint:
    """Return what the robot sweeps."""
    return Footprint(
        fixed.robot_front, fixed.robot_half_width, fixed.floor_height, fixed.robot_height
    )


def scan_mount(fixed: FixedParameters) -> Mount:
    """Return where the laser sits."""
    return Mount(fixed.scan_x, fixed.scan_y, yaw=fixed.scan_yaw)


def depth_mount(fixed: FixedParameters) -> Mount:
    """Return where the depth camera sits."""
    return Mount(fixed.depth_x, fixed.depth_y, fixed.depth_z, fixed.depth_yaw, fixed.depth_pitch)
