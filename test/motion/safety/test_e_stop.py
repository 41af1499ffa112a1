"""The e-stop is immediate and latched."""

from janusvln_ros.motion.safety.e_stop import Origin
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
    robot.executor.on_e_stop(True, robot.now, Origin(5.0))
    robot.executor.on_e_stop(False, robot.now, Origin(4.9))
    assert 'still pressed' in robot.executor.reset()[1]
    robot.executor.on_e_stop(False, robot.now, Origin(5.1))
    assert robot.executor.reset()[0]


@pytest.mark.parametrize(
    'messages',
    [
        'A1 B1 a2 b2',
        'a1 b1 A2 B2 b3 a3',
        'a1 B1 a2 a3 a4 b2',  # one repeats that it is released
        'a7 B3 a8 a9 b4',
        'A3 b500 b501 a4',  # the other is heard of later
        'a1 B1 a2 b2 A3 B3 b4 a4',
        'A1 B1 B1 b2 B1 b2 a2',  # copies
        'B1 b2',
    ],
)
def test_each_button_has_to_be_released(messages):
    robot = Robot()
    held = set()
    for at, message in enumerate(messages.split()):
        name, pressed = message[0].lower(), message[0].isupper()
        copy = message in messages.split()[:at]
        at = messages.split().index(message)
        robot.executor.on_e_stop(pressed, robot.now, Origin(float(at), int(message[1:]), 2))
        if not copy:
            (held.add if pressed else held.discard)(name)
        assert robot.executor.reset()[0] == (not held), message
    assert not held


def test_a_button_whose_node_starts_again_can_be_released():
    robot = Robot()
    robot.executor.on_e_stop(True, robot.now, Origin(1.0, 7, 1))
    robot.executor.on_e_stop(False, robot.now, Origin(2.0, 1, 1))
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
