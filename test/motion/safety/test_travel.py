"""What one motion may take: commanded way, and time."""

import math

from janusvln_ros.motion.testing import BaseConfig
from janusvln_ros.motion.types import Result, State
import pytest
from robot import FORWARD, LEFT, Robot, START, ZERO

CONTINUOUS = {'execution_mode': 'continuous', 'navigator_timeout': 0.0}


def test_budget_ends_a_step_of_a_robot_that_gets_little_of_what_is_commanded():
    robot = Robot(BaseConfig(scale=0.6))
    assert robot.act(FORWARD) == ''
    commanded = 0.0
    while not robot.executor.stands:
        commanded += 0.02 * (robot.tick() or ZERO).linear
    assert robot.status.state is State.FAULT and commanded <= 0.25 * 1.5 + 0.02
    assert 'commanded 0.' in robot.status.message and 'odometry says 0.' in robot.status.message
    robot.assert_stands()


@pytest.mark.parametrize('mode', [{}, CONTINUOUS], ids=['step', 'continuous'])
@pytest.mark.parametrize('speed, rate', [(1.0, 2.0), (2.0, 6.0), (10.0, 30.0)])
@pytest.mark.parametrize('action', [FORWARD, LEFT])
def test_step_bounds_the_tries_of_a_fast_robot_as_well(action, speed, rate, mode):
    fast = {'max_linear_acceleration': speed, 'max_angular_acceleration': rate}
    limits = {'max_linear_speed': 3.0, 'max_angular_speed': min(6.0, rate)}
    jerks = {'max_linear_jerk': 10.0 * speed, 'max_angular_jerk': 10.0 * rate}
    robot = Robot(BaseConfig(0.05, speed, rate), **fast, **limits, **jerks, **mode)
    robot.odometry = lambda stamp, _: (stamp, START)
    for _ in range(12):
        robot.act(action)
        robot.run(0.5)
    forward, _, turn = robot.base.pose.seen_from(START)
    assert forward < 0.40 and turn < math.radians(25.0)
    assert robot.status.result is Result.BLOCKED


@pytest.mark.parametrize('mode', [{}, CONTINUOUS], ids=['step', 'continuous'])
@pytest.mark.parametrize('action', [FORWARD, LEFT])
def test_tries_of_a_robot_whose_odometry_stands_still_are_one_step_together(action, mode):
    robot = Robot(**mode)
    pose, good = START, robot.odometry
    robot.odometry = lambda stamp, _: (stamp, pose)
    for _ in range(60):
        robot.act(action)
        robot.run(1.0)
    forward, _, turn = robot.base.pose.seen_from(START)
    assert forward < 0.40 and turn < math.radians(25.0)
    assert robot.status.result is Result.BLOCKED and 'odometry says 0.00' in robot.status.message
    assert robot.executor.reset()[0]
    robot.odometry = good
    robot.run(2.5)  # the way back may be a jump
    robot.executor.reset()
    robot.act(action)
    robot.run_until_standing()
    assert robot.status.result is Result.SUCCEEDED


@pytest.mark.parametrize('action', [FORWARD, LEFT])
def test_wall_ends_a_motion_within_a_second_and_leaves_the_other_motions(action):
    robot = Robot(BaseConfig(scale=0.0) if action == FORWARD else None)
    if action == LEFT:
        robot.odometry = lambda stamp, pose: (stamp, START)
    began = robot.now
    robot.act(action)
    while robot.tick() is None or robot.commanded != ZERO or robot.now < began + 0.1:
        assert robot.now - began < 1.05
    robot.run_until_standing()
    assert robot.status.result is Result.BLOCKED and robot.status.state is State.IDLE
    if action == FORWARD:
        assert robot.do(LEFT)[1] < math.radians(1.0)


def test_time_allowance_ends_a_motion_that_is_not_answered():
    robot = Robot(output='command', time_allowance=2.0)
    robot.act(FORWARD)
    robot.run_until_standing()
    assert robot.status.result is Result.TIMEOUT and 'time allowance' in robot.status.message
    assert robot.status.state is State.IDLE and robot.now < 5.5
    robot.assert_stands()
