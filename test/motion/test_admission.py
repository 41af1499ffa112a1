"""Which requests are taken up: order, amounts, ages."""

import math

from janusvln_ros.motion.commands import Command, Kind
from janusvln_ros.motion.types import Result, State
import pytest
from robot import FORWARD, LEFT, Robot, START, STOP

CONTINUOUS = {'execution_mode': 'continuous', 'navigator_timeout': 0.0}


def test_action_while_another_moves_is_dropped_in_step_mode():
    robot = Robot()
    robot.act(FORWARD)
    robot.run(0.5)
    assert robot.act(LEFT) == 'another action was moving'
    assert robot.status.result is Result.DROPPED and robot.status.state is State.MOVING
    assert robot.status.request.step == 1
    robot.run_until_standing()
    assert robot.status.result is Result.DROPPED  # still what became of step 1
    assert robot.base.pose.seen_from(START)[0] == pytest.approx(0.25, abs=0.01)


def test_duplicates_and_old_steps_are_not_executed():
    robot = Robot()
    robot.act(FORWARD, step=4)
    assert 'not newer' in robot.act(FORWARD, step=4)
    assert robot.status.result is Result.NONE  # of the one that is moving
    robot.run_until_standing()
    before = robot.status
    assert 'not newer' in robot.act(LEFT, step=4)
    assert 'not newer' in robot.act(LEFT, step=3)
    assert robot.status == before
    assert robot.act(LEFT, step=0, instruction_id='b') == ''
    robot.run_until_standing()
    assert 'replaced' in robot.act(LEFT, step=9)  # of the first instruction
    assert robot.status.request.instruction_id == 'b'
    robot.assert_stands()


def test_late_stop_of_a_replaced_instruction_stops_and_nothing_else():
    robot = Robot()
    robot.do(LEFT)
    robot.act(FORWARD, instruction_id='b', step=0)
    robot.run(0.5)
    robot.act(STOP, instruction_id='a')
    robot.run_until_standing()
    assert robot.status.request.instruction_id == 'b'
    assert robot.status.result is Result.CANCELED
    assert robot.act(FORWARD, instruction_id='b', step=1) == ''


def test_by_hand_without_an_instruction_every_action_counts():
    robot = Robot()
    robot.do(LEFT)
    for _ in range(2):
        assert robot.act(LEFT, instruction_id='', step=0, stamp=0.0) == ''
        robot.run_until_standing()
    assert robot.base.pose.yaw == pytest.approx(2.0 + math.radians(45.0), abs=0.03)
    assert robot.act(LEFT) == ''  # the episode goes on


@pytest.mark.parametrize('amount', [0.0, math.nan, math.inf, -math.inf, 6.0, -0.25])
def test_senseless_moves_are_refused(amount):
    robot = Robot()
    reason = robot.ask(Command(Kind.MOVE, amount))
    assert reason and robot.status.result is Result.BAD_INPUT
    assert robot.status.message == reason
    robot.assert_stands()


@pytest.mark.parametrize(
    ('age', 'result', 'word'), [(2.5, Result.DROPPED, 'old'), (-1.0, Result.BAD_INPUT, 'future')]
)
def test_decision_from_a_wrong_time_is_not_executed(age, result, word):
    robot = Robot(**CONTINUOUS)
    robot.run(3.0)
    assert word in robot.act(FORWARD, stamp=robot.now - age)
    assert robot.status.result is result
    robot.assert_stands()


def test_decision_from_before_the_odometry_is_dropped():
    robot = Robot(**CONTINUOUS, max_decision_age=50.0)
    robot.run(12.0)
    assert 'no odometry from the time' in robot.act(FORWARD, stamp=robot.now - 11.9)
