"""Parameters of motion_executor: type, range and description of each, read into one object."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from janusvln_ros.motion.executor import ExecutorConfig, Mode
from janusvln_ros.motion.limits import AxisLimits


@dataclass(frozen=True)
class _Number:
    default: float
    lowest: float
    highest: float
    description: str
    read_only: bool = False


@dataclass(frozen=True)
class _Choice:
    default: str
    choices: tuple[str, ...]
    description: str
    read_only: bool = False


@dataclass(frozen=True)
class _Other:
    default: bool | str | list[float]
    description: str
    read_only: bool = True


_PARAMETERS: dict[str, _Number | _Choice | _Other] = {
    'execution_mode': _Choice(
        'step', ('step', 'continuous'),
        'step: one action, settle, then the next. continuous: actions keep coming while the robot'
        ' moves and move the goal on. Can be changed while the robot stands.'),
    'control_rate': _Number(50.0, 10.0, 500.0, 'Hz, rate of velocity commands.', True),
    'status_rate': _Number(10.0, 1.0, 100.0, 'Hz, motion_status besides changes.', True),
    'stamped_cmd_vel': _Other(False, 'Publish TwistStamped on cmd_vel instead of Twist.'),
    'cmd_vel_frame': _Other('base_link', 'frame_id of a TwistStamped.'),
    'step_length': _Number(0.25, 0.01, 5.0, 'm, what MOVE_FORWARD moves.'),
    'step_angle': _Number(math.radians(15.0), 0.01, math.pi, 'rad, what a turn turns.'),
    'max_linear_speed': _Number(0.3, 0.01, 3.0, 'm/s, fastest drive.'),
    'max_angular_speed': _Number(1.0, 0.01, 6.0, 'rad/s, fastest turn.'),
    'min_linear_speed': _Number(
        0.0, 0.0, 1.0, 'm/s, slowest drive that the base can do; 0 for wheels.'),
    'min_angular_speed': _Number(
        0.0, 0.0, 2.0, 'rad/s, slowest turn on the spot that the base can do; 0 for wheels.'),
    'max_linear_acceleration': _Number(0.5, 0.01, 10.0, 'm/s^2, speeding up and braking.'),
    'max_angular_acceleration': _Number(2.0, 0.01, 30.0, 'rad/s^2, speeding up and braking.'),
    'max_linear_jerk': _Number(2.5, 0.01, 100.0, 'm/s^3, change of the acceleration.'),
    'max_angular_jerk': _Number(12.0, 0.01, 500.0, 'rad/s^3, change of the acceleration.'),
    'position_tolerance': _Number(0.01, 0.001, 0.2, 'm, a move this near its end has arrived.'),
    'angle_tolerance': _Number(
        math.radians(0.75), 0.001, 0.5, 'rad, a turn this near its end has arrived.'),
    'approach_gain': _Number(
        3.0, 0.2, 20.0, '1/s, near the goal the speed is at most this times the distance.'),
    'actuation_delay': _Number(
        0.05, 0.0, 0.5, 's, from a command until the base obeys; the controller looks that far'
        ' ahead.'),
    'time_allowance': _Number(
        10.0, 0.5, 600.0, 's, for one motion, besides twice its duration at full speed.'),
    'settle_time': _Number(0.2, 0.0, 10.0, 's, least time at rest after a motion.'),
    'settle_timeout': _Number(1.5, 0.1, 30.0, 's, longest wait for the base to come to rest.'),
    'settle_speed': _Number(0.02, 0.001, 1.0, 'm/s, slower than this the base is at rest.'),
    'settle_turn_rate': _Number(0.03, 0.001, 2.0, 'rad/s, slower than this it is at rest.'),
    'zero_hold': _Number(
        1.0, 0.1, 60.0, 's, zero velocity is published this long after a stop; then silence.'),
    'odometry_timeout': _Number(0.5, 0.02, 5.0, 's, odometry older than this stops the robot.'),
    'odometry_jump': _Number(
        0.25, 0.01, 10.0, 'm, odometry that moves this much farther than the robot can between'
        ' two messages stops it.'),
    'odometry_jump_angle': _Number(0.5, 0.01, math.pi, 'rad, the same for the heading.'),
    'recovery_time': _Number(
        1.0, 0.0, 60.0, 's, odometry and clock must be well this long after a fault.'),
    'clock_jump': _Number(
        1.0, 0.1, 60.0, 's, a gap in ROS time larger than this stops the robot.'),
    'clock_timeout': _Number(
        0.5, 0.1, 60.0, 's of wall time without ROS time going on that stop the robot.'),
    'navigator_timeout': _Number(
        1.0, 0.0, 60.0, 's without a sign of life of the navigator that stop the robot in'
        ' continuous mode; 0: never. In step mode the step is finished.'),
    'max_decision_age': _Number(
        2.0, 0.05, 60.0, 's, in continuous mode a decision from an older image is dropped.'),
    'allow_open_loop': _Other(
        False, 'Without odometry, time the motions instead of refusing them.', False),
    'allow_reverse': _Other(False, 'Obey sentences that ask to drive backwards.', False),
    'max_move': _Number(5.0, 0.01, 100.0, 'm, longest move that a sentence may ask for.'),
    'max_turn': _Number(
        math.tau, 0.01, 4.0 * math.pi, 'rad, widest turn that a sentence may ask for.'),
    'stop_distance': _Number(
        0.0, 0.0, 5.0, 'm, an obstacle nearer than this before the robot blocks forward motion;'
        ' 0: obstacles are not looked for.'),
    'obstacle_timeout': _Number(
        0.5, 0.05, 5.0, 's, an older scan or depth image stops forward motion.'),
}


@dataclass(frozen=True)
class NodeOptions:
    """What the node itself needs; the rest is in ExecutorConfig."""

    control_rate: float
    status_rate: float
    stamped_cmd_vel: bool
    cmd_vel_frame: str
    step_length: float
    step_angle: float
    clock_timeout: float


def declare(node: Node) -> None:
    """Declare all parameters; raises rclpy's exceptions for overrides out of type or range."""
    for name, parameter in _PARAMETERS.items():
        descriptor = ParameterDescriptor(description=parameter.description,
                                         read_only=parameter.read_only)
        if isinstance(parameter, _Number):
            descriptor.floating_point_range = [FloatingPointRange(
                from_value=parameter.lowest, to_value=parameter.highest)]
        elif isinstance(parameter, _Choice):
            descriptor.additional_constraints = 'one of: ' + ', '.join(parameter.choices)
        node.declare_parameter(name, parameter.default, descriptor)


def values(node: Node) -> dict[str, Any]:
    """Return the value of every parameter by its name."""
    return {name: node.get_parameter(name).value for name in _PARAMETERS}


def read(values: dict[str, Any]) -> tuple[ExecutorConfig, NodeOptions]:
    """Build both objects; ValueError when values do not fit together."""
    for name, parameter in _PARAMETERS.items():
        if isinstance(parameter, _Choice) and values[name] not in parameter.choices:
            raise ValueError(f'{name} must be one of {", ".join(parameter.choices)}, not'
                             f' "{values[name]}"')

    def axis(name: str) -> AxisLimits:
        return AxisLimits(values[f'max_{name}_speed'], values[f'max_{name}_acceleration'],
                          values[f'max_{name}_jerk'], values[f'min_{name}_speed'])

    def select(target: type) -> dict[str, Any]:
        return {name: values[name] for name in target.__dataclass_fields__ if name in values}

    config = ExecutorConfig(mode=Mode(values['execution_mode']), linear=axis('linear'),
                            angular=axis('angular'), **select(ExecutorConfig))
    return config, NodeOptions(**select(NodeOptions))


def changed(current: dict[str, Any], parameters: list[Parameter]) -> dict[str, Any]:
    """Return the values after a change that was asked for."""
    ours = {p.name: p.value for p in parameters if p.name in _PARAMETERS}
    return {**current, **ours}
