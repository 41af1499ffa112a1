"""
The guard of what a network guesses to be in the way, from the camera's pictures alone.

The navigator's depth is no measurement: it is weaker than any sensor's. So it never clears what a
sensor reports, it slows the robot down, and only by parameter does it stop it. It comes once for a
decision, so that what was seen is remembered, by odometry, until newer pictures show otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math

from janusvln_ros.motion.geometry import Pose
from janusvln_ros.motion.safety.footprint import BodyParameters
from janusvln_ros.motion.safety.guard import Driven, Stop, Verdict
from janusvln_ros.motion.safety.sensors import Use
from janusvln_ros.motion.safety.standing import Picture, Standing
from janusvln_ros.motion.safety.stream import Stream
from janusvln_ros.motion.types import Result
from janusvln_ros.parameters import parameter

_PATIENCE = 1.0  # s that a robot which stands waits for a picture before it drives
_TURNED, _DRIVEN = math.radians(20.0), 1.0  # m since a picture, that still looked at the way
_TEXT = 200  # characters of what came in that are repeated
_NOTHING = (
    'nothing has come yet; does the navigator decide, with geometry_heads, and does it know metres'
    ' (camera_height, camera_info)?'
)


@dataclass(frozen=True)
class GuessParameters:
    """How near what the network guesses may come; guessed_depth says what happens then."""

    guess_stop_distance: float = parameter(
        0.4,
        'What is guessed to be nearer than this before the robot blocks its way, where'
        ' guessed_depth is stop.',
        unit='m',
        low=0.0,
        high=5.0,
    )
    guess_slowdown_distance: float = parameter(
        0.6,
        'Over this way before guess_stop_distance the speed falls evenly.',
        unit='m',
        low=0.01,
        high=5.0,
    )
    guess_slow_speed: float = parameter(
        0.1, 'To no less than this.', unit='m/s', low=0.01, high=3.0
    )
    guess_timeout: float = parameter(
        5.0,
        'Older depth, by its stamp, counts as none: with stop the robot does not drive on.',
        unit='s',
        low=0.1,
        high=60.0,
    )
    guess_share: float = parameter(
        0.5,
        'Of the pixels that look at the way this share must be known, else a picture counts as'
        ' none.',
        low=0.05,
        high=1.0,
    )


class Guess:
    """Knows what the navigator's depth says of the way ahead."""

    def __init__(self, use: Use, body: BodyParameters, driven: Driven) -> None:
        self._use, self._driven = use, driven
        self._stream, self._standing = Stream(), Standing(body)
        self._at = -math.inf  # s: stamp of the last picture that knew enough of the way
        self._seen_from = Pose()  # it was taken from here
        self._problem = ''  # of the last message
        self._patient_until = -math.inf

    def configure(
        self, parameters: GuessParameters, slowest: float, fastest: float, braking: float
    ) -> None:
        """Take parameters, the speeds (m/s) that the robot can drive, and its braking (m/s^2)."""
        self.parameters, self._slowest, self._fastest = parameters, slowest, fastest
        self._rolls = slowest * slowest / (2.0 * braking)  # m on from the least speed

    def on_picture(
        self, frame: str, stamp: float, now: float, picture: Callable[[], Picture]
    ) -> str:
        """
        Take the depth of a picture; return what is wrong with it, or ''.

        frame, stamp: of its header. picture: makes it; ValueError when it contradicts itself.
        """
        self._problem = self._stream.disorder(frame, stamp, now, self.parameters.guess_timeout)
        if not self._problem:
            try:
                self._problem = self._take(picture(), stamp, now)
            except ValueError as error:
                self._problem = str(error)[:_TEXT]
        return self._problem

    def begin(self, now: float) -> None:
        """Begin a motion from rest: an action comes before the depth of its picture."""
        self._patient_until = now + _PATIENCE

    def waits(self, now: float) -> bool:
        """Tell whether a robot that stands has to wait for a picture before it drives."""
        if self._use is Use.STOP and self._drives(now) and self.doubt(now):
            return True
        self._patient_until = -math.inf
        return False

    def room(self, now: float) -> float:
        """Return how far (m) the robot may still drive ahead; it may for ever if only slowly."""
        return self._left(now) if self._use is Use.STOP and self._drives(now) else math.inf

    def fastest(self, now: float) -> float:
        """Return the speed (m/s) that it may drive."""
        if self._use is Use.NONE or not self._drives(now):
            return math.inf
        share = max(0.0, self._left(now)) / self.parameters.guess_slowdown_distance
        return max(self.parameters.guess_slow_speed, self._slowest, self._fastest * share)

    def verdict(self, now: float) -> Verdict | None:
        """Halt a drive ahead whose way is not known or not clear, where that is asked for."""
        if self._use is not Use.STOP or not self._drives(now):
            return None
        doubt = self.doubt(now)
        if doubt:
            waits = now <= self._patient_until
            return None if waits else Verdict(Stop.HALT, Result.INPUT_LOST, doubt)
        left, stop = self._left(now), self.parameters.guess_stop_distance
        if left > 0.0:
            return None
        free = left + stop + self._rolls
        message = (
            f'an obstacle ahead, at {free:.2f} m, is nearer than {stop:.2f} m;'
            " this is the network's guess from the camera (depth/image), no sensor's measurement"
        )
        return Verdict(Stop.HALT, Result.BLOCKED, message)

    def doubt(self, now: float) -> str:
        """Return why there is no guess, or ''."""
        if self._use is Use.NONE:
            return ''
        age, (ahead, aside, turned) = now - self._at, self._moved(now)
        if math.isinf(age):
            told = _NOTHING
        elif age > self.parameters.guess_timeout:
            told = f'the last one is {age:.1f} s old'
        elif abs(turned) > _TURNED or math.hypot(ahead, aside) > _DRIVEN:
            told = f'the last one was {math.hypot(ahead, aside):.1f} m and'
            told += f' {math.degrees(abs(turned)):.0f} degrees from here'
        else:
            return ''
        refused = f'; the newest was refused: {self._problem}' if self._problem else ''
        return f"no guess of the way ahead from the navigator's depth/image: {told}{refused}"

    def told(self, now: float) -> str:
        """Return in words what is guessed of the way, for diagnostics."""
        if self._use is Use.NONE:
            return 'not asked for'
        free = self._standing.ahead(self._driven.predicted(now))
        guess = 'nothing' if math.isinf(free) else f'something at {free:.2f} m'
        return self.doubt(now) or f'{guess} ahead, to {self._use.value} the robot'

    def forget(self) -> None:
        """Drop all that was seen."""
        self._at = self._stream.stamp = self._patient_until = -math.inf
        self._standing.forget()

    def _take(self, picture: Picture, stamp: float, now: float) -> str:
        if stamp == self._stream.stamp:
            return ''
        self._stream.stamp = stamp
        seen_from = self._driven.pose_at(stamp)
        share = self._standing.see(picture, seen_from, self.parameters.guess_stop_distance)
        if share < self.parameters.guess_share:
            return (
                f'{100 * share:.0f} % of its pixels on the way ahead are known,'
                f' {100 * self.parameters.guess_share:.0f} % are needed; does the camera look'
                ' there (camera_z, camera_pitch)?'
            )
        self._at, self._seen_from = min(stamp, now), seen_from
        return ''

    def _drives(self, now: float) -> bool:
        return self._driven.ahead(now)[0] > 0.0

    def _moved(self, now: float) -> tuple[float, float, float]:
        """Return (m, m, rad): forward, to the left, turned since the last picture."""
        return self._driven.predicted(now).seen_from(self._seen_from)

    def _left(self, now: float) -> float:
        """Return how far (m) it is to where the robot has to stand."""
        free = self._standing.ahead(self._driven.predicted(now))
        return free - self.parameters.guess_stop_distance - self._rolls
