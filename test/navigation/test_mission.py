"""The episode's state machine: waits, time-outs, stuck robots, and what must never happen."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, RuleBasedStateMachine
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
from janusvln_ros.parameters import build
import pytest

STOP, MOVE_FORWARD, TURN_LEFT, TURN_RIGHT = Action
SECOND = 1_000_000_000
EVEN = (0.25, 0.25, 0.25, 0.25)


class Robot:
    """Plays camera, clock and executor for one mission; time in seconds."""

    def __init__(self, report=MotionReport(), awaiting=None, **limits):  # noqa: B008
        self.now = 100.0
        self.mission = Mission(
            'a', 'go', build(MissionParameters, limits), self.ns(), report, awaiting
        )

    def ns(self, offset=0.0):
        return round((self.now + offset) * SECOND)

    def wait(self, seconds, status=True, step=0.1):
        """Let time pass in small steps, with the executor's heartbeat or without."""
        end = self.now + seconds
        while self.now < end and not self.mission.ended:
            self.now += step
            if status and self.mission.report:
                self.mission.reported(self.mission.report, self.ns())
            self.mission.check(self.ns())

    def takes(self, offset=0.0):
        return self.mission.takes_frame(self.ns(offset), self.ns())

    def decide(self, action, probabilities=EVEN):
        self.now += 0.1
        assert self.takes(), self.mission.state
        self.mission.begin_decision(self.ns(), self.ns())
        assert self.mission.state == State.DECIDING
        self.now += 0.1
        return self.mission.decided(action, probabilities, self.ns())

    def report(self, state=Motion.IDLE, result=Result.SUCCEEDED, progress=0.25, **other):
        step = self.mission.step - 1 if self.mission.step else 0
        fields = {'instruction_id': 'a', 'step': step, 'motion_end': self.ns(), **other}
        self.mission.reported(MotionReport(state, result, progress=progress, **fields), self.ns())

    def do(self, action, **report):
        """Decide and carry out one action."""
        done = self.decide(action)
        if done is not None:
            self.now += 1.0
            self.report(**report)
        return done

    def outcome(self):
        return self.mission.reason, self.mission.message


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
    robot.mission.begin_decision(robot.ns(), robot.ns())
    robot.mission.pause(robot.ns())
    assert robot.mission.decided(MOVE_FORWARD, EVEN, robot.ns()) is None
    robot.wait(60)
    assert robot.mission.state == State.PAUSED
    robot.mission.resume(robot.ns())
    robot.now += 0.1
    assert robot.takes()


def test_decision_after_the_end_is_not_carried_out():
    robot = Robot()
    robot.mission.begin_decision(robot.ns(), robot.ns())
    robot.mission.end(Reason.CANCELED, 'canceled')
    assert robot.mission.decided(MOVE_FORWARD, EVEN, robot.ns()) is None
    robot.mission.end(Reason.TIMEOUT, 'later')
    assert robot.outcome() == (Reason.CANCELED, 'canceled')


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
    robot = Robot(spin_steps=5, dither_steps=4, push_steps=3, max_failed_motions=99)
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


class AnyOrder(RuleBasedStateMachine):
    """Whatever comes in whatever order, no frame from before a motion's end is decided on."""

    @initialize(steps=st.integers(1, 6), pushes=st.integers(1, 3), recoveries=st.integers(0, 2))
    def start(self, steps, pushes, recoveries):
        self.robot = Robot(max_steps=steps, push_steps=pushes, max_recoveries=recoveries)
        self.mission = self.robot.mission
        self.sent = 0
        self.running = False

    @rule(seconds=st.sampled_from([0.01, 0.3, 3.0, -1.0, 40.0]))
    def time_passes(self, seconds):
        self.robot.now += seconds
        self.mission.check(self.robot.ns())

    @rule(
        state=st.sampled_from(Motion),
        result=st.sampled_from(Result),
        right=st.booleans(),
        progress=st.sampled_from([0.0, 0.25, float('nan'), -1.0]),
    )
    def executor_reports(self, state, result, right, progress):
        step = self.mission.step - 1 if right and self.mission.step else 77
        self.robot.report(state, result, progress, step=step)

    @rule(offset=st.sampled_from([-5.0, -0.2, 0.0, 0.2]))
    def frame_comes(self, offset):
        if not self.running and self.robot.takes(offset):
            report = self.mission.report
            assert report.state == Motion.IDLE and self.mission.awaiting is None
            assert self.robot.ns(offset) >= report.motion_end
            self.mission.begin_decision(self.robot.ns(offset), self.robot.ns())
            self.running = True

    @rule(action=st.integers(0, 3))
    def policy_answers(self, action):
        if self.running:
            self.running = False
            allowed = self.mission.state == State.DECIDING
            done = self.mission.decided(action, EVEN, self.robot.ns())
            assert allowed or done is None
            self.sent += done is not None

    @rule()
    def pause(self):
        self.mission.pause(self.robot.ns())

    @rule()
    def resume(self):
        self.mission.resume(self.robot.ns())

    @invariant()
    def bounded(self):
        if hasattr(self, 'mission'):
            assert self.sent == self.mission.step <= self.mission.parameters.max_steps
            assert self.mission.ended == bool(self.mission.message)


AnyOrder.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase
