"""A clock that jumps stops the robot, and holds nothing up."""

from janusvln_ros.motion.types import Result, State
import pytest
from robot import FORWARD, Robot, ZERO


@pytest.mark.parametrize('jump', [-100.0, -0.01, 5.0, 1e6])
def test_clock_that_jumps_stops_the_robot(jump):
    robot = Robot.on_the_way()
    now = robot.now + jump
    assert robot.executor.update(now) == ZERO
    assert robot.status.state is State.FAULT and robot.status.result is Result.BAD_INPUT
    assert 'clock' in robot.status.message
    for i in range(1, 200):
        time, pose = now + 0.02 * i, robot.base.pose
        robot.executor.on_odometry(time, pose.x, pose.y, pose.yaw, time)
        assert robot.executor.update(time) in (None, ZERO)
    assert robot.status.state is State.IDLE
    assert robot.status.motion_end <= time


def test_motion_end_is_never_in_the_future_after_the_clock_was_set_back():
    robot = Robot()
    robot.do(FORWARD)
    robot.executor.update(robot.now - 3.0)
    assert robot.status.motion_end == robot.now - 3.0


@pytest.mark.parametrize('moving', [True, False])
def test_clock_that_is_set_back_while_the_base_comes_to_rest_does_not_hold_anything_up(moving):
    robot = Robot()
    robot.do(FORWARD)
    if moving:
        robot.act(FORWARD)
        robot.run(0.5)
        robot.executor.on_e_stop(True, robot.now)
    now = robot.now - 100.0
    silent = 0
    for i in range(1, 200):
        time = now + 0.02 * i
        robot.executor.on_odometry(time, 0.0, 0.0, 0.0, time)
        silent += robot.executor.update(time) is None
    assert silent > 20 and robot.executor.stands
