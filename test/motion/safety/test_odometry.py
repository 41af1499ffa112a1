"""Bad odometry: a standing robot, and one that recovers."""

import math

from janusvln_ros.motion.commands import Command, Kind
from janusvln_ros.motion.executor import Executor
from janusvln_ros.motion.geometry import Pose
from janusvln_ros.motion.testing import BaseModel, ClosedLoop
from janusvln_ros.motion.types import Request, Result, State
import pytest
from robot import FORWARD, LEFT, Robot, settings, ZERO

FAULTS = {
    'silent': (lambda stamp, pose: None, Result.INPUT_LOST, 'silent'),
    'frozen stamp': (lambda stamp, pose: (0.4, pose), Result.INPUT_LOST, 'silent'),
    'nan': (
        lambda stamp, pose: (stamp, Pose(math.nan, pose.y, pose.yaw)),
        Result.BAD_INPUT,
        'finite',
    ),
    'infinite yaw': (
        lambda stamp, pose: (stamp, Pose(pose.x, pose.y, math.inf)),
        Result.BAD_INPUT,
        'finite',
    ),
    'jump': (
        lambda stamp, pose: (stamp, Pose(pose.x, pose.y + 5.0, pose.yaw)),
        Result.BAD_INPUT,
        'jumped',
    ),
    'turn': (
        lambda stamp, pose: (stamp, Pose(pose.x, pose.y, pose.yaw + 2.0)),
        Result.BAD_INPUT,
        'jumped',
    ),
}


@pytest.mark.parametrize('action', [FORWARD, LEFT])
@pytest.mark.parametrize(('odometry', 'result', 'word'), FAULTS.values(), ids=FAULTS)
def test_bad_odometry_stops_the_robot(odometry, result, word, action):
    robot = Robot.on_the_way(action)
    good, robot.odometry = robot.odometry, odometry
    began = robot.now
    while robot.tick() != ZERO:
        assert robot.now - began < 0.6
    status = robot.status
    assert status.state is State.FAULT and status.result is result and word in status.message
    robot.assert_stands()
    robot.odometry = good
    robot.run(2.2)  # the way back is a jump as well
    assert robot.status.state is State.IDLE
    robot.assert_stands()
    assert robot.do(FORWARD)[0] < 0.012


def test_fault_refuses_actions_until_it_is_over():
    robot = Robot()
    robot.odometry = lambda stamp, pose: None
    robot.run(1.0)
    assert 'odometry is silent' in robot.act(FORWARD)
    assert robot.status.result is Result.INPUT_LOST and robot.status.state is State.FAULT
    robot.assert_stands()


@pytest.mark.parametrize('action', [FORWARD, LEFT])
@pytest.mark.parametrize('rate', [-0.1, -0.01, 0.01, 0.1])
def test_a_clock_that_runs_too_slow_or_fast_is_named(rate, action):
    robot = Robot()
    robot.odometry = lambda stamp, pose: (stamp + rate * stamp, pose)
    while robot.status.state is not State.FAULT:
        robot.act(action)
        robot.run(0.5)
        assert robot.now < 60.0
    assert 'do the clocks agree' in robot.status.message


@pytest.mark.parametrize('late', [1.0, 3600.0])
def test_silence_of_odometry_that_is_stamped_by_another_clock_says_so(late):
    robot = Robot.on_the_way()
    robot.odometry = lambda stamp, pose: (stamp - late, pose)
    told = []
    for _ in range(100):
        robot.tick()
        if robot.status.state is State.FAULT:
            told.append(robot.status.message)
    assert told and all('do the clocks agree' in message for message in told)


def test_without_any_odometry_the_robot_does_not_move():
    robot = ClosedLoop(Executor(settings()), BaseModel())
    robot.odometry = lambda stamp, pose: None
    robot.run(1.0)
    reason = robot.executor.on_request(Request(Command(Kind.MOVE, 0.25)), robot.now)
    assert reason == 'no odometry yet' == robot.executor.status.message
    robot.run(1.0)
    assert robot.base.pose == Pose()
