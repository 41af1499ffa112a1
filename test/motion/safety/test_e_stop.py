"""The e-stop is immediate and latched."""

from janusvln_ros.motion.types import Result, State
from robot import FORWARD, Robot, ZERO


def test_e_stop_is_immediate_latched_and_reset_by_the_service_only():
    robot = Robot.on_the_way()
    robot.executor.on_e_stop(True, robot.now)
    assert robot.executor.base.velocity == ZERO
    assert robot.status.state is State.ESTOPPED and robot.status.result is Result.ESTOPPED
    robot.assert_stands()
    assert not robot.executor.e_stop.reset()[0]  # still pressed
    robot.executor.on_e_stop(False, robot.now)
    assert robot.act(FORWARD) == 'e-stop'
    robot.assert_stands()
    assert robot.executor.e_stop.reset()[0]
    robot.assert_stands()  # a reset does not take the motion up again
    assert robot.status.state is State.IDLE
    assert robot.do(FORWARD)[0] < 0.012
