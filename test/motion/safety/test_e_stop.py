"""The e-stop is immediate and latched."""

from janusvln_ros.motion.types import Result, State
import pytest
from robot import FORWARD, Robot, ZERO


def test_without_a_required_e_stop_nothing_moves():
    robot = Robot(e_stop_required=True)
    assert 'nothing has been heard on e_stop' in robot.act(FORWARD)
    robot.assert_stands()
    robot.executor.on_e_stop(False, robot.now)
    assert robot.do(FORWARD)[0] < 0.012


def test_silence_of_a_heartbeat_is_a_press():
    robot = Robot(e_stop_heartbeat=0.3)
    assert 'nothing has been heard on e_stop' in robot.act(FORWARD)
    robot.executor.on_e_stop(False, robot.now)
    assert robot.act(FORWARD) == ''
    began = robot.now
    while robot.tick() != ZERO:
        assert robot.now - began < 0.35
    assert robot.status.state is State.ESTOPPED and 'silent' in robot.status.message
    robot.executor.on_e_stop(False, robot.now)  # its coming back does not undo it
    robot.assert_stands()
    assert robot.status.state is State.ESTOPPED
    robot.executor.on_e_stop(False, robot.now)
    assert robot.executor.reset()[0]
    assert robot.status.state is State.IDLE


def test_an_old_release_that_comes_by_a_slower_way_does_not_hide_a_press():
    robot = Robot()
    robot.executor.on_e_stop(True, robot.now, sent=5.0)
    robot.executor.on_e_stop(False, robot.now, sent=4.9)
    assert 'still pressed' in robot.executor.reset()[1]
    robot.executor.on_e_stop(False, robot.now, sent=5.1)
    assert robot.executor.reset()[0]


def test_nothing_moves_before_a_latched_e_stop_had_its_time_to_arrive():
    robot = Robot()
    robot.executor.e_stop.listening = False
    assert 'just started' in robot.act(FORWARD)
    robot.executor.e_stop.listening = True
    assert robot.act(FORWARD) == ''


@pytest.mark.parametrize('heard', [True, False])
def test_a_publisher_that_latches_is_waited_for(heard):
    robot = Robot()
    button = robot.executor.e_stop
    button.start(100.0)
    button.listen(False, 100.9)
    assert not button.listening
    button.listen(True, 101.5)
    button.listen(True, 111.4)
    assert not button.listening and 'just started' in robot.act(FORWARD)
    if heard:
        robot.executor.on_e_stop(False, robot.now)
    button.listen(not button.heard, 111.6)
    assert button.listening and robot.act(FORWARD) == ''


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
