"""What one motion may take."""

from janusvln_ros.motion.testing import BaseConfig
from janusvln_ros.motion.types import Result, State
from robot import FORWARD, Robot


def test_time_allowance_ends_a_motion_that_does_not_get_anywhere():
    robot = Robot(BaseConfig(scale=0.0), time_allowance=2.0)
    robot.act(FORWARD)
    robot.run_until_standing()
    assert robot.status.result is Result.TIMEOUT and 'time allowance' in robot.status.message
    assert robot.status.state is State.IDLE and robot.now < 5.5
    robot.assert_stands()
