"""An executor that is deactivated."""

from janusvln_ros.motion.commands import Command, Kind
from janusvln_ros.motion.safety.activity import INACTIVE
from janusvln_ros.motion.types import Result, State
import pytest
from robot import FORWARD, LEFT, Robot, STOP, ZERO


@pytest.mark.parametrize('mode', ['step', 'continuous'])
def test_deactivated_while_driving_it_brakes_within_the_limits_and_stays(mode):
    robot = Robot.on_the_way(execution_mode=mode, max_linear_acceleration=0.5)
    robot.executor.activity.active = False
    speed = robot.commanded.linear
    while robot.commanded.linear:
        robot.tick()
        assert robot.status.state is State.MOVING or not robot.commanded.linear
        assert abs(robot.commanded.linear - speed) < 0.5 * 0.02 + 1e-9
        speed = robot.commanded.linear
    robot.assert_stands()
    assert robot.status.state is State.FAULT and robot.status.message == INACTIVE
    assert robot.status.result is Result.CANCELED


@pytest.mark.parametrize('output', ['velocity', 'command'])
def test_nothing_moves_it_until_it_is_activated(output):
    robot = Robot(output=output)
    robot.executor.activity.active = False
    robot.run(0.5)
    robot.executor.base.take_command()
    assert robot.act(FORWARD) == INACTIVE
    assert robot.ask(Command(Kind.MOVE, 0.5)) == INACTIVE
    assert robot.executor.base.take_command() is None
    robot.act(STOP)
    robot.assert_stands()
    robot.executor.activity.active = True
    robot.assert_stands()
    if output == 'velocity':
        assert robot.do(LEFT)[1] < 0.02


def test_base_of_commands_is_told_to_stop():
    robot = Robot(output='command')
    robot.act(FORWARD)
    robot.run(0.1)
    assert robot.executor.base.take_command().command.kind is Kind.MOVE
    robot.executor.activity.active = False
    robot.tick()
    assert robot.executor.base.take_command().command.kind is Kind.STOP
    robot.run(2.0)
    assert robot.executor.stands and robot.status.result is Result.CANCELED


def test_fault_while_it_brakes_halts_it_at_once():
    robot = Robot.on_the_way()
    robot.executor.activity.active = False
    robot.run(0.1)
    assert robot.commanded != ZERO
    robot.executor.on_e_stop(True, robot.now)
    assert robot.tick() == ZERO
    robot.executor.on_e_stop(False, robot.now)
    assert robot.executor.reset()[0]
    robot.run(0.1)
    assert robot.status.message == INACTIVE
