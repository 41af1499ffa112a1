"""
What may be commanded before odometry has confirmed it, and for how long.

The budget holds even if every sensor lies: it counts only what was commanded.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

from janusvln_ros.motion.commands import Command, Kind, StepParameters
from janusvln_ros.motion.safety.guard import Stop, Verdict
from janusvln_ros.motion.safety.odometry import Odometry
from janusvln_ros.motion.types import Result, Velocity
from janusvln_ros.parameters import parameter

_STEER, _STEER_PER_M = 0.15, 0.3  # rad, and rad/m, that a move may turn to keep to its line
_RESOLUTION, _RESOLUTION_ANGLE = 0.01, 0.02  # m, rad: odometry that moves less may be noise
_PAYS = 1.3  # times the way that odometry tells is paid back: a robot may slip by a fifth
_NEW_WAY = 0.25  # m of debt that a confirmed turn of 1 rad pays: there may be a way now
_STEERS = 0.05  # of top speed: less steering need not be told by odometry
_LONG = 1.0  # s of commands without any odometry that moves
_SLOWS = 0.85  # of what may be unconfirmed: the robot slows down to end there
_ANSWERS = 0.6  # s after the last command: what odometry tells later is no answer to it
_COMPARES = 0.34  # s in which odometry that has come shows that it tells a half, or twice


@dataclass(frozen=True)
class TravelParameters:
    """Allowances of one motion."""

    time_allowance: float = parameter(
        10.0,
        'For one motion, besides twice its duration at full speed.',
        unit='s',
        low=0.5,
        high=600.0,
    )
    travel_factor: float = parameter(
        1.5,
        'The commanded way of one motion may be this many times what was asked for. In continuous'
        ' mode, what odometry confirms counts as asked for.',
        low=1.1,
        high=10.0,
    )
    travel_margin: float = parameter(
        0.02, 'That much may be commanded besides.', unit='m', low=0.0, high=1.0
    )
    travel_margin_angle: float = parameter(
        0.01, 'The same for the heading.', unit='rad', low=0.0, high=1.0
    )


class Account:
    """One axis (m or rad): what was commanded, and what of it odometry has confirmed."""

    def __init__(self, resolution: float, another_try: float) -> None:
        self.debt = 0.0  # commanded and not confirmed, over all motions
        self._resolution, self._another_try = resolution, another_try
        self._rest = 0.0  # s since anything was commanded
        self._idle = self._idle_time = 0.0  # commanded since odometry last moved, and how long
        self._net = self._sum = 0.0  # commanded in this motion, to and fro and in all
        self._from_rest = True
        self._start = self._place = 0.0  # by odometry, at its begin and now
        self._direction = 0.0  # in which motion was last commanded
        self._mark, self._answers = 0.0, False  # how far odometry has followed it, if it has
        self._asked = False  # another_try: part of the debt that may be used up at a begin
        self._allowed = self._unconfirmed = math.inf

    def begin(
        self, asked: bool, allowed: float, unconfirmed: float, place: float, from_rest: bool
    ) -> None:
        """Take up a motion that may spend so much, and be in debt by so much."""
        self._asked, self._allowed, self._unconfirmed = asked, allowed, unconfirmed
        self._net = self._sum = 0.0
        self._start, self._from_rest = place, from_rest
        if from_rest:
            self._idle = self._idle_time = self._direction = 0.0

    def forgive(self) -> None:
        """Forget what was not confirmed."""
        self.debt = self._idle = 0.0

    def count(self, way: float, duration: float, place: float, watched: bool) -> float:
        """
        Count a way that was commanded, and return what odometry, now at `place`, confirms.

        Only what is farther in the commanded direction than before confirms: odometry that goes
        to and fro, or begins again and again, does not. watched: whether it has to.
        """
        self._net += way
        self._sum += abs(way)
        self.debt += abs(way) if watched else 0.0
        self._idle += way if watched else 0.0
        self._idle_time += duration if watched else 0.0
        self._place = place
        self._rest = 0.0 if way else self._rest + duration
        if self._rest > _ANSWERS:
            self._mark = place
        if way * self._direction <= 0.0 and way:
            self._direction, self._mark, self._answers = math.copysign(1.0, way), place, False
        moved = self._direction * (place - self._mark)
        if moved < 0.0 and not self._answers:
            self._mark = place  # it still rolls the other way
        if moved < self._resolution:
            return 0.0
        self.debt = max(0.0, self.debt - _PAYS * moved)
        self._idle = self._idle_time = 0.0
        self._mark, self._answers = place, True
        return moved

    def fastest(self, braking: float, blind: float) -> float:
        """
        Return the speed that braking brings to zero well before too much is unconfirmed.

        blind: s until a lie that begins now is seen; in this time, and braking, no farther either.
        """
        confirmed = math.sqrt(2.0 * braking * max(0.0, _SLOWS * self._unconfirmed - self.debt))
        unseen = math.sqrt(blind * blind + 2.0 * self._unconfirmed / braking) - blind
        return min(confirmed, braking * unseen)

    def used_up(self, speed: float, braking: float, unit: str, scale: float) -> Verdict | None:
        """Halt at a speed when no more is left than braking takes."""
        tries_again = self._from_rest and self._sum == 0.0
        most = self._unconfirmed * (self._another_try if tries_again else 1.0)
        is_idle = abs(self._idle) > 3.0 * self._resolution and self._idle_time > _LONG
        owed = self.debt + _rolls(speed, braking)
        stuck = (self._asked or self._sum > 0.0) and (owed > most or is_idle)
        spent, moved = abs(self._net), abs(self._place - self._start)
        left = self._allowed - max(spent, 0.5 * self._sum)
        if not stuck and _rolls(speed, braking) <= left:
            return None
        commanded = max(self.debt, spent) if stuck else spent
        numbers = (
            f'commanded {commanded * scale:.2f} {unit}, odometry says {moved * scale:.2f} {unit}'
        )
        if stuck or moved < 0.2 * spent:
            advice = 'is there a wall, a stalled motor, odometry that stands still?'
            return Verdict(Stop.HALT, Result.BLOCKED, f'{numbers}: {advice}', unanswered=True)
        advice = 'do wheels slip, is a radius wrong?'
        return Verdict(Stop.HALT, Result.TIMEOUT, f'{numbers}: {advice}', lasting=True)


class Travel:
    """
    The time and the way that the motion under way may still take.

    In step mode a motion may spend a multiple of what was asked for. In both modes what odometry
    has not confirmed is a debt that stays when the motion ends: a robot that does not get
    anywhere has about one step of tries, until odometry tells that it moves or it is reset.
    """

    def __init__(self, odometry: Odometry) -> None:
        self._odometry = odometry
        self._way, self._heading = Account(_RESOLUTION, 0.55), Account(_RESOLUTION_ANGLE, 0.45)
        self._velocity = Velocity()
        self._deadline = 0.0

    def configure(
        self,
        parameters: TravelParameters,
        step: StepParameters,
        fastest: Velocity,
        braking: Velocity,
    ) -> None:
        """Take parameters, the top speeds (m/s, rad/s) and the braking (m/s^2, rad/s^2)."""
        self.parameters, self._step = parameters, step
        self._fastest, self._braking = fastest, braking

    def begin(self, command: Command, now: float, *, goes_on: bool, from_rest: bool) -> None:
        """Allow for a motion; the goal of one that goes on is moved all the time."""
        allow, fastest = self.parameters, self._fastest
        moves = command.kind is Kind.MOVE
        move = abs(command.amount) if moves else 0.0
        turn = _STEER + _STEER_PER_M * move if moves else abs(command.amount)
        self._deadline = (
            now
            + allow.time_allowance
            + 2.0 * (move / fastest.linear if moves else turn / fastest.angular)
        )
        self._way.begin(
            moves,
            math.inf if goes_on else allow.travel_factor * move + allow.travel_margin,
            allow.travel_factor * self._step.step_length + allow.travel_margin,
            self._odometry.total.x,
            from_rest,
        )
        self._heading.begin(
            not moves,
            math.inf if goes_on else allow.travel_factor * turn + allow.travel_margin_angle,
            allow.travel_factor * self._step.step_angle + allow.travel_margin_angle,
            self._odometry.total.yaw,
            from_rest,
        )

    def on_command(self, velocity: Velocity, duration: float) -> None:
        """Count what was commanded for a duration (s), and what odometry has told since."""
        if velocity == Velocity():  # the base rolls on
            self._way.debt += _rolls(self._velocity.linear, self._braking.linear)
            self._heading.debt += _rolls(self._velocity.angular, self._braking.angular)
        self._velocity = velocity
        place, watched = self._odometry.total, self._odometry.in_use
        drives = watched and velocity.linear != 0.0
        least = _STEERS * self._fastest.angular if velocity.steers else 0.0
        turns = watched and abs(velocity.angular) > least
        self._way.count(velocity.linear * duration, duration, place.x, drives)
        turned = self._heading.count(velocity.angular * duration, duration, place.yaw, turns)
        self._way.debt = max(0.0, self._way.debt - _NEW_WAY * turned)

    def fastest(self, delay: float) -> Velocity:
        """
        Return the speeds that leave room to brake while odometry has not answered yet.

        delay: of the base, s. The slower and later odometry comes, the slower the robot moves.
        """
        blind = self._odometry.lag + delay + _COMPARES
        return Velocity(
            self._way.fastest(self._braking.linear, blind),
            self._heading.fastest(self._braking.angular, blind),
        )

    def reset(self) -> None:
        """Forgive the debts: a person has looked."""
        self._way.forgive()
        self._heading.forgive()

    def verdict(self, now: float) -> Verdict | None:
        """Halt when the way is used up, brake when the time is."""
        linear, angular = self._velocity.linear, self._velocity.angular
        way = self._way.used_up(linear, self._braking.linear, 'm', 1.0)
        verdict = way or self._heading.used_up(
            angular, self._braking.angular, 'degrees', math.degrees(1.0)
        )
        if verdict is not None:
            return self._odometry.doubted(verdict)
        if now <= self._deadline:
            return None
        message = 'the time allowance of the motion ran out'
        return Verdict(Stop.BRAKE, Result.TIMEOUT, message)

    def forget(self) -> None:
        """Keep the debts and the deadline: the jump ends the motion."""


def _rolls(speed: float, braking: float) -> float:
    """Return the way (>= 0) that braking from a speed takes."""
    return speed * speed / (2.0 * braking)
