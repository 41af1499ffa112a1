"""Closed-loop tracking of a goal pose: drive along a line, then turn on the spot."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from functools import cached_property
import math

from janusvln_ros.motion.geometry import Pose, wrap
from janusvln_ros.motion.limits import advance, approach_speed, AxisLimits, AxisState, coasting
from janusvln_ros.motion.types import Velocity
from janusvln_ros.parameters import parameter

_HEADING_GAIN = 3.0  # 1/s, heading error -> turn rate
_ACROSS_GAIN = 1.5  # rad/m, distance from the line -> heading towards it
_MAX_CORRECTION = 0.15  # rad, steepest heading towards the line
_OFF_LINE = 0.02  # m
_LITTLE_WAY, _LITTLE_TURN = 0.02, 0.04  # m, rad, after which a base has set off
_SWEEP = 0.35  # rad that are looked at beside a robot that is turned by hand
_ALIGN_ANGLE = 0.17  # rad; farther off the line's direction, the robot turns before it drives


@dataclass(frozen=True)
class Goal:
    """
    Where to go: a point, driven to along a line of the given heading, then a final yaw.

    drive says whether the point counts; without it the robot only turns to the yaw.
    """

    pose: Pose
    line: float
    drive: bool

    def along(self, pose: Pose) -> float:
        """Return how far (m) the point lies ahead, measured along the line; 0 without drive."""
        if not self.drive:
            return 0.0
        return (self.pose.x - pose.x) * math.cos(self.line) + (self.pose.y - pose.y) * math.sin(
            self.line
        )

    def across(self, pose: Pose) -> float:
        """Return how far (m) a pose lies to the left of the line."""
        return (pose.y - self.pose.y) * math.cos(self.line) - (pose.x - self.pose.x) * math.sin(
            self.line
        )


_UNLIMITED = Velocity(math.inf, math.inf)


@dataclass(frozen=True)
class DrivingParameters:
    """Limits of both axes, and when a goal counts as reached; ValueError when they contradict."""

    max_linear_speed: float = parameter(0.3, 'Fastest drive.', unit='m/s', low=0.01, high=3.0)
    max_angular_speed: float = parameter(1.0, 'Fastest turn.', unit='rad/s', low=0.01, high=6.0)
    min_linear_speed: float = parameter(
        0.0, 'Slowest drive that the base can do; 0 for wheels.', unit='m/s', low=0.0, high=1.0
    )
    min_angular_speed: float = parameter(
        0.0,
        'Slowest turn on the spot that the base can do; 0 for wheels.',
        unit='rad/s',
        low=0.0,
        high=2.0,
    )
    max_linear_acceleration: float = parameter(
        0.5, 'Speeding up and braking.', unit='m/s^2', low=0.01, high=10.0
    )
    max_angular_acceleration: float = parameter(
        2.0, 'Speeding up and braking.', unit='rad/s^2', low=0.01, high=30.0
    )
    max_linear_jerk: float = parameter(
        2.5, 'Change of the acceleration.', unit='m/s^3', low=0.01, high=100.0
    )
    max_angular_jerk: float = parameter(
        12.0, 'Change of the acceleration.', unit='rad/s^3', low=0.01, high=500.0
    )
    position_tolerance: float = parameter(
        0.01, 'A move this near its end has arrived.', unit='m', low=0.001, high=0.2
    )
    angle_tolerance: float = parameter(
        math.radians(0.75),
        'A turn this near its end has arrived.',
        unit='rad',
        low=0.001,
        high=0.5,
    )
    approach_gain: float = parameter(
        5.0,
        'Near the goal the speed is at most this times the distance.',
        unit='1/s',
        low=0.2,
        high=20.0,
    )

    def __post_init__(self) -> None:
        self.linear, self.angular  # noqa: B018 - says what contradicts

    @cached_property
    def linear(self) -> AxisLimits:
        """Return the limits of driving."""
        return AxisLimits(
            self.max_linear_speed,
            self.max_linear_acceleration,
            self.max_linear_jerk,
            self.min_linear_speed,
        )

    @cached_property
    def angular(self) -> AxisLimits:
        """Return the limits of turning."""
        return AxisLimits(
            self.max_angular_speed,
            self.max_angular_acceleration,
            self.max_angular_jerk,
            self.min_angular_speed,
        )


class CommandHistory:
    """Velocities commanded lately: they say where the robot will be once a new one acts."""

    def __init__(self, horizon: float = 1.0) -> None:
        self._horizon = horizon
        self._steps: deque[tuple[float, float, Velocity]] = deque()

    def clear(self) -> None:
        """Forget everything."""
        self._steps.clear()

    def add(self, start: float, end: float, velocity: Velocity) -> None:
        """Note the velocity that was commanded from start to end (s)."""
        self._steps.append((start, end, velocity))
        while self._steps and self._steps[0][1] < end - self._horizon:
            self._steps.popleft()

    def predict(self, pose: Pose, since: float) -> Pose:
        """Return the pose after all that was commanded after `since` (s) has acted on it."""
        for start, end, velocity in self._steps:
            duration = end - max(start, since)
            if duration > 0.0:
                pose = pose.moved(velocity.linear * duration, velocity.angular * duration)
        return pose


class DelayMeter:
    """
    Measures how late (s) odometry answers when the base sets off.

    It compares when a little way has been commanded, and when odometry tells it: what is between
    is the delay of the base, and that of odometry which is stamped when it arrives.
    """

    def __init__(self) -> None:
        self.delay = 0.0  # s, at the last motion from rest
        self._start: Pose | None = None
        self._goes_forward = True
        self._commanded_at: float | None = None
        self._way = 0.0
        self._before: tuple[float, float] | None = None  # stamp, way that odometry told

    def begin(self, start: Pose | None, goes_forward: bool) -> None:
        """Set off from a pose, to drive or to turn; without a pose nothing is measured."""
        self._start, self._goes_forward = start, goes_forward
        self._commanded_at, self._way, self._before = None, 0.0, None

    def measure(self, now: float, dt: float, velocity: Velocity, stamp: float, pose: Pose) -> None:
        """Take the velocity of the last dt (s) until now, and the newest odometry."""
        if self._start is None:
            return
        forward, _, turn = pose.seen_from(self._start)
        told = abs(forward if self._goes_forward else turn)
        speed = abs(velocity.linear if self._goes_forward else velocity.angular)
        little = _LITTLE_WAY if self._goes_forward else _LITTLE_TURN
        if self._commanded_at is None and self._way + speed * dt >= little:
            self._commanded_at = now - (self._way + speed * dt - little) / speed
        self._way += speed * dt
        if told >= little:
            if self._commanded_at is not None and self._before is not None:
                last, before = self._before
                part = (little - before) / (told - before)
                self.delay = last + part * (stamp - last) - self._commanded_at
            self._start = None
        self._before = (stamp, told)


class Tracker:
    """
    Turns the distance to a goal into velocities within the limits.

    The goal can be replaced at any time; the commanded velocity stays continuous. Without
    `reverse` a point that has been passed is left behind.
    """

    def __init__(self, config: DrivingParameters, reverse: bool = False) -> None:
        self.config = config
        self.reverse = reverse
        self.goal: Goal | None = None
        self._hand: Velocity | None = None  # to keep, instead of a goal
        self._driving = False
        self._aligning = False
        self._linear = AxisState()
        self._angular = AxisState()
        self._fastest = _UNLIMITED

    def halt(self) -> None:
        """Drop the goal and command zero at once, regardless of the limits."""
        self.goal = self._hand = None
        self._linear = self._angular = AxisState()

    def follow(self, goal: Goal) -> None:
        """Take a goal in place of the one before."""
        self.goal, self._hand = goal, None
        self._driving = goal.drive
        self._aligning = False

    def steer(self, velocity: Velocity) -> None:
        """Take a velocity to keep in place of the goal."""
        self.goal, self._hand = None, velocity

    @property
    def drives(self) -> bool:
        """Tell whether the goal still asks for translation."""
        return self.goal is not None and self._driving

    @property
    def rests(self) -> bool:
        """Tell whether it commands zero, and has come to that within the limits."""
        return self._linear == self._angular == AxisState()

    @property
    def _target(self) -> Goal:
        """Return the goal; RuntimeError where there is none."""
        if self.goal is None:
            raise RuntimeError('there is no goal to drive to')
        return self.goal

    def reached(self, pose: Pose) -> bool:
        """Tell whether a pose (of a robot that stands) is the goal within the tolerances."""
        goal, config = self._target, self.config
        return (
            abs(goal.along(pose)) <= config.position_tolerance
            and abs(goal.pose.yaw - pose.yaw) <= config.angle_tolerance
        )

    def can_come_closer(self, pose: Pose) -> bool:
        """Tell whether a robot at a pose can do anything about what is left."""
        ahead = self._target.along(pose) > -self.config.position_tolerance
        turned = abs(self._target.pose.yaw - pose.yaw) <= self.config.angle_tolerance
        return self.reverse or ahead or not turned

    def ahead(self, pose: Pose) -> tuple[float, float]:
        """Return (m, rad): what is next from a pose; it drives, or it turns on the spot."""
        if self._hand is not None:
            hand = self._hand
            turn = math.copysign(_SWEEP, hand.angular) if hand.angular else 0.0
            return (math.copysign(1.0, hand.linear) if hand.linear else 0.0), turn
        goal = self.goal
        if goal is None:
            return 0.0, 0.0
        along = goal.along(pose) if self._driving else 0.0
        if not self._leaves(along) and (along > 0.0 or self.reverse and along < 0.0):
            line_error = wrap(goal.line - pose.yaw)
            aligns = self._aligning or abs(line_error) > _ALIGN_ANGLE
            return (0.0, line_error) if aligns and not self._linear.speed else (along, 0.0)
        turn = goal.pose.yaw - pose.yaw
        return 0.0, 0.0 if self._leaves_yaw(turn) else turn

    def brake(self, dt: float) -> Velocity:
        """Come to a stop within the limits, whatever the goal; it is done when it rests."""
        return self._advance(0.0, 0.0, dt, floor_turn=True)

    def step(
        self, pose: Pose, dt: float, room: float = math.inf, fastest: Velocity = _UNLIMITED
    ) -> tuple[Velocity, bool]:
        """
        Return the velocity for the next dt seconds, and whether the goal has been reached.

        pose: where the robot will be when the velocity takes effect. room: how far (m) it may
        still drive before an obstacle. fastest: speeds to keep to besides its own.
        """
        self._fastest = fastest
        if self._hand is not None:
            return self._keep(self._hand, dt, room), False
        if self._driving:
            self._aim_again(pose)
            speed = self._drive_speed(self._target.along(pose), room, dt)
            if speed != 0.0 or self._linear.speed != 0.0:
                return self._drive(speed, pose, dt), False
            self._driving = False
        rate = self._turn_rate(self._target.pose.yaw - pose.yaw, dt)
        velocity = self._advance(0.0, rate, dt, floor_turn=True)
        return velocity, self.rests and rate == 0.0

    def _keep(self, hand: Velocity, dt: float, room: float) -> Velocity:
        """Come closer to a velocity by hand, as far as there is room (m)."""
        linear, fastest = self.config.linear, self._fastest
        free = max(0.0, room - coasting(self._linear, linear))
        most = min(
            abs(hand.linear),
            fastest.linear,
            approach_speed(free, linear, self.config.approach_gain),
        )
        rate = min(abs(hand.angular), fastest.angular)
        return self._advance(
            math.copysign(most, hand.linear),
            math.copysign(rate, hand.angular),
            dt,
            floor_turn=not hand.linear,
        )

    def _drive(self, speed: float, pose: Pose, dt: float) -> Velocity:
        """Keep to the line while driving; turn towards it first when it points elsewhere."""
        line_error = wrap(self._target.line - pose.yaw)
        if speed != 0.0 and self._must_align(line_error, dt):
            rate = self._turn_rate(line_error, dt) if self._linear.speed == 0.0 else 0.0
            return self._advance(0.0, rate, dt, floor_turn=True)
        aim = max(-_MAX_CORRECTION, min(_MAX_CORRECTION, _ACROSS_GAIN * self._target.across(pose)))
        rate = _HEADING_GAIN * (line_error - math.copysign(1.0, speed) * aim)
        return self._advance(speed, rate, dt, floor_turn=False)

    def _aim_again(self, pose: Pose) -> None:
        """Lay the line from a pose to the point when it is too far off to steer back to it."""
        along, across = self._target.along(pose), self._target.across(pose)
        if abs(across) > _OFF_LINE and along > _OFF_LINE:
            bearing = pose.yaw + wrap(self._target.line - math.atan2(across, along) - pose.yaw)
            self.goal = replace(self._target, line=bearing)

    def _must_align(self, line_error: float, dt: float) -> bool:
        """Tell whether the robot has to turn towards the line before it drives."""
        self._aligning = (
            abs(line_error) > _ALIGN_ANGLE
            or self._aligning
            and self._turn_rate(line_error, dt) != 0.0
        )
        return self._aligning

    def _drive_speed(self, along: float, room: float, dt: float) -> float:
        """Return the signed speed to aim at; 0 when the point has been reached."""
        config, limits = self.config, self.config.linear
        if abs(along) <= max(config.position_tolerance / 4.0, limits.minimum * dt / 2.0):
            return 0.0
        if along < 0.0 and not self.reverse:
            return 0.0
        if self._leaves(along):
            return 0.0
        distance = min(abs(along), room)
        return math.copysign(
            self._approach(
                distance, self._linear, limits, config.position_tolerance, self._fastest.linear
            ),
            along,
        )

    def _leaves(self, along: float) -> bool:
        """Tell whether it is near enough to the point, and stands or has passed it."""
        near = abs(along) <= self.config.position_tolerance
        return near and along * self._linear.speed <= 0.0

    def _turn_rate(self, error: float, dt: float) -> float:
        """Return the signed turn rate to aim at; 0 when the heading has been reached."""
        config, limits = self.config, self.config.angular
        if abs(error) <= max(config.angle_tolerance / 4.0, limits.minimum * dt / 2.0):
            return 0.0
        if self._leaves_yaw(error):
            return 0.0
        return math.copysign(
            self._approach(
                abs(error), self._angular, limits, config.angle_tolerance, self._fastest.angular
            ),
            error,
        )

    def _leaves_yaw(self, error: float) -> bool:
        """Tell whether it is near enough to the heading, and stands or has passed it."""
        near = abs(error) <= self.config.angle_tolerance
        return near and error * self._angular.speed <= 0.0

    def _approach(
        self,
        distance: float,
        state: AxisState,
        limits: AxisLimits,
        tolerance: float,
        fastest: float,
    ) -> float:
        free = max(0.0, distance - coasting(state, limits))
        speed = min(fastest, approach_speed(free, limits, self.config.approach_gain))
        # never slower than crosses the tolerance in half a second: bases stick at lower speeds
        return max(speed, min(2.0 * tolerance, limits.speed), limits.minimum)

    def _advance(self, linear: float, angular: float, dt: float, floor_turn: bool) -> Velocity:
        limits = self.config
        self._linear = _ramp(self._linear, linear, limits.linear, dt)
        self._angular = _ramp(self._angular, angular, limits.angular, dt)
        return Velocity(
            _floored(self._linear.speed, linear, limits.linear.minimum),
            _floored(self._angular.speed, angular, limits.angular.minimum if floor_turn else 0.0),
        )


def _ramp(before: AxisState, target: float, limits: AxisLimits, dt: float) -> AxisState:
    """
    Come closer to a target; to exactly zero once (almost) there, or below the minimum.

    The rate of that last change stays for a tick: a goal that comes then keeps the jerk limit.
    """
    after = advance(before, target, limits, dt)
    if target != 0.0 or abs(after.speed) >= max(limits.minimum, 1e-4 * limits.speed):
        return after
    return AxisState(0.0, after.acceleration if before.speed else 0.0)


def _floored(speed: float, target: float, minimum: float) -> float:
    """Return what a base that cannot go slower than its minimum is told."""
    if target == 0.0 or abs(speed) >= minimum:
        return speed
    return math.copysign(minimum, target)
