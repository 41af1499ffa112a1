"""
Constants and parameters: those of the interfaces, and the files config/robot_*.yaml.

Every file is accepted, and makes a model of its kind of base step well.
"""

import math
from pathlib import Path

from janusvln_ros.actions import Action
from janusvln_ros.motion.commands import Command, Kind
from janusvln_ros.motion.executor import Executor
from janusvln_ros.motion.testing import BaseConfig, BaseModel, ClosedLoop
from janusvln_ros.motion.types import Request, Result, State
from janusvln_ros.msg import MidLevelCommand, MotionStatus, NavigationAction
from janusvln_ros.nodes.motion_executor import MotionExecutor, Parameters
from janusvln_ros.parameters import build
from parameter_tables import parameter_tables
import pytest
import rclpy
import yaml

CONFIG = Path(__file__).parents[2] / 'config'
DOCUMENTATION = CONFIG.parent / 'docs' / 'motion.md'
BASES = {
    'diff_drive': BaseConfig(delay=0.06),
    'simulator': BaseConfig(delay=0.06),
    'turtlebot4': BaseConfig(delay=0.1, odometry_delay=0.04, linear_acceleration=0.5),
    'go2': BaseConfig(delay=0.18, odometry_delay=0.05, linear_acceleration=2.0, drift=0.1),
    'g1': BaseConfig(delay=0.3, odometry_delay=0.05, linear_acceleration=1.5, scale=0.9),
}


@pytest.mark.parametrize(
    ('ours', 'message', 'prefix'),
    [
        (State, MotionStatus, 'STATE_'),
        (Result, MotionStatus, 'RESULT_'),
        (Action, NavigationAction, ''),
        (Kind, MidLevelCommand, ''),
    ],
)
def test_constants_are_those_of_the_interfaces(ours, message, prefix):
    for constant in ours:
        assert getattr(message, prefix + constant.name) == constant


def test_every_robot_file_has_a_base_here():
    assert {path.stem.removeprefix('robot_') for path in CONFIG.glob('robot_*.yaml')} == set(BASES)


def values_of_file(robot):
    """Return all values of a parameter file, whatever node they are for."""
    content = yaml.safe_load((CONFIG / f'robot_{robot}.yaml').read_text())
    return {k: v for node in content.values() for k, v in node['ros__parameters'].items()}


@pytest.mark.parametrize('robot', BASES)
def test_robot_file_is_accepted_by_the_node(ros_domain, robot):
    context = rclpy.Context()
    path = CONFIG / f'robot_{robot}.yaml'
    rclpy.init(args=['--ros-args', '--params-file', str(path)], context=context)
    try:
        node = MotionExecutor(context=context)
        for name, value in values_of_file(robot).items():
            assert node.get_parameter(name).value == value
        node.destroy_node()
    finally:
        context.shutdown()


@pytest.mark.parametrize('robot', BASES)
def test_robot_of_a_file_steps_well(robot):
    values = values_of_file(robot)
    build(Parameters, values)  # all declared, and in range
    config = build(Parameters, {**values, 'stop_distance': 0.0}).executor
    loop = ClosedLoop(Executor(config), BaseModel(BASES[robot]))
    loop.run(0.5)
    for step, action in enumerate([1, 2, 1, 3, 3, 1]):
        start = loop.base.pose
        command = Command.from_action(action, config.step.step_length, config.step.step_angle)
        assert loop.executor.on_request(Request(command, 0.0, 'a', step), loop.now) == ''
        loop.run_until_standing()
        assert loop.executor.status.result is Result.SUCCEEDED
        forward, left, turn = loop.base.pose.seen_from(start)
        ideal = start.moved(0.25) if action == 1 else start.moved(0.0, command.amount)
        ahead, aside, turned = ideal.seen_from(start)
        position, angle = config.driving.position_tolerance, config.driving.angle_tolerance
        assert math.hypot(forward - ahead, left - aside) < position + 0.005
        assert abs(turn - turned) < angle + math.radians(0.5)


def test_documentation_has_the_tables_of_what_is_declared():
    tables = parameter_tables(Parameters)
    assert tables in DOCUMENTATION.read_text(), f'put this into {DOCUMENTATION}:\n\n{tables}'
