"""Odometry: without it, or with one that is bad, nothing moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math

from janusvln_ros.motion.geometry import Pose, PoseBuffer, wrap
from janusvln_ros.motion.safety.guard import Stop, Verdict
from janusvln_ros.motion.types import Result, Velocity
from janusvln_ros.parameters import parameter

_FORGETS = 0.05  # of what lags less than it did, with every message
_DOUBTFUL = 0.3  # of the delay that stops the robot: stamps this far off are told


@dataclass(frozen=True)
class OdometryParameters:
    """What odometry must not do."""

    odometry_timeout: float = parameter(
        0.5, 'Silence of odometry that stops the robot.', unit='s', low=0.02, high=5.0
    )
    odometry_delay: float = parameter(
        0.5,
        'Odometry that is stamped this much before it arrives, or after, stops the robot.',
        unit='s',
        low=0.05,
        high=60.0,
    )
    odometry_jump: float = parameter(
        0.1,
        'Odometry that moves this much farther between two messages than the robot can stops it.',
        unit='m',
        low=0.01,
        high=10.0,
    )
    odometry_jump_angle: float = parameter(
        0.2, 'The same for the heading.', unit='rad', low=0.01, high=math.pi
    )


@dataclass(frozen=True)
class OpenLoopParameters:
    """Whether odometry is needed."""

    allow_open_loop: bool = parameter(
        False, 'Without odometry, time the motions instead of refusing them.'
    )


class Odometry:
    """
    The last poses, and whether they can be trusted.

    fastest: the greatest velocities that the robot is given. lag: how old (s) the newest pose was
    at most lately, before the next one came. delay: from the newest stamp to its arrival (s).
    in_use: whether a motion in closed loop is under way; such a one never goes on without it.
    """

    def __init__(self, parameters: OdometryParameters, open_loop: OpenLoopParameters) -> None:
        self.configure(parameters, open_loop)
        self.fastest = Velocity()
        self.in_use = False
        self.lag = 0.0
        self.delay = math.nan
        self.poses = PoseBuffer()
        self.total = Pose()  # m forward, m to the left, rad: the sum of all small steps
        self.moved = PoseBuffer()  # that sum at the stamps of the poses
        self._frames: tuple[str, str] | None = None
        self._heard_at: float | None = None  # when a newer pose last came

    def configure(self, parameters: OdometryParameters, open_loop: OpenLoopParameters) -> None:
        """Take other parameters."""
        self.parameters, self._allow_open_loop = parameters, open_loop.allow_open_loop

    def on_frames(self, frame: str, child: str, variances: Sequence[float]) -> str:
        """
        Take what a message says of itself; return what is wrong with it, or ''.

        frame, child: frame_id and child_frame_id. variances: of x, y and yaw; below 0,
        infinite or NaN is "unknown". All messages have to name the same two frames, and two
        different ones.
        """
        if not all(0.0 <= variance < math.inf for variance in variances):
            return 'odometry says that its pose is unknown (a variance below 0, infinite or NaN)'
        if frame and frame == child:
            return f'odometry is a pose of "{child}" in itself: frame_id has to be fixed'
        frames, self._frames = self._frames or (frame, child), (frame, child)
        if frames != self._frames:
            return (
                f'odometry changed from {" -> ".join(frames)} to {frame} -> {child}: do two'
                ' programs publish odom?'
            )
        return ''

    def on_odometry(self, stamp: float, x: float, y: float, yaw: float, now: float) -> str:
        """
        Take the pose (m, m, rad in the odometry frame) that the robot had at `stamp` (s).

        Return what is wrong with it, or ''.
        """
        pose, self.delay = Pose(x, y, yaw), now - stamp
        if not pose.is_finite():
            return 'odometry is not finite, or turned as no robot that stands'
        if self.is_silent(now):
            self._restart()
        problem, last = '', self.poses.pose
        if last is not None:
            dt = stamp - self.poses.stamp
            if dt <= 0.0:
                return ''
        if abs(self.delay) > self.parameters.odometry_delay:
            return self.doubt
        if last is not None:
            age = max(0.0, now - self.poses.stamp)
            self.lag = max(age, self.lag + _FORGETS * (age - self.lag))
            pose = Pose(x, y, last.yaw + wrap(yaw - last.yaw))
            problem = self._jump(last, pose, dt)
            if problem:
                self._restart()
            else:
                self._sum_up(last, pose)
        self.poses.add(stamp, pose)
        self.moved.add(stamp, self.total)
        self._heard_at = now
        return problem

    def age(self, now: float) -> float:
        """Return the time (s) since a newer pose last came; infinite when none has."""
        return math.inf if self._heard_at is None else now - self._heard_at

    def is_silent(self, now: float) -> bool:
        """Tell whether no newer pose has come for too long."""
        return self.age(now) > self.parameters.odometry_timeout

    def verdict(self, now: float) -> Verdict | None:
        """Halt when odometry is silent, unless the robot may and can do without."""
        if not self.is_silent(now) or (self._allow_open_loop and not self.in_use):
            return None
        message = f'odometry is silent for more than {self.parameters.odometry_timeout:g} s'
        if self._heard_at is None:
            message = 'no odometry yet'
        elif self.doubt:
            message = f'{message}; {self.doubt}'
        return Verdict(Stop.HALT, Result.INPUT_LOST, message)

    @property
    def doubt(self) -> str:
        """Tell that its stamps are far from the clock, or ''."""
        if not abs(self.delay) > _DOUBTFUL * self.parameters.odometry_delay:
            return ''
        when = 'before' if self.delay > 0.0 else 'after'
        return (
            f'odometry is stamped {abs(self.delay):.2f} s {when} it arrives: do the clocks agree,'
            ' is the network slow?'
        )

    def doubted(self, verdict: Verdict | None) -> Verdict | None:
        """Add to a verdict that rests on odometry what its stamps may have to do with it."""
        if verdict is None or not self.doubt:
            return verdict
        return replace(verdict, message=f'{verdict.message} Besides, {self.doubt}')

    def forget(self) -> None:
        """Drop all poses."""
        self._restart()
        self._heard_at = None

    def _restart(self) -> None:
        self.poses.clear()
        self.moved.clear()

    def _sum_up(self, last: Pose, pose: Pose) -> None:
        middle = replace(last, yaw=(last.yaw + pose.yaw) / 2.0)
        forward, left, _ = pose.seen_from(middle)
        total = self.total
        self.total = Pose(total.x + forward, total.y + left, total.yaw + pose.yaw - last.yaw)

    def _jump(self, last: Pose, pose: Pose, dt: float) -> str:
        moved = math.hypot(pose.x - last.x, pose.y - last.y)
        turned = abs(pose.yaw - last.yaw)
        if (
            moved <= self.parameters.odometry_jump + 2.0 * self.fastest.linear * dt
            and turned <= self.parameters.odometry_jump_angle + 2.0 * self.fastest.angular * dt
        ):
            return ''
        degrees = math.degrees(turned)
        return f'odometry jumped by {moved:.3g} m, {degrees:.0f} degrees within {dt:.3f} s'
