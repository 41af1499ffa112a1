"""
Whether odometry answers to what is commanded, in a sliding window.

The answer may come late by up to the base's delay and RESPONSE more, and be wrong by the factors
LEAST and MOST (slip, a wrong wheel radius): what any such answer could be is all right.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

from janusvln_ros.motion.commands import Kind
from janusvln_ros.motion.geometry import Pose, PoseBuffer
from janusvln_ros.motion.safety.balance import Balance, LEAST, STILL
from janusvln_ros.motion.safety.guard import Stop, Verdict
from janusvln_ros.motion.safety.odometry import Odometry
from janusvln_ros.motion.types import Result, Velocity
from janusvln_ros.parameters import parameter

_WINDOWS = 0.1, 0.4, 0.8  # s of odometry that are compared: jerks, quick changes, slow ones
_LATE = 0.3  # s that the answer may come later than the base's delay says
_LAG = 0.2  # s that the sum of all answers may lag besides
_OWES = 0.7  # of the margin, that a sum of ways may owe: a dead wheel turns the robot meanwhile
_MOST = 1.5  # of what was commanded
_RECENT = 0.3  # s at the end of the window: what stood still there has met something
_STUCK = 0.15  # of what was commanded: less counts as standing still
_NOTHING = 1e-3  # m or rad: no more than this is no command
_LITTLE = 0.25  # of what odometry tells: less was hardly commanded
_AFTERWARDS = 2.0  # s after a halt in which an answer that comes too late is recognised


@dataclass(frozen=True)
class ResponseParameters:
    """How far odometry may be from what is commanded, besides a factor and a delay."""

    response_margin: float = parameter(
        0.03,
        'Odometry that moves this much less or more than commanded within 0.1, 0.4 or 0.8 s,'
        ' besides 0.75 to 1.5 times and 0.3 s late, stops the robot.',
        unit='m',
        low=0.005,
        high=1.0,
    )
    response_margin_angle: float = parameter(
        0.06, 'The same for the heading.', unit='rad', low=0.005, high=1.0
    )


class Response:
    """Compares the ways that were commanded with those that odometry tells."""

    def __init__(self, odometry: Odometry) -> None:
        self._odometry = odometry
        self._balance = Balance(odometry)
        self._first = self._total = Pose()
        self._commanded = PoseBuffer()
        self._since = -math.inf  # when the motion under way began from rest
        self._velocity = Velocity()
        self._rests_from = -math.inf  # when it has to rest after it stood still, by odometry
        self._rested = Pose()
        self._kind = self._stuck = Kind.STOP  # of the motion under way, and of that one

    def configure(
        self, parameters: ResponseParameters, delay: float, fastest: Velocity, braking: Velocity
    ) -> None:
        """Take parameters, the base's delay (s), top speeds, and braking (m/s^2, rad/s^2)."""
        self._braking = braking
        slowing = max(fastest.linear / braking.linear, fastest.angular / braking.angular)
        self._rolls_out = delay + _LATE + _WINDOWS[1] + slowing
        self._way = min(parameters.response_margin, 0.1 * fastest.linear)
        self._angle = min(parameters.response_margin_angle, 0.1 * fastest.angular)
        self._delay = delay
        self._balance.configure(Velocity(_OWES * self._way, self._angle), delay + _LAG)

    def begin(self, kind: Kind, now: float) -> None:
        """Compare nothing from before: a motion begins from rest."""
        self._since, self._kind = now, kind

    def on_command(self, velocity: Velocity, last: float, now: float) -> None:
        """Note what was commanded from last to now (s)."""
        self._velocity = velocity
        if velocity != Velocity():
            self._rests_from = -math.inf
        if now <= last:
            return
        if not len(self._commanded):
            self._first = self._total
            self._commanded.add(last, self._total)
        self._balance.on_command(velocity, now - last, now)
        dt, total = now - last, self._total
        self._total = Pose(total.x + velocity.linear * dt, 0.0, total.yaw + velocity.angular * dt)
        self._commanded.add(now, self._total)

    def verdict(self, now: float) -> Verdict | None:
        """Halt when odometry says something else than any answer to the commands could be."""
        if self._kind is self._stuck and now < self._rests_from + _AFTERWARDS:
            text = (
                'it has just stood still: a wall, a stalled motor, odometry that stands still? For'
                ' some seconds odometry is watched for an answer that comes late'
            )
            return Verdict(Stop.HALT, Result.BLOCKED, text)
        recent = self._moved(_RECENT)
        if not self._odometry.in_use or recent is None:
            return None
        verdicts = (self._compared(window, recent) for window in _WINDOWS)
        latest = self._answer(_RECENT, 0.0)
        stands = (abs(recent.x) < STILL * abs(latest.x), abs(recent.yaw) < STILL * abs(latest.yaw))
        verdict = next(filter(None, verdicts), None) or self._balance.verdict(stands)
        return self._odometry.doubted(verdict)

    def reset(self) -> None:
        """Forget what did not add up: a person has looked."""
        self._balance.reset()

    def _compared(self, window: float, recent: Pose) -> Verdict | None:
        """Judge a window (s) by what has moved in it, and lately."""
        moved = self._moved(window)
        answers = [self._answer(window, _LATE * part / 4.0) for part in range(5)]
        latest = self._answer(_RECENT, 0.0)
        if moved is None:
            return None
        if abs(moved.y) > self._way + 0.5 * max(abs(answer.x) for answer in answers):
            text = f'odometry moves sideways by {moved.y:.2f} m: in which frame is it?'
            return Verdict(Stop.HALT, Result.BAD_INPUT, text, lasting=True)
        return _compare(
            window,
            [answer.x for answer in answers],
            moved.x,
            self._way,
            abs(recent.x) <= _STUCK * abs(latest.x),
            ('m', 1.0),
        ) or _compare(
            window,
            [answer.yaw for answer in answers],
            moved.yaw,
            self._angle,
            abs(recent.yaw) <= _STUCK * abs(latest.yaw),
            ('degrees', math.degrees(1.0)),
        )

    def watch(self, now: float) -> None:
        """Look out for odometry that answers too late: a motion ended since it did not answer."""
        rolls = max(
            abs(self._velocity.linear) / self._braking.linear,
            abs(self._velocity.angular) / self._braking.angular,
        )
        self._stuck = self._kind
        self._balance.reset()  # what was not answered is the budget's now
        self._rests_from = now + self._delay + _LATE + 0.5 * rolls

    def late(self, now: float) -> str:
        """Return what is wrong when odometry moves long after a halt, or ''."""
        if now <= self._rests_from:
            self._rested = self._odometry.total
        if now > self._rests_from + _AFTERWARDS:
            return ''
        moved = _difference(self._odometry.total, self._rested)
        if abs(moved.x) <= self._way and abs(moved.yaw) <= self._angle:
            return ''
        self._rests_from = -math.inf
        return (
            'odometry answers to commands far too late: is the network slow, is the clock of who'
            ' stamps it wrong?'
        )

    def rolls(self, now: float) -> str:
        """Return what odometry tells of a base that moves though it is told to stand, or ''."""
        moved = None if self._odometry.is_silent(now) else self._moved(_WINDOWS[1])
        if moved is None or abs(moved.x) <= self._way and abs(moved.yaw) <= self._angle:
            return ''
        degrees = math.degrees(moved.yaw)
        return (
            f'commanded zero, odometry says {moved.x:.2f} m, {degrees:.0f} degrees within'
            f' {_WINDOWS[1]:g} s: does the base hear its commands, does it roll, does another'
            ' drive it?'
        )

    def rolls_out(self, waited: float) -> bool:
        """Tell whether a base that has been told to stand for some time (s) may still move."""
        return waited <= self._rolls_out

    def forget(self) -> None:
        """Drop what was commanded."""
        self._commanded.clear()
        self._balance.reset()
        self._since = self._rests_from = -math.inf

    def _moved(self, window: float) -> Pose | None:
        """Return what odometry tells of a window: forward and to the left (m), turned (rad)."""
        moved = self._odometry.moved
        if moved.pose is None:
            return None
        before = moved.at(max(moved.stamp - window, min(self._since, moved.stamp)))
        return _difference(moved.pose, before) if before is not None else None

    def _answer(self, window: float, late: float) -> Pose:
        """Return what was commanded in a window whose answer comes late (s)."""
        end = max(self._odometry.moved.stamp - self._delay - late, self._since)
        first = self._commanded.at(max(end - window, self._since))
        last = self._commanded.at(end)
        if last is None:
            return Pose()
        return _difference(last, first or self._first)


def _compare(
    window: float,
    answers: list[float],
    moved: float,
    margin: float,
    stands: bool,
    unit: tuple[str, float],
) -> Verdict | None:
    """Judge one axis: possible answers, at once to late, the way made, whether it stands now."""
    low, high = min(answers), max(answers)
    least = (LEAST if low > 0.0 else _MOST) * low - margin
    most = (_MOST if high > 0.0 else LEAST) * high + margin
    if least <= moved <= most:
        return None
    wanted = answers[0]
    name, scale = unit
    numbers = (
        f'commanded {wanted * scale:.2f} {name} within {window:g} s, odometry says'
        f' {moved * scale:.2f} {name}'
    )
    if abs(wanted) <= _NOTHING:
        text = f'{numbers}: does it answer late, is the robot pushed, does another drive it?'
    elif abs(wanted) <= _LITTLE * abs(moved):
        text = f'{numbers}: does the robot touch something, does a wheel stand still?'
    elif moved * wanted < 0.0:
        text = f'{numbers}: it has the opposite sign, or the motors have.'
    elif stands and abs(moved) < abs(wanted):
        text = f'{numbers}: a wall, a stalled motor, or odometry that stands still?'
        return Verdict(Stop.HALT, Result.BLOCKED, text, unanswered=True)
    else:
        text = f'{numbers}: does the robot slip, is it pushed, is a wheel radius wrong?'
    return Verdict(Stop.HALT, Result.BAD_INPUT, text, lasting=True)


def _difference(last: Pose, first: Pose) -> Pose:
    return Pose(last.x - first.x, last.y - first.y, last.yaw - first.yaw)
