"""The guard of the way: what stands in it, and whether it was seen at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
import math

from janusvln_ros.motion.geometry import Pose
from janusvln_ros.motion.safety.footprint import BodyParameters
from janusvln_ros.motion.safety.guard import Driven, Stop, Verdict
from janusvln_ros.motion.safety.rays import Rays
from janusvln_ros.motion.safety.sight import BACKWARD, FORWARD, look, strips, View, Way
from janusvln_ros.motion.safety.stream import Stream
from janusvln_ros.motion.types import Result
from janusvln_ros.parameters import parameter
import numpy as np

_NAMES = {FORWARD: 'ahead', BACKWARD: 'behind'}
_BRAKES = 0.8  # of the braking that is planned with
_TEXT = 200  # characters of what came in that are repeated


@dataclass(frozen=True)
class ObstacleParameters:
    """When an obstacle, or a sensor that is silent or blind, stops the robot."""

    stop_distance: float = parameter(
        0.0,
        'An obstacle nearer than this before the robot blocks its way; 0: obstacles are not'
        ' looked for.',
        unit='m',
        low=0.0,
        high=5.0,
    )
    slowdown_distance: float = parameter(
        0.3,
        'Over this way before stop_distance the speed falls evenly; 0: the robot brakes as late'
        ' as it can.',
        unit='m',
        low=0.0,
        high=5.0,
    )
    obstacle_timeout: float = parameter(
        0.5,
        'Older readings of an obstacle sensor, by stamp or arrival, stop the robot.',
        unit='s',
        low=0.05,
        high=5.0,
    )
    obstacle_share: float = parameter(
        0.5,
        'Of the beams to each piece (0.1 m) of the way, this share must have measured something.',
        low=0.05,
        high=1.0,
    )


@dataclass
class _Sensor(Stream):
    """
    What one sensor has said.

    at: s, the earlier of stamp and arrival of its last message; measured_at: of the last that was
    not blind.
    """

    at: float = -math.inf
    measured_at: float = -math.inf
    views: list[tuple[float, View, Pose]] = field(default_factory=list)  # when, what, from where
    seen: dict[int, np.ndarray] = field(default_factory=dict)  # s, when each strip was last seen
    problem: str = ''
    problem_at: float = -math.inf


class Obstacles:
    """Knows what each sensor sees of the way."""

    def __init__(self, body: BodyParameters, sensors: Sequence[str], driven: Driven) -> None:
        self._body, self._driven = body, driven
        self._sensors = {name: _Sensor() for name in sensors}

    def configure(
        self, parameters: ObstacleParameters, slowest: float, fastest: float, braking: float
    ) -> None:
        """Take parameters, the speeds (m/s) that the robot can drive, and its braking (m/s^2)."""
        self.parameters, self._fastest = parameters, fastest
        self._rolls = slowest * slowest / (2.0 * braking)  # m on from the least speed
        self._stops = fastest * fastest / (2.0 * _BRAKES * braking)  # m from the top speed

    @property
    def in_use(self) -> bool:
        """Tell whether obstacles are looked for."""
        return self.parameters.stop_distance > 0.0

    def on_message(
        self, name: str, frame: str, stamp: float, now: float, rays: Callable[[], Rays]
    ) -> str:
        """
        Take a message of a sensor; return what is wrong with it, or ''.

        frame, stamp: of its header. rays: makes rays of it; ValueError when it contradicts itself.
        """
        sensor = self._sensors[name]
        problem = sensor.disorder(frame, stamp, now, self.parameters.obstacle_timeout)
        if not problem:
            try:
                self._take(sensor, rays(), stamp, now)
            except ValueError as error:
                problem = str(error)
        if problem:
            problem = problem[:_TEXT]
            sensor.problem, sensor.problem_at = problem, now
        return problem

    def room(self, now: float) -> float:
        """Return how far (m) the robot may still move in the direction in which it drives."""
        way, _ = self._driven.ahead(now)
        direction = BACKWARD if way < 0.0 else FORWARD
        if not self.in_use:
            return math.inf
        ways = self._body.outline.way(self._points(now), direction)
        return float(ways.min(initial=math.inf)) - self.parameters.stop_distance - self._rolls

    def fastest(self, room: float) -> float:
        """Return the speed (m/s) that it may drive with so much room (m)."""
        slow = self.parameters.slowdown_distance
        return self._fastest * max(0.0, room) / slow if slow else math.inf

    def verdict(self, now: float) -> Verdict | None:
        """Halt a motion when its way is not known or not clear."""
        way, turn = self._driven.ahead(now)
        if not self.in_use or not (way or turn):
            return None
        doubts = self.doubts(now)
        if doubts:
            return Verdict(Stop.HALT, Result.INPUT_LOST, doubts)
        drives = self._driving(BACKWARD if way < 0.0 else FORWARD, now) if way else None
        return drives or (self._turning(turn, now) if turn else None)

    def doubts(self, now: float) -> str:
        """Return why sensors that are needed cannot be trusted, or ''."""
        names = self._sensors if self.in_use else ()
        return '; '.join(doubt for name in names if (doubt := self._doubt(name, now)))

    def forget(self) -> None:
        """Drop what the sensors have said, but not their frames."""
        for sensor in self._sensors.values():
            sensor.at = sensor.measured_at = sensor.stamp = sensor.problem_at = -math.inf
            sensor.views.clear()
            sensor.seen.clear()

    # ---- messages ----

    def _take(self, sensor: _Sensor, rays: Rays, stamp: float, now: float) -> None:
        """Take a view; keep those before it that saw what it does not see, while fresh."""
        limits, at = self.parameters, min(stamp, now)
        if stamp == sensor.stamp:
            return
        sensor.stamp = stamp
        view = look(
            rays,
            self._body,
            limits.stop_distance + self._stops,
            limits.obstacle_share,
            limits.stop_distance + max(self._stops, limits.slowdown_distance),
        )
        kept = [one for one in self._fresh(sensor, now) if not view.covers(one[1])]
        sensor.views = [*kept, (at, view, self._driven.pose_at(stamp))]
        sensor.at, sensor.measured_at = at, sensor.measured_at if view.blind else at
        for direction, way in view.ways.items():
            before = sensor.seen.get(direction, np.full(len(way.seen), -math.inf))
            sensor.seen[direction] = np.where(way.seen, at, before)

    # ---- the way ----

    def _points(self, now: float) -> np.ndarray:
        """Return (N, 2) m: all that stands there, as seen from where the robot will be."""
        pose, found = self._driven.predicted(now), [np.zeros((0, 2))]
        for sensor in self._sensors.values():
            for _, view, seen_from in self._fresh(sensor, now):
                x, y, turn = seen_from.seen_from(pose)
                cosine, sine = math.cos(turn), math.sin(turn)
                rotation = np.array([[cosine, sine], [-sine, cosine]])
                found.append(view.points @ rotation + (x, y))
        return np.concatenate(found)

    def _fresh(self, sensor: _Sensor, now: float) -> list[tuple[float, View, Pose]]:
        oldest = now - self.parameters.obstacle_timeout
        return [one for one in sensor.views if one[0] >= oldest]

    def _doubt(self, name: str, now: float) -> str:
        """Return why a sensor cannot be trusted, or ''."""
        sensor, longest = self._sensors[name], self.parameters.obstacle_timeout
        if now - sensor.problem_at <= longest:
            return f'{name} is refused: {sensor.problem}'
        if math.isinf(sensor.at):
            return f'{name} silent: nothing has come yet; does its driver run, and publish there?'
        if now - sensor.at > longest:
            return f'{name} silent for {now - sensor.at:.1f} s: does its driver run?'
        if now - sensor.measured_at > longest:
            return (
                f'{name} is blind: none of its beams measures anything; is it covered, or broken?'
            )
        return ''

    def _driving(self, direction: int, now: float) -> Verdict | None:
        where, stop = _NAMES[direction], self.parameters.stop_distance
        ways = {
            name: sensor.views[-1][1].ways[direction] for name, sensor in self._sensors.items()
        }
        near = [
            name
            for name, sensor in self._sensors.items()
            if any(view.ways[direction].too_near for _, view, _ in self._fresh(sensor, now))
        ]
        if near:
            message = (
                f'an obstacle {where} is too near for {" and ".join(near)} to measure: is the'
                ' sensor covered?'
            )
            return Verdict(Stop.HALT, Result.BLOCKED, message)
        room = self.room(now)
        if room <= 0.0:
            message = (
                f'an obstacle {where}, at {room + stop + self._rolls:.2f} m, is nearer than'
                f' {stop:.2f} m'
            )
            return Verdict(Stop.HALT, Result.BLOCKED, message)
        unseen = self._unseen(direction, ways, now)
        if not unseen.any():
            return None
        told = '; '.join(
            f'{name} {_short_of(way, stop + self._stops)}' for name, way in ways.items()
        )
        message = (
            f'{int(unseen.sum())} of {len(unseen)} strips of the way {where} are not seen: {told}'
        )
        return Verdict(Stop.HALT, Result.INPUT_LOST, message)

    def _unseen(self, direction: int, ways: dict[str, Way], now: float) -> np.ndarray:
        """Return which strips nobody has seen lately; behind, only those that are looked at."""
        count = strips(self._body)
        looked = np.full(count, direction == FORWARD)
        last = np.full(count, -math.inf)
        for name, way in ways.items():
            looked |= way.looked
            last = np.maximum(last, self._sensors[name].seen[direction])
        return looked & (now - last > self.parameters.obstacle_timeout)

    def _turning(self, turn: float, now: float) -> Verdict | None:
        free = self._body.outline.turn(self._points(now), turn)
        if math.isinf(free):
            return None
        side = 'left' if turn > 0.0 else 'right'
        message = (
            f'an obstacle: turning {side}, the robot would touch it after'
            f' {math.degrees(free):.0f} degrees'
        )
        return Verdict(Stop.HALT, Result.BLOCKED, message)


def _short_of(way: Way, stop: float) -> str:
    """Say in words why a sensor has not seen the way."""
    if not way.rays:
        return 'does not look there (is its mount right?)'
    if way.short > (way.rays - way.valid) // 2:
        return f'does not reach {stop:.2f} m before the robot (range_max, heights)'
    looked, count = int(way.looked.sum()), len(way.looked)
    return f'looks at {looked} of {count}; {way.valid} of its {way.rays} beams measured something'
