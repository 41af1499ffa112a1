"""The episode's state machine: waits, time-outs, stuck robots, and what must never happen."""

from janusvln_ros.action import Navigate
from janusvln_ros.actions import Action
import janusvln_ros.msg as messages
from janusvln_ros.navigation.mission import (
    Mission,
    MissionParameters,
    Motion,
    MotionReport,
    Reason,
    Result,
    State,
)
from mission_robot import EVEN, Robot, SECOND
import pytest

STOP, MOVE_FORWARD, TURN_LEFT, TURN_RIGHT = Action


def test_constants_are_those_of_the_messages():
    for enum, message, prefix in (
        (State, messages.NavigatorStatus, 'STATE_'),
        (Reason, messages.NavigatorStatus, 'REASON_'),
        (Motion, messages.MotionStatus, 'STATE_'),
        (Result, messages.MotionStatus, 'RESULT_'),
    ):
        for member in enum:
            assert getattr(message, prefix + member.name) == member
    for member in list(Reason)[1:]:
        assert getattr(Navigate.Result, member.name) == member
    assert [
        messages.NavigationAction.STOP,
        messages.NavigationAction.MOVE_FORWARD,
        messages.NavigationAction.TURN_LEFT,
        messages.NavigationAction.TURN_RIGHT,
    ] == [STOP, MOVE_FORWARD, TURN_LEFT, TURN_RIGHT]


def test_decides_moves_and_stops():
    robot = Robot()
    assert robot.mission.state == State.WAITING_FRAME
    assert robot.do(MOVE_FORWARD) == MOVE_FORWARD
    assert robot.do(TURN_LEFT) == TURN_LEFT
    assert robot.decide(STOP) == STOP
    assert robot.outcome() == (Reason.SUCCEEDED, 'the policy answered STOP')
    assert robot.mission.step == 3 and robot.mission.state == State.IDLE


def test_frame_taken_before_the_motion_ended_is_not_used():
    robot = Robot()
    robot.decide(MOVE_FORWARD)
    robot.now += 1
    assert robot.mission.state == State.WAITING_MOTION and not robot.takes()
    robot.report(Motion.MOVING, Result.NONE)
    assert not robot.takes()
    robot.report(Motion.SETTLING, Result.NONE)
    assert not robot.takes()
    robot.report()
    assert not robot.takes(-0.01)
    assert robot.takes(0.0)


def test_frame_newer_than_the_status_waits_for_it():
    robot = Robot()
    robot.decide(MOVE_FORWARD)
    robot.now += 1
    end = robot.ns(-0.05)
    assert not robot.takes()
    robot.report(motion_end=end)
    assert robot.takes()


def test_status_of_an_older_action_does_not_end_the_wait():
    robot = Robot()
    robot.do(MOVE_FORWARD)
    robot.decide(MOVE_FORWARD)
    robot.report(step=0)
    assert robot.mission.state == State.WAITING_MOTION


def test_one_frame_is_used_once():
    robot = Robot()
    robot.decide(MOVE_FORWARD)
    stamp = robot.ns(-0.1)
    robot.report(result=Result.DROPPED, motion_end=0)
    assert not robot.mission.takes_frame(stamp, robot.ns())
    assert robot.takes()


def test_new_episode_waits_for_the_motion_of_the_one_it_replaces():
    moving = MotionReport(Motion.MOVING, instruction_id='old', step=4)
    robot = Robot(report=moving, awaiting=('old', 4))
    assert not robot.takes()
    robot.report(instruction_id='old', step=4, result=Result.BLOCKED)
    assert robot.takes() and not robot.mission.ended


def test_action_that_the_executor_never_received_is_forgotten():
    robot = Robot(awaiting=('old', 4))
    robot.report(instruction_id='', step=0, result=Result.NONE)
    assert not robot.takes()
    robot.wait(0.7)
    assert robot.takes()


@pytest.mark.parametrize(
    'report, awaiting, status, expected',
    [
        (None, None, False, 'no status from motion_executor for 2 s'),
        (MotionReport(), None, False, 'no status from motion_executor for 2 s'),
        (MotionReport(), None, True, 'no usable camera frame for 2 s'),
        (MotionReport(Motion.FAULT, message='no odom'), None, True, 'takes no action: no odom'),
    ],
)
def test_lost_input_ends_the_episode(report, awaiting, status, expected):
    robot = Robot(report, awaiting)
    if report:
        robot.mission.reported(report, robot.ns())
    robot.wait(1.8, status)
    assert not robot.mission.ended
    robot.wait(1.0, status)
    reason, message = robot.outcome()
    assert reason == Reason.INPUT_LOST and expected in message


@pytest.mark.parametrize(
    'offset, says', [(-5.0, 'was taken 5.0 s ago'), (-0.5, 'before the last motion ended')]
)
def test_unusable_frames_are_explained(offset, says):
    robot = Robot()
    robot.do(MOVE_FORWARD)
    assert not robot.takes(offset)
    robot.wait(3)
    assert robot.mission.reason == Reason.INPUT_LOST and says in robot.mission.message


def test_refused_frames_are_explained():
    robot = Robot()
    robot.mission.frame_refused('step is 3 bytes')
    robot.wait(3)
    assert 'step is 3 bytes' in robot.mission.message


def test_short_fault_is_waited_out():
    robot = Robot()
    robot.report(Motion.FAULT)
    robot.wait(1.5)
    robot.report()
    robot.wait(1.0)
    assert robot.takes()


@pytest.mark.parametrize(
    'result, reason',
    [
        (Result.CANCELED, Reason.CANCELED),
        (Result.INPUT_LOST, Reason.INPUT_LOST),
        (Result.ESTOPPED, Reason.ESTOPPED),
        (Result.BAD_INPUT, Reason.MOTION_FAILED),
    ],
)
def test_result_that_ends_the_episode(result, reason):
    robot = Robot()
    robot.do(MOVE_FORWARD, state=Motion.FAULT, result=result, message='because')
    assert robot.mission.reason == reason and 'because' in robot.mission.message


@pytest.mark.parametrize(
    'result, reason',
    [
        (Result.BLOCKED, Reason.BLOCKED),
        (Result.TIMEOUT, Reason.MOTION_FAILED),
        (Result.DROPPED, Reason.MOTION_FAILED),
    ],
)
def test_failed_motions_are_tried_again_a_few_times(result, reason):
    robot = Robot(max_failed_motions=3)
    for _ in range(2):
        robot.do(MOVE_FORWARD, result=result, progress=0.1)
    robot.do(MOVE_FORWARD)
    for _ in range(2):
        robot.do(TURN_LEFT, result=result, progress=0.1)
        assert not robot.mission.ended
    robot.do(TURN_LEFT, result=result, progress=0.1)
    assert robot.mission.reason == reason


def test_estop_ends_the_episode_in_any_state():
    robot = Robot()
    robot.report(Motion.ESTOPPED, Result.NONE)
    assert robot.mission.reason == Reason.ESTOPPED


def test_motion_that_never_ends():
    robot = Robot(motion_timeout=5.0)
    robot.decide(MOVE_FORWARD)
    robot.report(Motion.MOVING, Result.NONE)
    robot.wait(4.8)
    assert not robot.mission.ended
    robot.wait(1.0)
    assert robot.mission.reason == Reason.MOTION_FAILED


def test_too_many_steps_end_after_the_last_motion():
    robot = Robot(max_steps=3)
    robot.do(MOVE_FORWARD)
    robot.do(MOVE_FORWARD)
    robot.decide(MOVE_FORWARD)
    assert not robot.mission.ended
    robot.report()
    assert robot.outcome() == (Reason.TIMEOUT, 'not done after 3 steps')


def test_too_long_an_episode_without_its_pauses():
    robot = Robot(max_duration=10.0, frame_timeout=100.0)
    robot.wait(6)
    robot.mission.pause(robot.ns())
    robot.wait(60)
    robot.mission.resume(robot.ns())
    robot.wait(3.5)
    assert not robot.mission.ended
    robot.wait(1)
    assert robot.outcome() == (Reason.TIMEOUT, 'not done after 10 s')


def test_decision_that_a_pause_overtook_is_not_carried_out():
    robot = Robot()
    robot.mission.begin_decision(robot.ns(), robot.ns(), 1)
    robot.mission.pause(robot.ns())
    assert robot.mission.decided(MOVE_FORWARD, EVEN, robot.ns()) is None
    robot.wait(60)
    assert robot.mission.state == State.PAUSED
    robot.mission.resume(robot.ns())
    robot.now += 0.1
    assert robot.takes()


def test_decision_after_the_end_is_not_carried_out():
    robot = Robot()
    robot.mission.begin_decision(robot.ns(), robot.ns(), 1)
    robot.mission.end(Reason.CANCELED, 'canceled')
    assert robot.mission.decided(MOVE_FORWARD, EVEN, robot.ns()) is None
    robot.mission.end(Reason.TIMEOUT, 'later')
    assert robot.outcome() == (Reason.CANCELED, 'canceled')


def test_continuous_mode_decides_while_the_robot_moves_at_its_period():
    robot = Robot(execution_mode='continuous', decision_period=0.5)
    robot.decide(MOVE_FORWARD)
    robot.report(Motion.MOVING, Result.NONE)
    assert not robot.takes()
    robot.now += 0.5
    assert robot.takes()


def test_instruction_that_comes_before_the_clock_waits_for_it():
    mission = Mission('a', 'go', MissionParameters(), 0)
    mission.check(0)
    mission.check(50 * SECOND)
    assert not mission.ended
    mission.check(53 * SECOND)
    assert mission.reason == Reason.INPUT_LOST


def test_clock_that_jumps_back_restarts_the_waits():
    robot = Robot()
    robot.now = 50.0
    robot.wait(1.5)
    assert not robot.mission.ended
    robot.wait(1.0)
    assert robot.mission.reason == Reason.INPUT_LOST


@pytest.mark.parametrize('mode', ['step', 'continuous'])
@pytest.mark.parametrize(('action', 'progress'), [(1, 0.25), (2, 0.26)])
def test_same_picture_after_a_motion_ends_the_episode(mode, action, progress):
    robot = Robot(execution_mode=mode, decision_period=0.0)
    robot.decide(action, picture=7)
    robot.report(progress=progress)
    assert robot.decide(action, picture=7) is None
    reason, message = robot.outcome()
    assert reason == Reason.INPUT_LOST and 'same picture' in message


def test_same_picture_is_all_right_while_the_robot_stands_or_its_way_is_not_known():
    robot = Robot(max_recoveries=0, push_steps=9)
    for _ in range(3):
        robot.decide(1, picture=7)
        robot.report(result=Result.BLOCKED, progress=0.01)
    for _ in range(3):
        robot.decide(1, picture=7)
        robot.report(open_loop=True)
    assert not robot.mission.ended
