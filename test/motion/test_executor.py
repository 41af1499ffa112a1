"""The executor on a model of a base: accuracy, phases, and what it tells."""

import math
import random

from janusvln_ros.motion.commands import Command, Kind
from janusvln_ros.motion.testing import BaseConfig
from janusvln_ros.motion.types import Mode, Result, State
import pytest
from robot import FORWARD, LEFT, RIGHT, Robot, settings, START, STOP, ZERO

CONTINUOUS = {'execution_mode': 'continuous', 'navigator_timeout': 0.0}


@pytest.mark.slow
@pytest.mark.parametrize(
    'base',
    [
        BaseConfig(),
        BaseConfig(delay=0.0, odometry_delay=0.0),
        BaseConfig(delay=0.2, odometry_delay=0.05),
        BaseConfig(scale=0.9, drift=0.1),
        BaseConfig(scale=1.1, drift=-0.1),
        BaseConfig(linear_acceleration=0.3, angular_acceleration=1.0),
    ],
    ids=['usual', 'ideal', 'late', 'slips', 'overdrives', 'sluggish'],
)
def test_step_mode_is_accurate_on_many_bases(base):
    robot, dice = Robot(base=base), random.Random(1)
    for _ in range(20):
        position, angle = robot.do(dice.choice([FORWARD, LEFT, RIGHT]))
        assert position < 0.012 and angle < math.radians(1.0)
        assert robot.status.result is Result.SUCCEEDED and not robot.status.message


def test_legged_base_with_minimum_speeds():
    robot = Robot(
        BaseConfig(delay=0.15, odometry_delay=0.04),
        max_linear_speed=0.4,
        max_linear_acceleration=0.8,
        max_linear_jerk=4.0,
        min_linear_speed=0.1,
        max_angular_speed=0.8,
        max_angular_acceleration=2.0,
        max_angular_jerk=10.0,
        min_angular_speed=0.25,
        actuation_delay=0.15,
        position_tolerance=0.02,
        angle_tolerance=math.radians(1.5),
    )
    commanded = []
    for action in (FORWARD, LEFT, FORWARD, RIGHT, RIGHT):
        assert robot.act(action) == ''
        start = robot.base.pose
        while not robot.executor.stands:
            commanded.append((action, robot.tick() or ZERO))
        forward, left, turn = robot.base.pose.seen_from(start)
        wanted = (
            (0.25, 0.0)
            if action == FORWARD
            else (0.0, math.radians(15.0 if action == LEFT else -15.0))
        )
        assert math.hypot(forward - wanted[0], left) < 0.02
        assert abs(turn - wanted[1]) < math.radians(1.5)
    for action, velocity in commanded:
        assert velocity.linear == 0.0 or abs(velocity.linear) >= 0.1
        if action != FORWARD:
            assert velocity.angular == 0.0 or abs(velocity.angular) >= 0.25


def test_status_over_one_action():
    robot = Robot()
    assert robot.status.state is State.IDLE and robot.status.motion_end == 0.0
    robot.act(FORWARD)
    seen = []
    while not robot.executor.stands:
        robot.tick()
        status = robot.status
        if not seen or seen[-1] != (status.state, status.result):
            seen.append((status.state, status.result))
    assert seen == [
        (State.MOVING, Result.NONE),
        (State.SETTLING, Result.NONE),
        (State.IDLE, Result.SUCCEEDED),
    ]
    assert robot.status.motion_end == robot.now
    assert robot.base.linear == 0.0
    assert robot.status.progress == pytest.approx(0.25, abs=0.01)
    robot.do(RIGHT)
    assert robot.status.progress == pytest.approx(math.radians(15.0), abs=0.015)


def test_big_turn_keeps_its_direction():
    robot = Robot(angle_tolerance=math.radians(0.5))
    start = robot.base.pose.yaw
    for amount in (math.radians(270.0), -math.tau):
        assert robot.ask(Command(Kind.TURN, amount)) == ''
        robot.run_until_standing()
        start += amount
        assert robot.base.pose.yaw == pytest.approx(start, abs=math.radians(1.5))


def test_stop_brakes_within_the_limits():
    robot = Robot()
    robot.act(FORWARD)
    robot.run(1.0)
    speed = robot.commanded.linear
    assert speed > 0.2
    assert robot.act(STOP) == ''
    while robot.tick() != ZERO:
        assert robot.commanded.linear >= speed - 0.02 * 0.5 - 1e-9
        speed = robot.commanded.linear
    assert robot.status.result is Result.NONE  # the base has not come to rest yet
    robot.assert_stands()
    assert robot.status.result is Result.SUCCEEDED and robot.status.request.action == STOP
    assert robot.status.state is State.IDLE


def test_velocity_is_zero_for_a_while_and_then_silent():
    robot = Robot()
    assert robot.commanded is None  # nothing asked for, nothing said
    robot.do(FORWARD)
    zeros = 0
    while robot.tick() is not None:
        assert robot.commanded == ZERO
        zeros += 1
    assert zeros * 0.02 == pytest.approx(robot.executor.config.supervisor.zero_hold, abs=0.05)
    robot.assert_stands()


def test_reverse_where_it_is_allowed():
    robot = Robot(allow_reverse=True)
    robot.ask(Command(Kind.MOVE, -0.3))
    robot.run_until_standing()
    assert robot.base.pose.seen_from(START)[0] == pytest.approx(-0.3, abs=0.01)
    assert robot.status.progress == pytest.approx(0.3, abs=0.01)


def test_message_names_what_is_wrong_now():
    robot = Robot()
    robot.act(FORWARD, instruction_id='b')
    robot.run(0.2)
    robot.act(LEFT, instruction_id='b')  # dropped
    robot.run_until_standing()
    assert robot.status.message == 'another action was moving'
    robot.odometry = lambda stamp, pose: None
    robot.run(1.0)
    assert robot.status.state is State.FAULT and 'odometry is silent' in robot.status.message


def test_fault_told_from_outside_stops_the_robot():
    robot = Robot.on_the_way()
    robot.executor.fail('ROS time stands still')
    assert robot.executor.base.velocity == ZERO
    assert robot.status.message == 'ROS time stands still'
    robot.assert_stands()


def test_mode_changes_only_while_the_robot_stands():
    robot = Robot.on_the_way()
    with pytest.raises(ValueError, match='while the robot stands'):
        robot.executor.configure(settings(**CONTINUOUS))
    robot.run_until_standing()
    robot.executor.configure(settings(**CONTINUOUS))
    assert robot.executor.config.admission.execution_mode is Mode.CONTINUOUS
