"""
One episode of the navigator: when to decide, when to wait, when to give up.

A state machine without ROS, threads or clocks: the node tells it what happened and when, and asks
what to do. Times are nanoseconds of one clock; limits are seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
import math

from janusvln_ros.actions import Action, FORWARD_STEP, TURN_STEP
from janusvln_ros.motion.geometry import Pose
from janusvln_ros.motion.types import Mode, Result
from janusvln_ros.motion.types import State as Motion
from janusvln_ros.navigation.stuck import StuckDetector, StuckParameters
from janusvln_ros.parameters import Changes, group, parameter

_NANO = 1_000_000_000
_MOVED, _TURNED = FORWARD_STEP / 2.0, TURN_STEP / 2.0  # a picture must change over so much
_FORGET = _NANO // 2  # an executor that stands this long never received the older episode's action


class State(IntEnum):
    """NavigatorStatus.STATE_*."""

    INACTIVE = 0
    IDLE = 1
    WAITING_FRAME = 2
    DECIDING = 3
    WAITING_MOTION = 4
    PAUSED = 5


class Reason(IntEnum):
    """NavigatorStatus.REASON_*, and the result codes of the Navigate action."""

    NONE = 0
    SUCCEEDED = 1
    CANCELED = 2
    PREEMPTED = 3
    TIMEOUT = 4
    STUCK = 5
    INPUT_LOST = 6
    BLOCKED = 7
    ESTOPPED = 8
    POLICY_ERROR = 9
    MOTION_FAILED = 10


_LONGEST_MESSAGE = 500  # characters: what came in is not echoed without a bound


def shortened(text: str) -> str:
    """Return a text, cut where it is too long to be passed on."""
    return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + ' ...'


_FATAL = {
    Result.CANCELED: Reason.CANCELED,
    Result.INPUT_LOST: Reason.INPUT_LOST,
    Result.ESTOPPED: Reason.ESTOPPED,
    Result.BAD_INPUT: Reason.MOTION_FAILED,
}


@dataclass(frozen=True)
class MissionParameters:
    """How long an episode may wait, try and last; a change holds from the next instruction on."""

    execution_mode: Mode = parameter(
        Mode.STEP,
        'step: decide from a frame taken after the last motion ended; continuous: keep '
        "deciding while the robot moves. The same as motion_executor's.",
    )
    decision_period: float = parameter(
        0.5, 'Least time between decisions in continuous mode.', unit='s', low=0.0, high=60.0
    )
    max_steps: int = parameter(
        400, 'Decisions after which an episode ends with TIMEOUT.', low=1, high=100000
    )
    max_duration: float = parameter(
        1800.0, 'Time after which an episode ends with TIMEOUT.', unit='s', low=1.0, high=1e6
    )
    frame_timeout: float = parameter(
        2.0,
        'Wait for a usable frame, and age of a frame, that end an episode with INPUT_LOST.',
        unit='s',
        low=0.1,
        high=600.0,
    )
    frame_ahead: float = parameter(
        0.1,
        'A frame stamped further ahead of the clock is not used.',
        unit='s',
        low=0.0,
        high=10.0,
    )
    status_timeout: float = parameter(
        2.0,
        'Silence or fault of motion_executor that ends an episode with INPUT_LOST.',
        unit='s',
        low=0.1,
        high=600.0,
    )
    motion_timeout: float = parameter(
        30.0,
        'Wait for the end of a motion that ends an episode with MOTION_FAILED.',
        unit='s',
        low=0.5,
        high=600.0,
    )
    max_failed_motions: int = parameter(
        5,
        'Motions failing in a row that end an episode with BLOCKED or MOTION_FAILED.',
        low=1,
        high=1000,
    )
    stuck: StuckParameters = group(StuckParameters, changes=Changes.ALWAYS)

    @property
    def continuous(self) -> bool:
        """Tell whether decisions are taken while the robot moves."""
        return self.execution_mode is Mode.CONTINUOUS


@dataclass(frozen=True)
class MotionReport:
    """What a MotionStatus says; motion_end in nanoseconds, progress in metres or radians."""

    state: int = Motion.IDLE
    result: int = Result.NONE
    instruction_id: str = ''
    step: int = 0
    motion_end: int = 0
    progress: float = 0.0
    open_loop: bool = False
    message: str = ''
    session_id: str = ''  # of the run of motion_executor; '' where it does not tell
    execution_mode: Mode | None = None  # None where it does not tell

    @property
    def action_id(self) -> tuple[str, int]:
        """Name the action that the report is about."""
        return self.instruction_id, self.step


def mode_trouble(report: MotionReport, parameters: MissionParameters) -> str:
    """Say that motion_executor does not execute as it is decided here; '' when it does."""
    mode = parameters.execution_mode
    if report.execution_mode in (None, mode):
        return ''
    return (
        f'execution_mode of motion_executor is {report.execution_mode.value}, that of '
        f'the navigator {mode.value}: give both the same'
    )


class Mission:
    """
    Follow one instruction from its arrival to its outcome.

    While it runs, `reason` is NONE, and `message` a doubt about it, if there is one. Once it has
    ended, they say how, and nothing changes them any more.
    """

    def __init__(
        self,
        instruction_id: str,
        instruction: str,
        parameters: MissionParameters,
        now: int,
        report: MotionReport | None = None,
        awaiting: tuple[str, int] | None = None,
    ) -> None:
        """
        Start at time now.

        report is the newest motion status, awaiting the last action sent to the executor whose end
        it has not reported yet.
        """
        self.instruction_id = instruction_id
        self.instruction = instruction
        self.parameters = parameters
        self.step = 0
        self.reason = Reason.NONE
        self.message = ''
        self.awaiting = awaiting
        self.report = report
        self._reported_at = now
        self._now = now
        self._age = 0  # ns that the episode has run, pauses left out
        self._state = State.WAITING_MOTION
        self._state_since = self._started_at = now
        self._fault_since: int | None = None
        self._decided_at: int | None = None
        self._last_stamp: int | None = None
        self._frame_trouble = ''
        self._refused = False  # a frame since the last decision
        self._seen: tuple[int, Pose] | None = None  # the last picture, and where it was first seen
        self._stuck = StuckDetector(parameters.stuck)
        self._failures = 0
        self._follow_motion(now)

    @property
    def ended(self) -> bool:
        """Tell whether the episode is over."""
        return self.reason != Reason.NONE

    @property
    def state(self) -> State:
        """Return what the episode is waiting for."""
        return State.IDLE if self.ended else self._state

    def end(self, reason: Reason, message: str) -> None:
        """End the episode, unless it has ended already."""
        if not self.ended:
            self.reason, self.message = reason, shortened(message)

    def pause(self, now: int) -> None:
        """Take no decisions until resume; a motion under way is finished."""
        self.check(now)
        self._enter(State.PAUSED, now)

    def resume(self, now: int) -> None:
        """Go on after a pause; all waits begin anew."""
        if self._state == State.PAUSED:
            self.check(now)
            self._reported_at = now
            self._fault_since = None
            self._enter(State.WAITING_MOTION, now)
            self._follow_motion(now)

    def reported(self, report: MotionReport, now: int) -> None:
        """Take in a motion status that arrived at time now."""
        if self.report and self.report.session_id != report.session_id:
            self.end(
                Reason.MOTION_FAILED,
                'motion_executor was restarted, or a second one is at work '
                f'(session {report.session_id[:8]} after {self.report.session_id[:8]})',
            )
        trouble = mode_trouble(report, self.parameters)
        if trouble:
            self.end(Reason.MOTION_FAILED, trouble)
        self.report, self._reported_at = report, now
        if report.state == Motion.ESTOPPED:
            self.end(Reason.ESTOPPED, report.message or 'the e-stop is pressed')
        if report.action_id == (self.instruction_id, self.step - 1):
            self._stuck.progressed(report.progress)
        moving = report.state in (Motion.MOVING, Motion.SETTLING)
        if self.awaiting == report.action_id and not moving and report.result != Result.NONE:
            self.awaiting = None
            if report.instruction_id == self.instruction_id:
                self._motion_ended(report)
        elif (
            self.awaiting
            and self.awaiting[0] != self.instruction_id
            and not moving
            and now - self._started_at > _FORGET
        ):
            self.awaiting = None
        if report.state != Motion.FAULT:
            self._fault_since = None
        elif self._fault_since is None:
            self._fault_since = now
        self._follow_motion(now)

    def frame_refused(self, why: str) -> None:
        """Remember why a frame could not be used, for the case that no other comes."""
        self._frame_trouble, self._refused = why, True

    def takes_frame(self, stamp: int, now: int, arrived: int | None = None) -> bool:
        """Tell whether a decision may be taken now from a frame with this stamp."""
        if self.ended or self._state != State.WAITING_FRAME:
            return False
        if self._last_stamp is not None and stamp == self._last_stamp:
            return False
        taken = min(stamp, stamp if arrived is None else arrived)
        if now - taken > self.parameters.frame_timeout * _NANO:
            self._frame_trouble = (
                f'the newest was taken {(now - taken) / _NANO:.1f} s ago; '
                'do the clocks of camera and navigator agree?'
            )
            return False
        if stamp - now > self.parameters.frame_ahead * _NANO:
            self._frame_trouble = (
                f'the newest is stamped {(stamp - now) / _NANO:.1f} s ahead of the clock; '
                'do the clocks of camera and navigator agree?'
            )
            return False
        if self.parameters.continuous:
            return (
                self._decided_at is None
                or now - self._decided_at >= self.parameters.decision_period * _NANO
            )
        motion_end = self.report.motion_end if self.report else 0
        if stamp < motion_end:
            self._frame_trouble = (
                f'the newest was taken {(motion_end - stamp) / _NANO:.2f} s '
                'before the last motion ended; do the clocks of camera and robot agree?'
            )
            return False
        return True

    def waits_for_turn(self, now: int) -> None:
        """Note that a usable frame waits for the policy, which is busy with another robot."""
        if not self._refused:  # else this one may be no better
            self._state_since = now

    def begin_decision(self, stamp: int, now: int, picture: int) -> None:
        """
        Note that the policy is running on the frame with this stamp.

        picture: a checksum of what it shows. No camera takes the very same picture twice from
        different places: then its driver repeats an old one, and the episode ends.
        """
        self._last_stamp, self._decided_at = stamp, now
        self._enter(State.DECIDING, now)
        pose, unknown = self._stuck.pose, self.report is not None and self.report.open_loop
        if self._seen is None or self._seen[0] != picture or unknown:
            self._seen = picture, pose
        forward, left, turn = pose.seen_from(self._seen[1])
        moved = math.hypot(forward, left)
        if moved > _MOVED or abs(turn) > _TURNED:
            self.end(
                Reason.INPUT_LOST,
                f'the robot has moved {moved:.2f} m and {math.degrees(turn):.0f} degrees by '
                'odometry, and the camera shows the very same picture: does its driver repeat an '
                'old one?',
            )

    def decided(self, action: int, probabilities: Sequence[float], now: int) -> int | None:
        """
        Take in the policy's answer; return the action to carry out.

        Returns None when nothing may be carried out: the episode has ended or was paused while the
        policy was running, or ends now because the robot is stuck. Probabilities are those of the
        four actions in order.
        """
        if self.ended or self._state != State.DECIDING:
            return None
        trouble = self._stuck.trouble(action)
        recovery = self._stuck.recovery(action, probabilities)
        if recovery is not None:
            action = recovery
        elif trouble:
            obstacle = self._stuck.obstacle if action == Action.MOVE_FORWARD else ''
            if obstacle:
                trouble = f'{trouble}: {obstacle}; look at what stands there, and at the way meant'
            self.end(Reason.BLOCKED if obstacle else Reason.STUCK, trouble)
            return None
        self._stuck.acted(action)
        self.awaiting = (self.instruction_id, self.step)
        self.step += 1
        self._frame_trouble, self._refused = '', False
        if action == Action.STOP:
            self.end(Reason.SUCCEEDED, 'the policy answered STOP')
        self._enter(State.WAITING_MOTION, now)
        self._follow_motion(now)
        return action

    def check(self, now: int) -> None:
        """Let time pass; end the episode when something has taken too long."""
        if now < self._now or not self._now:  # the clock jumped back, or has begun: wait anew
            self._state_since = self._reported_at = self._started_at = now
            self._fault_since = None
            self._decided_at = None
        elif self._state != State.PAUSED:
            self._age += now - self._now
        self._now = now
        if self.ended or self._state == State.PAUSED:
            return
        limits, waited = self.parameters, now - self._state_since
        message = self.report.message if self.report else ''
        if self._age > limits.max_duration * _NANO:
            self.end(Reason.TIMEOUT, f'not done after {limits.max_duration:g} s')
        elif now - self._reported_at > limits.status_timeout * _NANO:
            self.end(
                Reason.INPUT_LOST,
                f'no status from motion_executor for {limits.status_timeout:g} s',
            )
        elif self._fault_since is not None and (
            now - self._fault_since > limits.status_timeout * _NANO
        ):
            self.end(Reason.INPUT_LOST, f'motion_executor takes no action: {message}')
        elif self._state == State.WAITING_FRAME and waited > limits.frame_timeout * _NANO:
            self.end(
                Reason.INPUT_LOST,
                f'no usable camera frame for {limits.frame_timeout:g} s'
                + (f': {self._frame_trouble}' if self._frame_trouble else ''),
            )
        elif self._state == State.WAITING_MOTION and waited > limits.motion_timeout * _NANO:
            self.end(
                Reason.MOTION_FAILED,
                'motion_executor did not report the end of the motion '
                f'within {limits.motion_timeout:g} s',
            )

    def _enter(self, state: State, now: int) -> None:
        if state != self._state:
            self._state, self._state_since = state, now

    def _follow_motion(self, now: int) -> None:
        """Move between waiting for the motion and waiting for a frame."""
        if self.ended or self._state not in (State.WAITING_MOTION, State.WAITING_FRAME):
            return
        if self.report is None:
            ready = False
        elif self.parameters.continuous:
            ready = self.report.state in (Motion.IDLE, Motion.MOVING, Motion.SETTLING)
        else:
            ready = self.report.state == Motion.IDLE and self.awaiting is None
        if ready and self.step >= self.parameters.max_steps:
            self.end(Reason.TIMEOUT, f'not done after {self.step} steps')
        self._enter(State.WAITING_FRAME if ready else State.WAITING_MOTION, now)

    def _motion_ended(self, report: MotionReport) -> None:
        """Judge how the last action of this episode ended."""
        result = Result(report.result)
        said = f': {report.message}' if report.message else ''
        if result in _FATAL:
            self.end(_FATAL[result], f'motion_executor ended the motion with {result.name}{said}')
            return
        progress = math.inf if report.open_loop else report.progress
        pushed = self._stuck.moved(result, progress, report.message)
        if result == Result.SUCCEEDED:
            self._failures = 0
        elif not (pushed and result == Result.TIMEOUT):
            self._failures += 1
        if self._failures >= self.parameters.max_failed_motions:
            reason = Reason.BLOCKED if result == Result.BLOCKED else Reason.MOTION_FAILED
            self.end(
                reason,
                f'{self._failures} motions failed one after another, the last with '
                f'{result.name}{said}',
            )
