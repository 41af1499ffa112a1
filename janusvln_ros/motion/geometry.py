"""Poses in the plane, and a buffer that tells where the robot was at an image's stamp."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
import math


def wrap(angle: float) -> float:
    """Return the same direction (rad) in [-pi, pi]."""
    return math.remainder(angle, math.tau)


@dataclass(frozen=True)
class Pose:
    """
    A pose in the odometry frame: metres and radians, REP-103 axes.

    yaw is not wrapped: a robot that turned once around to the left has yaw 2 pi, so that
    a commanded turn of any size has a direction.
    """

    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0

    def moved(self, forward: float, turn: float = 0.0) -> Pose:
        """Return the pose after driving along an arc: forward (m) while yaw grows by turn."""
        heading = self.yaw + turn / 2.0
        chord = forward * (math.sin(turn / 2.0) / (turn / 2.0) if abs(turn) > 1e-9 else 1.0)
        return Pose(
            self.x + chord * math.cos(heading), self.y + chord * math.sin(heading), self.yaw + turn
        )

    def seen_from(self, other: Pose) -> tuple[float, float, float]:
        """Return (forward, left, turn): this pose in the frame of the other one."""
        dx, dy = self.x - other.x, self.y - other.y
        cosine, sine = math.cos(other.yaw), math.sin(other.yaw)
        return cosine * dx + sine * dy, cosine * dy - sine * dx, self.yaw - other.yaw

    def is_finite(self) -> bool:
        """Tell whether no component is NaN or infinite."""
        return math.isfinite(self.x) and math.isfinite(self.y) and math.isfinite(self.yaw)


class PoseBuffer:
    """The last seconds of odometry, in order of their stamps."""

    def __init__(self, horizon: float = 10.0) -> None:
        self._horizon = horizon
        self._stamps: deque[float] = deque()
        self._poses: deque[Pose] = deque()

    def __len__(self) -> int:
        return len(self._stamps)

    def clear(self) -> None:
        """Forget everything."""
        self._stamps.clear()
        self._poses.clear()

    def add(self, stamp: float, pose: Pose) -> None:
        """Append a pose; its stamp (s) has to be later than the last one, else ValueError."""
        if self._stamps and stamp <= self._stamps[-1]:
            raise ValueError(f'stamp {stamp} is not later than {self._stamps[-1]}')
        self._stamps.append(stamp)
        self._poses.append(pose)
        while self._stamps[0] < stamp - self._horizon:
            self._stamps.popleft()
            self._poses.popleft()

    @property
    def stamp(self) -> float:
        """Return the stamp of the newest pose in seconds; -inf when empty."""
        return self._stamps[-1] if self._stamps else -math.inf

    @property
    def pose(self) -> Pose | None:
        """Return the newest pose; None when empty."""
        return self._poses[-1] if self._poses else None

    def at(self, stamp: float) -> Pose | None:
        """
        Return the pose at a time (s), interpolated linearly between its neighbours.

        Later than the newest pose: the newest one. Earlier than the oldest, or empty: None.
        """
        if not self._stamps or stamp < self._stamps[0]:
            return None
        if stamp >= self._stamps[-1]:
            return self._poses[-1]
        after = bisect_left(self._stamps, stamp)
        if self._stamps[after] == stamp:
            return self._poses[after]
        t0, t1 = self._stamps[after - 1], self._stamps[after]
        a, b = self._poses[after - 1], self._poses[after]
        part = (stamp - t0) / (t1 - t0)
        return Pose(
            a.x + part * (b.x - a.x), a.y + part * (b.y - a.y), a.yaw + part * (b.yaw - a.yaw)
        )

    def speed(self, window: float = 0.15) -> tuple[float, float] | None:
        """
        Return (m/s, rad/s): mean absolute speed over the last `window` seconds of poses.

        None when the buffer does not reach that far back.
        """
        if not self._stamps:
            return None
        past = self.at(self._stamps[-1] - window)
        if past is None:
            return None
        now = self._poses[-1]
        return (
            math.hypot(now.x - past.x, now.y - past.y) / window,
            abs(now.yaw - past.yaw) / window,
        )
