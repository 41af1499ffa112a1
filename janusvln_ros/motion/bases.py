"""
What executes a motion: a base that takes velocities, or one that takes commands.

Both have the same methods, so that the executor's phases need not know which it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
import math

from janusvln_ros.motion.commands import Command, Kind
from janusvln_ros.motion.geometry import Pose
from janusvln_ros.motion.safety.odometry import Odometry
from janusvln_ros.motion.tracking import (
    CommandHistory,
    DelayMeter,
    DrivingParameters,
    Goal,
    Tracker,
)
from janusvln_ros.motion.types import Mode, Request, Velocity
from janusvln_ros.parameters import parameter

_DELAY_TOLERANCE = 0.04  # s, a base that is later than it should be by less is not worth a word
_LONGEST_DELAY = 0.3  # s more than it should be that are made up for


class Output(Enum):
    """What a base takes."""

    VELOCITY = 'velocity'
    COMMAND = 'command'


@dataclass(frozen=True)
class OutputParameters:
    """Which kind of base it is."""

    output: Output = parameter(
        Output.VELOCITY,
        'What the base takes: velocity on cmd_vel, or command: one mid_level_command at a time,'
        ' answered on mid_level_done.',
    )


@dataclass(frozen=True)
class BaseParameters:
    """How a base answers to what it is told."""

    actuation_delay: float = parameter(
        0.05,
        'From a command until the base obeys; the controller looks that far ahead.',
        unit='s',
        low=0.0,
        high=0.5,
    )
    settle_time: float = parameter(
        0.2, 'Least time at rest after a motion.', unit='s', low=0.0, high=10.0
    )
    settle_timeout: float = parameter(
        1.5, 'Longest wait for the base to come to rest.', unit='s', low=0.1, high=30.0
    )
    settle_speed: float = parameter(
        0.02, 'Slower than this the base is at rest.', unit='m/s', low=0.001, high=1.0
    )
    settle_turn_rate: float = parameter(
        0.03, 'Slower than this the base is at rest.', unit='rad/s', low=0.001, high=2.0
    )
    merge_length: float = parameter(
        0.75,
        'Output command: equal moves that wait merge up to this.',
        unit='m',
        low=0.0,
        high=5.0,
    )
    merge_angle: float = parameter(
        math.radians(45.0),
        'Output command: equal turns that wait merge up to this.',
        unit='rad',
        low=0.0,
        high=math.tau,
    )


class VelocityBase:
    """Drives in closed loop on odometry, or, where that is allowed, on the commands alone."""

    def __init__(
        self, driving: DrivingParameters, parameters: BaseParameters, odometry: Odometry
    ) -> None:
        self.parameters = parameters
        self.odometry = odometry
        self.velocity = Velocity()
        self.open_loop = self.held = False  # held: what was begun waits
        self.delay = parameters.actuation_delay  # s; more where more was measured
        self._tracker = Tracker(driving)
        self._history = CommandHistory()
        self._meter = DelayMeter()
        self._start = Pose()
        self._virtual = Pose()  # dead reckoning on the commands, for open loop

    def configure(
        self, driving: DrivingParameters, parameters: BaseParameters, reverse: bool
    ) -> None:
        """Take other parameters."""
        self._tracker.config, self._tracker.reverse = driving, reverse
        self.parameters = parameters

    @property
    def closed_loop(self) -> bool:
        """Tell whether odometry is what it drives by."""
        return not self.open_loop

    @property
    def output(self) -> Velocity | None:
        """Return the velocity to command."""
        return self.velocity

    @property
    def pose(self) -> Pose | None:
        """Return where it is by the newest odometry, or by dead reckoning in open loop."""
        return self._virtual if self.open_loop else self.odometry.poses.pose

    @property
    def goal(self) -> Pose | None:
        """Return where the motion under way, or the last one, ends; None after a stop."""
        return self._tracker.goal.pose if self._tracker.goal is not None else None

    def predicted(self, now: float) -> Pose:
        """Return where the robot will be when what is commanded now takes effect."""
        poses = self.odometry.poses
        if self.open_loop or poses.pose is None:
            return self._virtual
        seen = max(min(poses.stamp, now), now - self.odometry.parameters.odometry_timeout)
        return self._history.predict(poses.pose, seen - self.delay)

    def pose_at(self, stamp: float) -> Pose:
        """Return where it was at a time (s), or the nearest that is known."""
        if not self.open_loop:
            return self.odometry.poses.at(stamp) or self.odometry.poses.pose or self._virtual
        back, _, turn = Pose().seen_from(self._history.predict(Pose(), stamp))
        return self._virtual.moved(back, turn)

    def ahead(self, now: float) -> tuple[float, float]:
        """Return (m, rad): what it does next, of what is left of the motion; one of them is 0."""
        return self._tracker.ahead(self.predicted(now))

    def refusal(self, request: Request) -> str:
        """Return why a request cannot move the goal on, or ''."""
        if request.stamp and not self.open_loop and self.odometry.poses.at(request.stamp) is None:
            return 'there is no odometry from the time of the image'
        return ''

    def begin(
        self, request: Request, now: float, mode: Mode, stands: bool, motion_end: float
    ) -> Request | None:
        """
        Take the goal of a request.

        stands: it does, since motion_end (s). Return a request that has to wait instead.
        """
        if stands:
            if self.odometry.is_silent(now) and not self.open_loop:
                self._virtual = self.odometry.poses.pose or self._virtual
            self.open_loop = self.odometry.is_silent(now)
        at_rest = motion_end if stands else math.inf
        if request.by_hand is not None:
            self._tracker.steer(request.by_hand)
        else:
            self._tracker.follow(self._chain(request, now, mode, at_rest))
        self._start = self.predicted(now)
        if stands:
            self._meter.begin(
                None if self.open_loop else self.odometry.poses.pose,
                request.command.kind is Kind.MOVE,
            )
        return None

    def _chain(self, request: Request, now: float, mode: Mode, at_rest: float) -> Goal:
        """
        Return the goal of a request.

        A move's point lies ahead of where the image was taken, a turn's yaw is measured from
        the yaw there. What an action does not speak of, a move's heading or a turn's point,
        stays as the goal before it set it, if the image was taken before that one was reached.
        """
        command, last = request.command, self._tracker.goal
        anchor, chained = self.predicted(now), None
        if mode is Mode.CONTINUOUS and not self.open_loop:
            stamp = request.stamp or now
            anchor = self.odometry.poses.at(stamp) or anchor
            if stamp < at_rest:
                chained = last
        if command.kind is Kind.MOVE:
            yaw = chained.pose.yaw if chained else anchor.yaw
            ahead = Pose(anchor.x, anchor.y, yaw).moved(command.amount)
            return Goal(ahead, line=yaw, drive=True)
        base = chained or Goal(anchor, line=anchor.yaw, drive=False)
        return replace(base, pose=replace(base.pose, yaw=anchor.yaw + command.amount))

    def passed(self, last: float, now: float) -> None:
        """Note that the velocity was commanded from last to now (s)."""
        dt = now - last
        self._history.add(last, now, self.velocity)
        poses = self.odometry.poses
        if poses.pose is not None:
            self._meter.measure(now, dt, self.velocity, poses.stamp, poses.pose)
        self.delay = self.parameters.actuation_delay
        if self._meter.delay > self.delay + _DELAY_TOLERANCE:
            self.delay = min(self._meter.delay, self.delay + _LONGEST_DELAY)
        self._virtual = self._virtual.moved(self.velocity.linear * dt, self.velocity.angular * dt)

    def drive(self, now: float, dt: float, room: float, fastest: Velocity) -> bool:
        """Choose the velocity for the next dt (s); tell whether the goal has been reached."""
        self.velocity, arrived = self._tracker.step(self.predicted(now), dt, room, fastest)
        if arrived:
            self.velocity = Velocity()
        return arrived

    def brake(self, dt: float) -> bool:
        """Slow down within the limits; tell whether zero has been reached."""
        self.velocity = self._tracker.brake(dt)
        if not self._tracker.rests:
            return False
        self.halt()
        return True

    def halt(self) -> None:
        """Command zero at once, and drop the goal."""
        self._tracker.halt()
        self.velocity = Velocity()

    def drop_waiting(self) -> Request | None:
        """Return the request that waited, and forget it; nothing waits here."""
        return None

    def has_settled(self, waited: float, now: float) -> bool:
        """Tell whether the base stands, `waited` s after it was told to."""
        speed = None if self.odometry.is_silent(now) else self.odometry.poses.speed()
        stands = self.open_loop or (
            speed is not None
            and speed[0] < self.parameters.settle_speed
            and speed[1] < self.parameters.settle_turn_rate
        )
        return waited >= self.parameters.settle_time and (
            stands or waited >= self.parameters.settle_timeout
        )

    def is_off(self, now: float) -> bool:
        """Tell whether it stands farther from its goal than the tolerances."""
        return self.goal is not None and not self._tracker.reached(self.predicted(now))

    def take_up_again(self, now: float) -> bool:
        """Go to the goal once more, unless the robot may not; return whether it does."""
        goal = self._tracker.goal
        if goal is None or not self._tracker.can_come_closer(self.predicted(now)):
            return False
        self._tracker.follow(goal)
        return True

    def progress(self, request: Request) -> float | None:
        """Return what has been done (m or rad) of a request, along its direction."""
        pose = self.pose
        if pose is None or request.command.kind is Kind.STOP:
            return None
        forward, _, turn = pose.seen_from(self._start)
        done = forward if request.command.kind is Kind.MOVE else turn
        return math.copysign(1.0, request.command.amount) * done

    def forget(self) -> None:
        """Drop all times: the clock has jumped."""
        self._history.clear()

    def send_stop(self, instruction_id: str = '', step: int = 0) -> None:
        """Say stop; zero velocity says that here."""

    def take_command(self) -> Request | None:
        """Return the command to send, once; velocities are all that is sent here."""
        return None

    def answers(self, instruction_id: str, step: int) -> bool:
        """Tell whether the base itself says that a step is done; odometry does that here."""
        return False


class CommandBase:
    """Takes one command at a time and answers when it is done; equal ones that wait merge."""

    velocity = Velocity()
    output = None
    open_loop = closed_loop = False
    goal = None
    delay = 0.0

    def __init__(
        self, driving: DrivingParameters, parameters: BaseParameters, odometry: Odometry
    ) -> None:
        self.parameters = parameters
        self._odometry = odometry
        self._outbox: Request | None = None
        self._under_way = Request(Command(Kind.STOP))
        self._start = Pose()
        self._waiting: Request | None = None
        self.held = False  # what is to be sent waits

    def configure(
        self, driving: DrivingParameters, parameters: BaseParameters, reverse: bool
    ) -> None:
        """Take other parameters."""
        self.parameters = parameters

    @property
    def pose(self) -> Pose | None:
        """Return where it is by the newest odometry, if there is any."""
        return self._odometry.poses.pose

    def predicted(self, now: float) -> Pose:
        """Return the same, or the origin."""
        return self.pose or Pose()

    def pose_at(self, stamp: float) -> Pose:
        """Return where it was at a time (s), or the nearest that is known."""
        return self._odometry.poses.at(stamp) or self.predicted(stamp)

    def ahead(self, now: float) -> tuple[float, float]:
        """Return (m, rad): the move under way, or what is left of the turn."""
        command = self._under_way.command
        if command.kind is Kind.MOVE:
            return command.amount, 0.0
        turned = self.predicted(now).yaw - self._start.yaw
        return 0.0, command.amount - turned

    def refusal(self, request: Request) -> str:
        """Return why a request cannot wait, or ''."""
        if self._waiting is not None and self._merged(request) is None:
            return 'another command waits for the base already'
        return ''

    def begin(
        self, request: Request, now: float, mode: Mode, stands: bool, motion_end: float
    ) -> Request | None:
        """Send a request when the base stands; else let it wait, merged, and return it."""
        if not stands:
            self._waiting = self._merged(request)
            return self._waiting
        self._outbox = self._under_way = request
        self._start = self.predicted(now)
        return None

    def _merged(self, request: Request) -> Request | None:
        """Return a request merged with the one that waits; None when they cannot be one."""
        if self._waiting is None:
            return request
        command = self._waiting.command.merged(
            request.command, self.parameters.merge_length, self.parameters.merge_angle
        )
        return replace(request, command=command) if command is not None else None

    def passed(self, last: float, now: float) -> None:
        """Time passes."""

    def drive(self, now: float, dt: float, room: float, fastest: Velocity) -> bool:
        """Wait for the base's answer."""
        return False

    def brake(self, dt: float) -> bool:
        """Rely on the base: it has been told to stop."""
        return True

    def halt(self) -> None:
        """Rely on the base: it has been told to stop."""

    def drop_waiting(self) -> Request | None:
        """Return the request that waited, and forget it."""
        waiting, self._waiting = self._waiting, None
        return waiting

    def has_settled(self, waited: float, now: float) -> bool:
        """Tell whether the base stands, `waited` s after its answer."""
        return waited >= self.parameters.settle_time

    def is_off(self, now: float) -> bool:
        """Trust the base that it is where it was sent."""
        return False

    def take_up_again(self, now: float) -> bool:
        """Nothing is taken up again."""
        return False

    def progress(self, request: Request) -> float | None:
        """Leave it to the base's answer."""
        return None

    def forget(self) -> None:
        """No times are kept here."""

    def send_stop(self, instruction_id: str = '', step: int = 0) -> None:
        """Say stop before all else."""
        self.held = False
        self._outbox = Request(Command(Kind.STOP), instruction_id=instruction_id, step=step)

    def take_command(self) -> Request | None:
        """Return the command to send, once."""
        if self.held:
            return None
        command, self._outbox = self._outbox, None
        return command

    def answers(self, instruction_id: str, step: int) -> bool:
        """Tell whether an answer of the base is about the command under way."""
        under_way = self._under_way
        return (under_way.instruction_id, under_way.step) == (instruction_id, step)
