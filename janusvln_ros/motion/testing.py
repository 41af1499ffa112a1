"""
A model of a wheeled base, for tests and accuracy tables without a physics engine.

It does what real bases do to commands: they act after a delay and within acceleration limits,
they stop being obeyed when no new one comes, and odometry arrives late.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from janusvln_ros.motion.executor import Executor
from janusvln_ros.motion.geometry import Pose
from janusvln_ros.motion.types import Velocity


@dataclass(frozen=True)
class BaseConfig:
    """Units: m, rad, s."""

    delay: float = 0.05  # from a command to its effect
    linear_acceleration: float = 1.0
    angular_acceleration: float = 4.0
    timeout: float = 0.5  # without a command the base stops
    odometry_delay: float = 0.02
    scale: float = 1.0  # what a wheel does of what it is told: slip, wrong radius
    drift: float = 0.0  # rad per metre driven


class BaseModel:
    """
    Planar kinematics; advance it with a fixed small dt.

    Replace `wheels`, a function from speeds (m/s, rad/s) to those that the base has then, to break
    or block them.
    """

    def __init__(self, config: BaseConfig | None = None, pose: Pose | None = None) -> None:
        self.config = config or BaseConfig()
        self.wheels: Callable[[float, float], tuple[float, float]] = lambda linear, angular: (
            linear,
            angular,
        )
        self.time = 0.0
        self.pose = pose or Pose()
        self.linear = 0.0
        self.angular = 0.0
        self._commands: deque[tuple[float, float, float]] = deque()
        self._target = (0.0, 0.0)
        self._obeyed_at = -1e9
        self._odometry: deque[tuple[float, Pose]] = deque()

    def command(self, linear: float, angular: float) -> None:
        """Take a command: velocities in m/s and rad/s."""
        self._commands.append((self.time, linear, angular))

    def advance(self, dt: float) -> None:
        """Move on by dt seconds."""
        config = self.config
        self.time += dt
        while self._commands and self._commands[0][0] + config.delay <= self.time:
            self._obeyed_at, *target = self._commands.popleft()
            self._target = (target[0], target[1])
        if self.time - self._obeyed_at > config.timeout:
            self._target = (0.0, 0.0)
        self.linear = _approach(self.linear, self._target[0], config.linear_acceleration * dt)
        self.angular = _approach(self.angular, self._target[1], config.angular_acceleration * dt)
        linear, angular = self.wheels(self.linear, self.angular)
        forward = config.scale * linear * dt
        self.pose = self.pose.moved(forward, angular * dt + config.drift * forward)
        self._odometry.append((self.time, self.pose))

    def odometry(self) -> tuple[float, Pose]:
        """Return (stamp, pose): the newest odometry that has arrived by now."""
        while (
            len(self._odometry) > 1
            and self._odometry[1][0] + self.config.odometry_delay <= self.time
        ):
            self._odometry.popleft()
        return self._odometry[0] if self._odometry else (self.time, self.pose)


def _approach(value: float, target: float, change: float) -> float:
    return value + max(-change, min(change, target - value))


class ClosedLoop:
    """
    An executor and a base on one time line: what a robot does, without ROS and real time.

    Odometry and updates come at 50 Hz. Replace `odometry`, a function from (stamp, pose) to
    (stamp, pose) or None, to falsify or withhold what the executor sees.
    """

    DT = 0.005  # s, of the base
    PERIOD = 4  # steps of the base between two updates of the executor

    def __init__(self, executor: Executor, base: BaseModel) -> None:
        self.executor = executor
        self.base = base
        self.odometry: Callable[[float, Pose], tuple[float, Pose] | None] = lambda stamp, pose: (
            stamp,
            pose,
        )
        self.commanded: Velocity | None = None

    @property
    def now(self) -> float:
        """Return the time (s)."""
        return self.base.time

    def tick(self) -> Velocity | None:
        """Go on by one period of the executor and return what it commands."""
        for step in range(self.PERIOD):
            self.base.advance(self.DT)
            if step == 1:
                seen = self.odometry(*self.base.odometry())
                if seen is not None:
                    stamp, pose = seen
                    self.executor.on_odometry(stamp, pose.x, pose.y, pose.yaw, self.now)
        self.commanded = self.executor.update(self.now)
        if self.commanded is not None:
            self.base.command(self.commanded.linear, self.commanded.angular)
        return self.commanded

    def run(self, seconds: float) -> None:
        """Go on for a time."""
        for _ in range(round(seconds / (self.DT * self.PERIOD))):
            self.tick()

    def run_until_standing(self, longest: float = 60.0) -> None:
        """Go on until no motion is under way; TimeoutError when that takes too long (s)."""
        end = self.now + longest
        while self.now < end:
            self.tick()
            if self.executor.stands:
                return
        raise TimeoutError(f'the robot still moves after {longest} s')
