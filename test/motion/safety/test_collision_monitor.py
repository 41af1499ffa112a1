"""A collision monitor between the robot and its base."""

from janusvln_ros.motion.types import Result
import pytest
from robot import FORWARD, Robot, ZERO


@pytest.mark.parametrize(
    ('polygon', 'result', 'word'),
    [('ahead', Result.BLOCKED, '"ahead"'), ('invalid source', Result.INPUT_LOST, 'sensors')],
)
def test_monitor_that_stops_the_robot_ends_the_motion_and_is_named(polygon, result, word):
    robot = Robot()
    robot.act(FORWARD)
    robot.run(0.4)
    robot.executor.monitor.on_state(True, polygon, robot.now)
    robot.run(0.2)
    assert robot.commanded != ZERO  # it may let go
    robot.run(0.2)
    assert robot.commanded == ZERO
    robot.run_until_standing()
    assert robot.status.result is result and word in robot.status.message
    robot.assert_stands()


def test_what_it_said_before_the_motion_began_is_old():
    """It speaks only when something changes while we command: a motion tries again."""
    robot = Robot()
    robot.executor.monitor.on_state(True, 'ahead', robot.now)
    robot.run(1.0)
    robot.act(FORWARD)
    robot.run(0.2)
    assert robot.commanded != ZERO
    robot.executor.monitor.on_state(False, '', robot.now)
    robot.run_until_standing()
    assert robot.status.result is Result.SUCCEEDED


def test_what_it_still_says_blocks_the_next_motion_too():
    robot = Robot()
    robot.executor.monitor.on_state(True, 'ahead', robot.now)
    robot.run(1.0)
    robot.act(FORWARD)
    robot.run(0.4)
    assert robot.commanded == ZERO
    robot.run_until_standing()
    assert robot.status.result is Result.BLOCKED


def test_slower_is_not_stopped():
    robot = Robot()
    robot.act(FORWARD)
    robot.executor.monitor.on_state(False, 'slow', robot.now)
    robot.run_until_standing()
    assert robot.status.result is Result.SUCCEEDED
