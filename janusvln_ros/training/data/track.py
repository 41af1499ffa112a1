"""
A robot's track, and what of it can be driven by steps: knots, and stretches that are cut out.

Units: ns, metres, radians, REP-103 axes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
import math

from janusvln_ros.actions import FORWARD_STEP, TURN_STEP
import numpy as np

STILL = 0.005, math.radians(0.5)  # m, rad: nearer than this to where it was, it has not moved
REST = 0.15  # s that a robot stays there to be standing
FASTEST = 5.0  # m/s: what is faster is a jump of the odometry
FASTEST_TURN = 8.0  # rad/s
JUMP = 0.1, math.radians(12.0)  # m, rad: noise that is none
SILENCE = 1.0  # s: how long odometry may say nothing while the robot moves
BACKWARD = 0.1  # m that a robot has to reverse, or to strafe, before that is cut out
OFF_CENTRE = 0.4  # m that the odometry's point may lie beside the point that the base turns about

_KNOT = 0.1  # steps


class Kind(Enum):
    """Why a stretch is cut out."""

    REVERSING = 'reversing'
    STRAFING = 'strafing'
    JUMP = 'odometry jumps'
    SILENCE = 'odometry is silent'


@dataclass(frozen=True)
class Cut:
    """A stretch that no step stands for: ns, how far it leads (m), and where it ends."""

    kind: Kind
    start: int
    end: int
    moved: float
    place: tuple[float, float, float]


class Track:
    """
    Poses in order of time, standing still merged: its size grows with the way, not with time.

    `start` and `end` are when the robot came to, and was last seen at, each pose.
    """

    def __init__(self) -> None:
        self.start, self.end = array('q'), array('q')
        self.x, self.y, self.yaw = array('d'), array('d'), array('d')

    def __len__(self) -> int:
        return len(self.start)

    def add(self, time: int, x: float, y: float, yaw: float) -> bool:
        """Add a pose; False, and nothing done, unless it is finite and later than the last."""
        if not (math.isfinite(x) and math.isfinite(y) and math.isfinite(yaw)):
            return False
        if not len(self):
            self._append(time, x, y, yaw)
            return True
        if time <= self.end[-1]:
            return False
        last = self.yaw[-1]
        yaw = last + math.remainder(yaw - last, math.tau)
        moved = math.hypot(x - self.x[-1], y - self.y[-1])
        if moved <= STILL[0] and abs(yaw - last) <= STILL[1]:
            self.end[-1] = time
        else:
            self._append(time, x, y, yaw)
        return True

    def _append(self, time: int, x: float, y: float, yaw: float) -> None:
        self.start.append(time)
        self.end.append(time)
        self.x.append(x)
        self.y.append(y)
        self.yaw.append(yaw)

    @property
    def poses(self) -> np.ndarray:
        """Give (n, 3): x, y, and yaw without jumps at a full turn."""
        return np.stack([np.array(self.x), np.array(self.y), np.array(self.yaw)], 1)

    def at(self, time: int) -> tuple[float, float, float]:
        """Give the pose at a time, between poses on the straight line; at the ends the nearest."""
        i = int(np.searchsorted(np.frombuffer(self.start, np.int64), time, 'right')) - 1
        i = max(i, 0)
        if time <= self.end[i] or i + 1 == len(self):
            return self.x[i], self.y[i], self.yaw[i]
        part = (time - self.end[i]) / (self.start[i + 1] - self.end[i])
        return (
            self.x[i] + part * (self.x[i + 1] - self.x[i]),
            self.y[i] + part * (self.y[i + 1] - self.y[i]),
            self.yaw[i] + part * (self.yaw[i + 1] - self.yaw[i]),
        )


@dataclass(frozen=True)
class Knots:
    """Poses (n, 3) about a tenth of a step apart, from when to when, and how many steps driven."""

    start: np.ndarray
    leave: np.ndarray
    pose: np.ndarray
    driven: np.ndarray

    def part(self, first: int, last: int) -> Knots:
        """Give the knots from first to last, both included."""
        keep = slice(first, last + 1)
        return Knots(self.start[keep], self.leave[keep], self.pose[keep], self.driven[keep])

    @property
    def rests(self) -> np.ndarray:
        """Tell (n,) where the robot stands."""
        return self.leave - self.start >= REST * 1e9


def pieces(track: Track) -> Iterator[tuple[Knots, Kind | None]]:
    """Divide a track at what is cut out; neighbours share a knot."""
    poses = track.poses
    start, end = np.array(track.start), np.array(track.end)
    seconds = (start[1:] - end[:-1]) / 1e9
    moved = np.hypot(*np.diff(poses[:, :2], axis=0).T)
    turned = np.abs(np.diff(poses[:, 2]))
    jumps = (moved > FASTEST * seconds + JUMP[0]) | (turned > FASTEST_TURN * seconds + JUMP[1])
    silent = (seconds > SILENCE) & ((moved > JUMP[0]) | (turned > JUMP[1])) & ~jumps
    first = 0
    for i in [*np.flatnonzero(jumps | silent).tolist(), len(track) - 1]:
        knots = _knots(start[first : i + 1], end[first : i + 1], poses[first : i + 1])
        yield from _drivable(knots)
        if i + 1 < len(track):
            pair = slice(i, i + 2)
            yield (
                Knots(start[pair], end[pair], poses[pair], np.zeros(2)),
                Kind.JUMP if jumps[i] else Kind.SILENCE,
            )
        first = i + 1


def _knots(start: np.ndarray, end: np.ndarray, poses: np.ndarray) -> Knots:
    """Put a knot wherever the robot stands, and every tenth of a step between."""
    times: list[tuple[int, int]] = [(int(start[0]), int(end[0]))]
    places = [poses[0]]
    driven = [0.0]
    for i in range(1, len(poses)):
        change = poses[i] - places[-1]
        way = math.hypot(change[0], change[1]) / FORWARD_STEP + abs(change[2]) / TURN_STEP
        rests = end[i] - start[i] >= REST * 1e9
        if way < _KNOT and not rests and i + 1 < len(poses):
            continue
        pieces = max(1, round(way / _KNOT)) if way > 1.5 * _KNOT else 1
        before, left, total = times[-1][1], places[-1], driven[-1]
        for part in range(1, pieces):
            now = before + (int(start[i]) - before) * part // pieces
            times.append((now, now))
            places.append(left + change * part / pieces)
            driven.append(total + way * part / pieces)
        if way < _KNOT / 2 and len(places) > 1 and times[-1][1] - times[-1][0] >= REST * 1e9:
            times[-1] = times[-1][0], int(end[i])  # it has not gone on
            continue
        times.append((int(start[i]), int(end[i])))
        places.append(poses[i])
        driven.append(total + way)
    arrived, left_at = np.array(times, np.int64).T
    return Knots(arrived, left_at, np.array(places), np.array(driven))


def _drivable(knots: Knots) -> Iterator[tuple[Knots, Kind | None]]:
    """Divide at where the robot reverses or strafes."""
    kinds = _sideways(knots)
    first = 0
    for i in range(1, len(kinds) + 1):
        if i == len(kinds) or kinds[i] is not kinds[first]:
            yield knots.part(first, i), kinds[first]
            first = i
    if not kinds:
        yield knots, None


def _sideways(knots: Knots) -> list[Kind | None]:
    """Say for each way between two knots whether no step goes there."""
    change = np.diff(knots.pose, axis=0)
    heading = knots.pose[:-1, 2] + change[:, 2] / 2
    ahead = np.cos(heading) * change[:, 0] + np.sin(heading) * change[:, 1]
    left = np.cos(heading) * change[:, 1] - np.sin(heading) * change[:, 0]
    kinds: list[Kind | None] = [None] * len(change)
    # Sideways: what turning about a point beside the odometry's does not explain.
    for first, last in _windows(np.hypot(change[:, 0], change[:, 1])):
        keep = slice(first, last)
        aside = abs(left[keep].sum()) - OFF_CENTRE * abs(change[keep, 2].sum())
        if aside > max(BACKWARD * 0.7, abs(ahead[keep].sum())):
            kinds[keep] = [Kind.STRAFING] * (last - first)
    # Backwards: from where it was farthest to where it is least far, or to the end.
    total = np.concatenate([[0.0], np.cumsum(ahead)])
    top = 0
    i = 1
    while i < len(total):
        if total[i] >= total[top]:
            top = i
        elif total[top] - total[i] >= BACKWARD:
            bottom = i
            while i < len(total) and total[i] - total[bottom] < BACKWARD / 2:
                bottom = i if total[i] < total[bottom] else bottom
                i += 1
            aside = abs(left[top:bottom].sum()) - OFF_CENTRE * abs(change[top:bottom, 2].sum())
            back = total[top] - total[bottom]
            kind = Kind.STRAFING if aside > back else Kind.REVERSING  # what it does more
            kinds[top:bottom] = [kind] * (bottom - top)
            top = i = bottom
        i += 1
    return kinds


def _windows(moved: np.ndarray) -> Iterator[tuple[int, int]]:
    """Give ranges of ways that sum up to what is cut out, each as short as can be."""
    total = np.concatenate([[0.0], np.cumsum(moved)])
    for first in range(len(moved)):
        last = int(np.searchsorted(total, total[first] + BACKWARD))
        if last <= len(moved):
            yield first, last


def cut_of(piece: Knots, kind: Kind) -> Cut:
    """Describe a piece that is cut out."""
    moved = float(np.hypot(*(piece.pose[-1] - piece.pose[0])[:2]))
    return Cut(kind, int(piece.leave[0]), int(piece.start[-1]), moved, triple(piece.pose[-1]))


def triple(pose: np.ndarray) -> tuple[float, float, float]:
    """Give a pose's numbers."""
    x, y, yaw = pose.tolist()
    return x, y, yaw
