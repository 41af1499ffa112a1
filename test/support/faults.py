"""What may break on a robot, one fault by one, and a robot on which it does."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
import math
from random import Random
from typing import Protocol

from janusvln_ros.motion.geometry import Pose
from janusvln_ros.motion.testing import BaseConfig, BaseModel
from janusvln_ros.motion.types import Velocity
from robot import Robot

Lie = Callable[[float, Pose, Pose], 'tuple[float, Pose] | None']  # stamp, told, step -> message
STEP, STEP_ANGLE = 0.40, math.radians(25.0)  # what the robot may still do after a fault began
_TRACK = 0.4  # m between the wheels


def _moved(told: Pose, step: Pose) -> Pose:
    """Add a step (m forward, m to the left, rad) to what odometry told before."""
    cosine, sine = math.cos(told.yaw), math.sin(told.yaw)
    return Pose(
        told.x + cosine * step.x - sine * step.y,
        told.y + sine * step.x + cosine * step.y,
        told.yaw + step.yaw,
    )


def true(stamp: float, told: Pose, step: Pose) -> tuple[float, Pose]:
    """Tell what is."""
    return stamp, _moved(told, step)


def scaled(way: float, turn: float) -> Lie:
    """Tell a multiple of what is done."""
    return lambda stamp, told, step: (
        stamp,
        _moved(told, Pose(way * step.x, way * step.y, turn * step.yaw)),
    )


def restarting(way: float, turn: float) -> Lie:
    """Begin again and again, after so many m or rad, where it was at first."""
    begin: Pose | None = None

    def tell(stamp: float, told: Pose, step: Pose) -> tuple[float, Pose]:
        nonlocal begin
        begin = begin or told
        there = _moved(told, step)
        over = math.hypot(there.x - begin.x, there.y - begin.y) > way
        return stamp, begin if over or abs(there.yaw - begin.yaw) > turn else there

    return tell


def returning(way: float, turn: float) -> Lie:
    """Go back by so many m or rad, again and again, to where it was."""
    gone = Pose()

    def tell(stamp: float, told: Pose, step: Pose) -> tuple[float, Pose]:
        nonlocal gone
        gone = Pose(gone.x + step.x, gone.y + step.y, gone.yaw + step.yaw)
        there = _moved(told, step)
        if abs(gone.x) > way or abs(gone.yaw) > turn:
            there, gone = _moved(there, Pose(-gone.x, -gone.y, -gone.yaw)), Pose()
        return stamp, there

    return tell


def late(seconds: float, stamped_then: bool) -> Lie:
    """Come late, stamped when it was measured or when it comes."""
    under_way: deque[tuple[float, Pose]] = deque()

    def tell(stamp: float, told: Pose, step: Pose) -> tuple[float, Pose]:
        under_way.append((stamp, step))
        there, then = told, stamp - seconds
        while under_way and under_way[0][0] <= stamp - seconds:
            then, first = under_way.popleft()
            there = _moved(there, first)
        return (then if stamped_then else stamp), there

    return tell


def shifted(seconds: float) -> Lie:
    """Stamp all by a clock that is ahead, or behind."""
    return lambda stamp, told, step: (stamp + seconds, _moved(told, step))


def noisy(spread: float) -> Lie:
    """Stand still under noise of so many m and rad."""
    place, random = None, Random(0)

    def tell(stamp: float, told: Pose, step: Pose) -> tuple[float, Pose]:
        nonlocal place
        place = place or told
        x, y, yaw = (random.gauss(0.0, spread) for _ in range(3))
        return stamp, Pose(place.x + x, place.y + y, place.yaw + yaw)

    return tell


def creeping(speed: float) -> Lie:
    """Go on by itself, at so many m/s and rad/s, whatever the robot does."""
    last = None

    def tell(stamp: float, told: Pose, step: Pose) -> tuple[float, Pose]:
        nonlocal last
        way = speed * (stamp - (last or stamp))
        last = stamp
        return stamp, _moved(told, Pose(way, 0.0, way))

    return tell


def mixed(way: float, turn: float) -> Lie:
    """Tell in turns of this robot, and of another that stands so far away."""
    count, here, there = 0, None, Pose()

    def tell(stamp: float, told: Pose, step: Pose) -> tuple[float, Pose]:
        nonlocal count, here, there
        if here is None:
            here, there = told, _moved(told, Pose(way, 0.0, turn))
        here = _moved(here, step)
        count += 1
        return stamp, here if count % 2 else there

    return tell


def _between(low: float, high: float) -> Callable[[float], float]:
    return lambda share: low + share * (high - low)


@dataclass(frozen=True)
class Fault:
    """
    A fault, and how it shows.

    begin: breaks a robot, more or less of it by a share of 0..1. seconds: how long the robot may
    be told to move on while it lasts. way, turn: whether it is one of driving, of turning.
    momentary: it is over once it has stopped the robot. part: what is broken; one fault at a time.
    steps: how many the robot may still go.
    """

    begin: Callable[[Broken, float], None]
    seconds: float
    way: bool = True
    turn: bool = True
    momentary: bool = False
    part: str = 'odometry'
    steps: float = 1.0


def _odometry(make: Callable[[float], Lie]) -> Callable[[Broken, float], None]:
    def begin(robot: Broken, share: float) -> None:
        robot.odometer.lie = make(share)

    return begin


def _wheels(
    effect: Callable[[float, float], tuple[float, float]],
) -> Callable[[Broken, float], None]:
    def begin(robot: Broken, share: float) -> None:
        robot.base.wheels = effect

    return begin


def _one_wheel(side: float) -> Callable[[float, float], tuple[float, float]]:
    """Return what is left when one wheel is dead; side: 1 when only the right one turns."""

    def effect(linear: float, angular: float) -> tuple[float, float]:
        speed = linear + side * angular * _TRACK / 2.0
        return speed / 2.0, side * speed / _TRACK

    return effect


def _jump(robot: Broken, share: float) -> None:
    robot.odometer.jump(Pose(_between(0.35, 5.0)(share), 0.0, 0.0))


def _clock_jump(robot: Broken, share: float) -> None:
    robot.offset += _between(1.1, 500.0)(abs(2.0 * share - 1.0)) * (1.0 if share > 0.5 else -1.0)


def _silence(robot: Broken, share: float) -> None:
    robot.linked = False


PUSH = 1.0  # s, in which pushing without an answer has to be seen
SLACK = 0.15  # s, of periods and of the last odometry under way
FAULTS = {
    'frozen': Fault(_odometry(lambda share: scaled(0.0, 0.0)), PUSH),
    'frozen under noise': Fault(_odometry(lambda share: noisy(_between(0.01, 0.03)(share))), PUSH),
    'creeping': Fault(_odometry(lambda share: creeping(_between(0.05, 0.15)(share))), 1.5 * PUSH),
    'inverted': Fault(_odometry(lambda share: scaled(-1.0, -1.0)), PUSH),
    'driving inverted': Fault(_odometry(lambda share: scaled(-1.0, 1.0)), PUSH, turn=False),
    'yaw flipped': Fault(_odometry(lambda share: scaled(1.0, -1.0)), PUSH, way=False),
    'yaw frozen': Fault(_odometry(lambda share: scaled(1.0, 0.0)), PUSH, way=False),
    'too little': Fault(
        _odometry(lambda share: scaled(*2 * [_between(0.05, 0.25)(share)])), 1.5 * PUSH
    ),
    'about a half': Fault(
        _odometry(lambda share: scaled(*2 * [_between(0.25, 0.5)(share)])), 2.2, steps=1.6
    ),
    'too much': Fault(_odometry(lambda share: scaled(*2 * [_between(2.0, 3.0)(share)])), PUSH),
    'restarting': Fault(
        _odometry(
            lambda share: restarting(_between(0.01, 0.09)(share), _between(0.02, 0.19)(share))
        ),
        1.5 * PUSH,
    ),
    'returning': Fault(
        _odometry(
            lambda share: returning(_between(0.01, 0.09)(share), _between(0.02, 0.19)(share))
        ),
        1.5 * PUSH,
    ),
    'late': Fault(_odometry(lambda share: late(_between(0.6, 3.0)(share), False)), PUSH),
    'late by its stamps': Fault(
        _odometry(lambda share: late(_between(0.6, 3.0)(share), True)), 0.5
    ),
    'stamps old': Fault(_odometry(lambda share: shifted(-_between(0.6, 3600.0)(share))), 0.5),
    'stamps ahead': Fault(_odometry(lambda share: shifted(_between(0.6, 3600.0)(share))), 0.02),
    'not a number': Fault(
        _odometry(lambda share: lambda stamp, told, step: (stamp, Pose(math.nan))), 0.02
    ),
    'silent': Fault(_odometry(lambda share: lambda stamp, told, step: None), 0.5),
    'mixed': Fault(
        _odometry(lambda share: mixed(_between(0.05, 3.0)(share), _between(0.1, 3.0)(share))), PUSH
    ),
    'mixed with its copy': Fault(_odometry(lambda share: mixed(0.0, 0.0)), PUSH),
    'jumps': Fault(_jump, 0.04, momentary=True, part='jump'),
    'left wheel dead': Fault(_wheels(_one_wheel(1.0)), PUSH, part='wheels'),
    'right wheel dead': Fault(_wheels(_one_wheel(-1.0)), PUSH, part='wheels'),
    'stalled': Fault(_wheels(lambda linear, angular: (0.0, 0.0)), PUSH, part='wheels'),
    'clock jumps': Fault(_clock_jump, 0.0, momentary=True, part='clock'),
    'link lost': Fault(_silence, 1.6, way=False, turn=False, part='link'),
}


class Odometer:
    """Odometry that may lie; it goes on from what it told before, so that no lie is a jump."""

    def __init__(self) -> None:
        self.lie: Lie = true
        self._told: Pose | None = None
        self._seen = Pose()  # the newest true pose

    def jump(self, by: Pose) -> None:
        """Go on from elsewhere."""
        self._told = _moved(self._told or Pose(), by)

    def tell(self, stamp: float, pose: Pose) -> tuple[float, Pose] | None:
        """Return what is told of a pose that the robot had at a stamp (s); None for nothing."""
        if self._told is None:
            self._told = self._seen = pose
        step, self._seen = Pose(*pose.seen_from(self._seen)), pose
        message = self.lie(stamp, self._told, step)
        if message is not None and message[1].is_finite():
            self._told = message[1]
        return message


class Broken(Protocol):
    """What a fault may break."""

    base: BaseModel
    odometer: Odometer
    offset: float
    linked: bool


class FaultyRobot(Robot):
    """
    A robot on which anything may break; it measures what it really does.

    offset: s that its clock is ahead. linked: whether signs of life of a navigator come.
    """

    def __init__(self, base: BaseConfig | None = None, every: int = 1, **values: object) -> None:
        self.offset = 0.0
        self.linked = True
        self.odometer = Odometer()
        self.way = 0.0  # m, all that was really driven
        self._every, self._count = every, 0
        super().__init__(base, **values)

    @property
    def now(self) -> float:
        return self.base.time + self.offset

    def mend(self) -> None:
        """End every fault; odometry goes on from where it was."""
        self.odometer.lie, self.linked = true, True
        self.base.wheels = lambda linear, angular: (linear, angular)

    def tick(self) -> Velocity | None:
        before, self.odometry = self.base.pose, self._tell
        if self.linked:
            self.executor.link.on_navigator(self.now)
        velocity = super().tick()
        after = self.base.pose
        self.way += math.hypot(after.x - before.x, after.y - before.y)
        return velocity

    def _tell(self, stamp: float, pose: Pose) -> tuple[float, Pose] | None:
        self._count += 1
        return None if self._count % self._every else self.odometer.tell(stamp + self.offset, pose)
