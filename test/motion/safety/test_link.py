"""A navigator that is lost."""

from janusvln_ros.motion.types import Result
from robot import FORWARD, Robot, ZERO


def test_lost_navigator_in_step_mode_finishes_the_step_and_stands():
    robot = Robot()
    robot.executor.link.on_navigator(robot.now)
    assert robot.do(FORWARD)[0] < 0.012
    robot.assert_stands()


def test_lost_navigator_in_continuous_mode_stops_the_robot():
    robot = Robot(execution_mode='continuous', navigator_timeout=0.3)
    robot.act(FORWARD)
    robot.run(0.3)
    robot.executor.link.on_navigator(robot.now)
    robot.run(0.3)
    assert robot.commanded.linear > 0.1
    robot.run(0.6)
    assert robot.commanded == ZERO
    robot.run_until_standing()
    assert robot.status.result is Result.INPUT_LOST and 'navigator' in robot.status.message
    robot.assert_stands()
