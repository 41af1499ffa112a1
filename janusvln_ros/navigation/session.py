"""
One robot's instructions from arrival to outcome, between the thread that hears and the worker.

The hearing thread tells what came; the worker asks for work and hands in what was decided. One
lock guards all of it, also what the outlet is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import threading
from typing import Any, Protocol

from janusvln_ros.actions import Action
from janusvln_ros.navigation.decider import Answer
from janusvln_ros.navigation.mission import (
    Mission,
    MissionParameters,
    mode_trouble,
    MotionReport,
    Reason,
    shortened,
    State,
)
from janusvln_ros.policy.interface import FrameGeometry, MemoryUsage

LONGEST_INSTRUCTION = 2000  # characters
_EMPTY = MemoryUsage(0, 0, 0)


@dataclass(frozen=True)
class Frame:
    """A picture as it came; times in ns."""

    message: Any  # with the fields of sensor_msgs/Image or CompressedImage
    stamp: int  # when it was taken
    arrived: int


@dataclass(frozen=True)
class Order:
    """An action for the robot; frame is what it was decided from, None for a STOP of our own."""

    mission: Mission
    step: int
    action: Action
    probabilities: Sequence[float]  # of the four actions in order
    seconds: float = 0.0  # that the policy took
    latency: float = 0.0  # s, from the frame's stamp
    frame: Frame | None = None
    memory: MemoryUsage = _EMPTY  # afterwards
    geometry: FrameGeometry | None = None  # of the frame, where somebody wants it


class Outlet(Protocol):
    """What a session tells; called with the lock held, by either thread: it must not wait."""

    def began(self, mission: Mission) -> None:
        """Tell of a new mission."""

    def send(self, order: Order) -> None:
        """Have the robot do something."""

    def settled(self, mission: Mission) -> None:
        """Tell the outcome of a mission."""

    def changed(self, session: Session) -> None:
        """Tell that something may have changed."""

    def refused(self, why: str) -> None:
        """Tell of a frame that cannot be used."""

    def failed(self, why: str) -> None:
        """Tell of an error of the policy."""


class Session:
    """The newest frame, the newest motion report, the mission, and whose turn it is."""

    def __init__(self, outlet: Outlet, now: Callable[[], int]) -> None:
        """now: time in ns by the clock of the stamps."""
        self.lock = threading.Condition()  # guards all that follows
        self.active = False
        self.mission: Mission | None = None
        self.frame: Frame | None = None
        self.memory = _EMPTY
        self._outlet, self._now = outlet, now
        self._report: MotionReport | None = None
        self._settled = True  # the outcome of the mission has been told
        self._remembered: Mission | None = None  # whose frames the policy's memory holds
        self._closing = False

    @property
    def state(self) -> State:
        """Return what is waited for."""
        if not self.active:
            return State.INACTIVE
        return self.mission.state if self.mission else State.IDLE

    @property
    def current(self) -> Mission | None:
        """Give the mission under way, if there is one."""
        return None if self.mission is None or self.mission.ended else self.mission

    @property
    def running(self) -> bool:
        """Tell whether a mission is under way."""
        return self.current is not None

    # What is heard

    def activate(self) -> None:
        """Wait for an instruction; what was heard before does not count."""
        with self.lock:
            self.frame = self._report = None
            self.active = True
            self._update()

    def deactivate(self, message: str) -> None:
        """End the mission, if there is one, and take no other."""
        with self.lock:
            if self.mission:
                self.mission.end(Reason.CANCELED, message)
            self.active = False
            self._update()

    def begin(
        self, name: str, instruction: str, parameters: MissionParameters, doubt: str = ''
    ) -> None:
        """Follow an instruction instead of the one before; doubt: said of it while it lasts."""
        with self.lock:
            awaiting = None
            if self.mission:
                self.mission.end(Reason.PREEMPTED, 'a newer instruction replaced this one')
                self._settle()
                awaiting = self.mission.awaiting
            self.mission = Mission(
                name, instruction.strip(), parameters, self._now(), self._report, awaiting
            )
            self.mission.message = shortened(doubt)
            self._settled = False
            self._outlet.began(self.mission)
            self._update()

    def refusal(self, instruction: str, parameters: MissionParameters) -> str:
        """Say why no mission can begin with an instruction; '' when it can."""
        with self.lock:
            if not self.active:
                return 'the navigator is not active'
            if not instruction.strip():
                return 'it is empty'
            if len(instruction) > LONGEST_INSTRUCTION:
                return f'it is {len(instruction)} characters long; {LONGEST_INSTRUCTION} are taken'
            if self._report:
                return mode_trouble(self._report, parameters)
            return ''

    def end(self, reason: Reason, message: str, name: str = '') -> None:
        """End the mission that is under way; with a name, only the one of that name."""
        with self.lock:
            mission = self.current
            if mission and name in ('', mission.instruction_id):
                mission.end(reason, message)
                self._update()

    def pause(self) -> bool:
        """Take no decisions until resume; False without a mission."""
        with self.lock:
            mission = self.current
            if mission:
                mission.pause(self._now())
                self._update()
            return self.running

    def resume(self) -> bool:
        """Go on; False if nothing is paused."""
        with self.lock:
            mission = self.current
            if mission is None or mission.state != State.PAUSED:
                return False
            mission.resume(self._now())
            self._update()
            return True

    def forget(self) -> bool:
        """Have the policy's memory emptied before the next decision; False without a mission."""
        with self.lock:
            self._remembered = None
            self.lock.notify_all()
            return self.running

    def on_frame(self, message: Any, stamp: int) -> None:
        """Take in a frame taken at stamp, ns."""
        with self.lock:
            self.frame = Frame(message, stamp, self._now())
            self.lock.notify_all()

    def on_motion(self, report: MotionReport) -> None:
        """Take in what motion_executor says."""
        with self.lock:
            self._report = report
            if self.mission:
                self.mission.reported(report, self._now())
            self._update()

    def check(self) -> None:
        """Let time pass."""
        with self.lock:
            if self.mission:
                now, work = self._now(), self.wait_for_work(0)
                if work and work[1]:
                    self.mission.waits_for_turn(now)
                self.mission.check(now)
            self._update()

    # The worker's side

    def wait_for_work(self, patience: float | None = None) -> tuple[Mission, Frame | None] | None:
        """
        Wait until there is something to do for the policy; for ever, or at most patience, s.

        A mission without a frame: its memory is to be emptied; with one: to decide. None: nothing
        within patience, or to end.
        """

        def work() -> tuple[Mission, Frame | None] | None:
            mission, frame = self.current, self.frame
            if mission and self._remembered is not mission:
                return mission, None
            if mission and frame and mission.takes_frame(frame.stamp, self._now(), frame.arrived):
                return mission, frame
            return None

        with self.lock:
            found = self.lock.wait_for(lambda: self._closing or work(), patience)
            return None if isinstance(found, bool) else found

    def forgotten(self, mission: Mission, memory: MemoryUsage) -> None:
        """Note that the policy's memory is empty for a mission."""
        with self.lock:
            self._remembered, self.memory = mission, memory
            self._update()

    def refuse(self, mission: Mission, frame: Frame, why: str) -> None:
        """Note that a frame cannot be used."""
        with self.lock:
            why = shortened(why)
            mission.frame_refused(why)
            if self.frame is frame:
                self.frame = None
            self._outlet.refused(why)

    def begin_decision(self, mission: Mission, frame: Frame, picture: int) -> bool:
        """
        Note that the policy is at work; False if things have changed in the meantime.

        picture: a checksum of what the frame shows.
        """
        with self.lock:
            now = self._now()
            if (
                mission is not self.mission
                or mission is not self._remembered
                or not mission.takes_frame(frame.stamp, now, frame.arrived)
            ):
                return False
            mission.begin_decision(frame.stamp, now, picture)
            self._update()
            return not mission.ended

    def decided(self, mission: Mission, frame: Frame, answer: Answer) -> Order | None:
        """Take in a decision; return what the robot was told to do, if anything."""
        with self.lock:
            self.memory = answer.memory
            step, now, order = mission.step, self._now(), None
            if mission is self.mission:
                action = mission.decided(answer.action, answer.probabilities, now)
                if action is not None:
                    order = Order(
                        mission,
                        step,
                        Action(action),
                        answer.probabilities,
                        answer.seconds,
                        (now - frame.stamp) / 1e9,
                        frame,
                        answer.memory,
                        answer.geometry,
                    )
                    self._outlet.send(order)
            self._update()
            return order

    def failed(self, mission: Mission, error: Exception) -> None:
        """End a mission, since the policy raised an error."""
        with self.lock:
            why = shortened(f'{type(error).__name__}: {error}')
            self._outlet.failed(f'policy: {why}')
            mission.end(Reason.POLICY_ERROR, why)
            self._remembered = mission
            self._update()

    def close(self) -> None:
        """Have the worker end; a later worker begins with nothing remembered."""
        with self.lock:
            self._closing = True
            self.lock.notify_all()

    def open(self) -> None:  # noqa: A003
        """Make ready for a worker."""
        with self.lock:
            self._closing = False
            self._remembered = self.frame = None
            self.memory = _EMPTY

    # With the lock held

    def _update(self) -> None:
        """Follow up on any change of state."""
        self._settle()
        self._outlet.changed(self)
        self.lock.notify_all()

    def _settle(self) -> None:
        """Tell the outcome of a mission that has ended."""
        mission = self.mission
        if self._settled or mission is None or not mission.ended:
            return
        self._settled = True
        if mission.reason not in (Reason.SUCCEEDED, Reason.PREEMPTED):
            self._outlet.send(Order(mission, mission.step, Action.STOP, (1.0, 0.0, 0.0, 0.0)))
            mission.awaiting = (mission.instruction_id, mission.step)
        self._outlet.settled(mission)
