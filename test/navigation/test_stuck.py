"""Robots that are stuck, and ways out of it."""

from janusvln_ros.actions import Action
from janusvln_ros.navigation.mission import Motion, Reason, Result
from mission_robot import Robot
import pytest

STOP, MOVE_FORWARD, TURN_LEFT, TURN_RIGHT = Action


@pytest.mark.parametrize(
    'actions, report, says',
    [
        ([TURN_LEFT] * 5, {}, '5 turns in one direction'),
        ([TURN_RIGHT] * 5, {}, '5 turns in one direction'),
        ([TURN_LEFT, TURN_RIGHT] * 2, {}, '4 turns to and fro'),
        ([TURN_LEFT, TURN_LEFT, TURN_RIGHT, TURN_RIGHT], {}, '4 turns to and fro'),
        ([MOVE_FORWARD] * 4, {'progress': 0.01}, '3 forward motions did'),
        ([MOVE_FORWARD] * 4, {'progress': 0.0, 'result': Result.TIMEOUT}, '3 forward motions did'),
    ],
)
def test_stuck_robot_ends_the_episode(actions, report, says):
    robot = Robot(
        spin_steps=5, dither_steps=4, push_steps=3, max_failed_motions=99, max_recoveries=0
    )
    for action in actions[:-1]:
        assert robot.do(action, **report) == action
    assert robot.decide(actions[-1]) is None
    assert robot.mission.reason == Reason.STUCK and says in robot.mission.message


@pytest.mark.parametrize(
    'actions, report',
    [
        ([TURN_LEFT] * 4 + [MOVE_FORWARD] + [TURN_LEFT] * 4, {}),
        ([TURN_LEFT, TURN_LEFT, TURN_LEFT, TURN_RIGHT, MOVE_FORWARD] * 3, {}),
        ([MOVE_FORWARD] * 20, {}),
        ([MOVE_FORWARD] * 20, {'progress': 0.0, 'open_loop': True}),
        ([MOVE_FORWARD] * 3 + [STOP], {'progress': 0.0}),
    ],
)
def test_robot_that_gets_on_is_left_alone(actions, report):
    robot = Robot(spin_steps=5, dither_steps=6, push_steps=3)
    assert [robot.do(action, **report) for action in actions] == actions
    assert robot.mission.reason in (Reason.NONE, Reason.SUCCEEDED)


def test_recovery_takes_the_likeliest_other_action_a_bounded_number_of_times():
    robot = Robot(spin_steps=5, push_steps=3, max_recoveries=2)
    for _ in range(3):
        robot.do(MOVE_FORWARD, progress=0.0)
    assert robot.decide(MOVE_FORWARD, (0.05, 0.6, 0.15, 0.2)) == TURN_RIGHT
    robot.report()
    for _ in range(4):
        robot.do(TURN_LEFT)
    assert robot.decide(TURN_LEFT) == MOVE_FORWARD
    robot.report()
    for _ in range(4):
        robot.do(TURN_LEFT)
    assert robot.decide(TURN_LEFT) is None and robot.mission.reason == Reason.STUCK


def test_blocked_robot_turns_instead_a_bounded_number_of_times():
    robot = Robot(max_recoveries=2, max_failed_motions=3, push_steps=9)
    turns = (0.05, 0.6, 0.15, 0.2)
    for _ in range(2):
        assert robot.do(MOVE_FORWARD, result=Result.BLOCKED, progress=0.0) == MOVE_FORWARD
        assert robot.decide(MOVE_FORWARD, turns) == TURN_RIGHT
        robot.report()
    for _ in range(3):
        assert robot.do(MOVE_FORWARD, result=Result.BLOCKED, progress=0.0) == MOVE_FORWARD
    assert robot.mission.reason == Reason.BLOCKED


def test_blocked_robot_whose_policy_turns_away_needs_no_recovery():
    robot = Robot(max_recoveries=1)
    robot.do(MOVE_FORWARD, result=Result.BLOCKED, progress=0.0)
    assert robot.do(TURN_LEFT) == TURN_LEFT
    assert robot.do(MOVE_FORWARD) == MOVE_FORWARD
    robot.do(MOVE_FORWARD, result=Result.BLOCKED, progress=0.0)
    assert robot.decide(MOVE_FORWARD) in (TURN_LEFT, TURN_RIGHT)


@pytest.mark.parametrize('turns', [(TURN_LEFT, TURN_RIGHT), (TURN_RIGHT, TURN_LEFT)])
def test_same_furniture_is_not_pushed_again_and_again_with_turns_in_between(turns):
    robot = Robot(max_recoveries=2)
    pushes = 0
    while not robot.mission.ended and pushes < 50:
        blocked = {'result': Result.BLOCKED, 'progress': 0.01, 'message': 'a wall?'}
        pushes += robot.do(MOVE_FORWARD, **blocked) == MOVE_FORWARD
        for turn in turns * (not robot.mission.ended):
            robot.do(turn, progress=0.26)
    assert pushes == 3
    reason, message = robot.outcome()
    assert reason == Reason.BLOCKED and '3 forward motions' in message and 'a wall?' in message


@pytest.mark.parametrize('way', [[MOVE_FORWARD] * 3, [TURN_LEFT] * 6])
def test_robot_may_push_elsewhere(way):
    robot = Robot(max_recoveries=0)
    for _ in range(4):
        for _ in range(2):
            assert robot.do(MOVE_FORWARD, result=Result.BLOCKED, progress=0.0) == MOVE_FORWARD
        for action in way:
            assert robot.do(action) == action
    assert not robot.mission.ended


def test_way_between_two_pushes_counts_in_continuous_mode_too():
    robot = Robot(execution_mode='continuous', decision_period=0.0, max_recoveries=0)
    for _ in range(4):
        assert robot.do(MOVE_FORWARD, result=Result.BLOCKED, progress=0.0) == MOVE_FORWARD
        for _ in range(3):  # each is replaced by the next before it ends
            assert robot.decide(MOVE_FORWARD) == MOVE_FORWARD
            robot.report(Motion.MOVING, Result.NONE)
    assert not robot.mission.ended


def test_recoveries_can_be_switched_off():
    robot = Robot(max_recoveries=0, push_steps=9)
    for _ in range(4):
        assert robot.do(MOVE_FORWARD, result=Result.BLOCKED, progress=0.0) == MOVE_FORWARD
