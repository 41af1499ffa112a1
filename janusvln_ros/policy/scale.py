"""
How many metres a network's unit of length is.

Depth of one camera is right up to a factor, which holds for an episode and may drift. It follows
from what is known in metres: how high above the floor the camera sits, where the floor is seen; or
how far odometry says that the robot has moved, where the heads tell the camera's pose. Units are
the network's, the optical frame has x right, y down, z ahead.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
import math
from typing import NamedTuple

import numpy as np

_POINTS = 1500  # of a picture, at most, that a plane is sought in
_TRIES = 150
_STEEP = math.radians(10.0)  # that a floor may seem to lean
_THICK = 0.03  # of its distance: half the thickness of a floor
_BELOW = 1.15  # times as far as a plane: well below it
_UNDER = 0.03  # share of the points that may lie below a floor: under a table top there are more
_LEAST = 0.15  # share of the points that a floor has at least
_NARROW = 0.03  # the same of a strip, where it is known about how far below the camera it lies
_UNSURE = 0.2  # share of the pixels, the least certain ones, that are left out
_DRIVEN = 0.3  # m between two frames, at least
_PAIRS = 12  # frames that are kept to be compared with a later one
_APART = 0.2  # of their logarithms: measurements that are farther apart do not agree
_AGREEING = 2  # measurements, before anything is known
_LATEST, _DOUBTS = 6, 2  # of so many measurements as many that do not agree are a doubt
_ROWS = 14  # in the half picture: so far apart are the points of a strip that are compared
_HEIGHTS = 41  # of a strip that are tried


class Floor(NamedTuple):
    """The floor as a picture shows it."""

    distance: float  # units from the optical centre, along the normal
    normal: np.ndarray  # (3,), down, in the optical frame
    inliers: float  # share of the points looked at that lie on it
    tilt: float  # radians between its normal and gravity


def find_floor(
    points: np.ndarray, confidence: np.ndarray, gravity: np.ndarray, expected: float | None = None
) -> Floor | None:
    """
    Find the floor in the lower half of a picture.

    points: (H, W, 3) units, optical frame; confidence: (H, W); gravity: (3,), optical frame, of
    length 1. expected: the distance that it should have, units; then a narrow strip is enough, as
    in a small room, where the plane is a fifth off. None where no plane that is about level, and
    has hardly anything below it, has enough points.
    """
    half = slice(len(points) // 2, None)
    points, confidence = points[half], confidence[half]
    usable = np.isfinite(points).all(axis=2) & np.isfinite(confidence)
    if usable.sum() < 10:
        return None
    usable &= confidence >= np.quantile(confidence[usable], _UNSURE)
    floor = _plane(points[usable], gravity)
    if expected is None or (floor and agree(floor.distance, expected)):
        return floor
    return _strip(points, usable, gravity, expected) or floor


def agree(one: float, other: float) -> bool:
    """Tell whether two positive numbers are within a fifth of each other."""
    return abs(math.log(one / other)) <= _APART


def _plane(points: np.ndarray, gravity: np.ndarray) -> Floor | None:
    """Find the lowest plane of points (N, 3) that is about level, and has many of them."""
    points = points[:: -(-len(points) // _POINTS)]
    rng = np.random.default_rng(0)  # the same picture, the same floor
    corners = points[rng.integers(len(points), size=(_TRIES, 3))]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    normals, corners = normals[lengths > 0], corners[lengths > 0]
    normals /= lengths[lengths > 0, None]
    normals *= np.sign(normals @ gravity)[:, None]
    distances = (normals * corners[:, 0]).sum(axis=1)
    level = (normals @ gravity > math.cos(_STEEP)) & (distances > 0)
    normals, distances = normals[level], distances[level]
    if not len(normals):
        return None
    lowest = (normals @ points.T > _BELOW * distances[:, None]).mean(axis=1) <= _UNDER
    if not lowest.any():
        return None
    best = int((_on(points, normals, distances).sum(axis=1) * lowest).argmax())
    normal, distance = normals[best], distances[best]
    for _ in range(3):
        inliers = points[_on(points, normal[None], np.array([distance]))[0]]
        if len(inliers) < 3:
            return None
        centre = inliers.mean(axis=0)
        normal = np.linalg.svd(inliers - centre, full_matrices=False)[2][2]
        normal = normal * np.sign(normal @ gravity)
        distance = float(normal @ centre)
    share, along = len(inliers) / len(points), float(normal @ gravity)
    if share < _LEAST or along < math.cos(_STEEP) or distance <= 0:
        return None
    return Floor(distance, normal, share, math.acos(min(1.0, along)))


def _strip(
    points: np.ndarray, usable: np.ndarray, gravity: np.ndarray, expected: float
) -> Floor | None:
    """
    Find a strip of level floor, too narrow to tell how it leans, in points (H, W, 3).

    Its depth below the camera is the same from row to row. That of what stands upright falls as
    its rays do, so that this tells the foot of a wall from a floor; usable: (H, W).
    """
    below, rows = points @ gravity, max(1, len(points) // _ROWS)
    aside = np.linalg.norm(points - below[..., None] * gravity, axis=2)
    with np.errstate(invalid='ignore', divide='ignore'):
        logs, slopes = np.log(below), np.log(below / aside)
        rises, turns = (np.abs(x[rows:] - x[:-rows]) for x in (logs, slopes))
        flat = usable[rows:] & usable[:-rows] & (rises < 0.5 * turns)
    level = np.zeros_like(usable)
    level[rows:] |= flat
    level[:-rows] |= flat
    heights, every = below[level], below[usable]
    most = _APART - _THICK  # so that what lies on it agrees, too
    tried = expected * np.exp(np.linspace(-most, most, _HEIGHTS))
    lowest = (every > _BELOW * tried[:, None]).mean(axis=1) <= _UNDER
    counts = (np.abs(heights - tried[:, None]) < _THICK * tried[:, None]).sum(axis=1) * lowest
    best = float(tried[counts.argmax()])
    share = float(counts.max() / len(every))
    if share < _NARROW:
        return None
    on = np.abs(heights - best) < _THICK * best
    return Floor(float(np.median(heights[on])), gravity, share, 0.0)


def _on(points: np.ndarray, normals: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Tell which points (N, 3) lie on which planes (P): bool (P, N)."""
    return np.abs(normals @ points.T - distances[:, None]) < _THICK * distances[:, None]


def fit_pose(
    own: np.ndarray, there: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """
    Fit the rotation R (3, 3) and place t (3,) with R p + t nearest to X: Kabsch, weighted.

    own: (N, 3) points p of a frame in its camera; there: (N, 3) the same points X in the first
    frame's; weights: (N,). ValueError where fewer than three have any.
    """
    if np.count_nonzero(weights > 0) < 3:
        raise ValueError('a pose takes three points with weights above 0')
    weights = weights / weights.sum()
    middle, target = weights @ own, weights @ there
    u, _, v = np.linalg.svd((own - middle).T @ ((there - target) * weights[:, None]))
    turned = np.diag([1.0, 1.0, np.sign(np.linalg.det(v.T @ u.T))])
    rotation = v.T @ turned @ u.T
    return rotation, target - rotation @ middle


def camera_place(
    own: np.ndarray, there: np.ndarray, confidence: np.ndarray, there_confidence: np.ndarray
) -> np.ndarray:
    """
    Tell where a frame's camera is in the first frame's: (3,) units.

    own: (H, W, 3) points from depth, there: (H, W, 3) those of the point head, with confidences
    (H, W). What fits badly is left out, once.
    """
    own, there = own.reshape(-1, 3), there.reshape(-1, 3)
    weights = (confidence * there_confidence).ravel()
    usable = np.isfinite(own).all(axis=1) & np.isfinite(there).all(axis=1)
    weights = np.where(usable & np.isfinite(weights), weights, 0.0)
    own, there = np.where(usable[:, None], own, 0.0), np.where(usable[:, None], there, 0.0)
    rotation, place = fit_pose(own, there, weights)
    errors = np.linalg.norm(own @ rotation.T + place - there, axis=1)
    most = 2.0 * np.median(errors[weights > 0])
    return fit_pose(own, there, np.where(errors <= max(most, 1e-9), weights, 0.0))[1]


@dataclass(frozen=True)
class Scale:
    """Metres per unit, as far as known."""

    source: str = ''  # what it is known from: height or odometry; '': it is not known
    value: float = math.nan
    spread: float = math.nan  # a standard deviation of the value

    @property
    def known(self) -> bool:
        """Whether there is one."""
        return bool(self.source)


class ScaleFilter:
    """
    A running median of single measurements of a positive number.

    A single one may be wrong: nothing is known until two agree within a fifth. What is a fifth off
    afterwards is dropped, until nothing else comes, alike: then the number has changed. Where two
    of the last six were dropped, nothing is known.
    """

    def __init__(self, remembered: int = 15, floor: float = 0.07) -> None:
        """remembered: measurements; floor: relative spread of errors that all have alike."""
        self._logs: deque[float] = deque(maxlen=remembered)
        self._others: deque[float] = deque(maxlen=max(_AGREEING, remembered // 3))
        self._dropped: deque[bool] = deque(maxlen=_LATEST)
        self._floor = floor

    def add(self, measured: float) -> bool:
        """Take in a measurement; tell whether it counts."""
        if not (math.isfinite(measured) and measured > 0):
            return False
        log = math.log(measured)
        if self._logs and abs(log - float(np.median(self._logs))) <= _APART:
            self._logs.append(log)
            self._dropped.append(False)
        else:
            self._others.append(log)
            alike = [other for other in self._others if abs(other - log) <= _APART]
            if len(alike) < (self._others.maxlen or 0 if self._logs else _AGREEING):
                self._dropped.append(bool(self._logs))
                return False
            self._logs.clear()
            self._logs.extend(alike)
            self._dropped.clear()
        self._others.clear()
        return True

    def contradict(self) -> None:
        """Take in a measurement that cannot be right: a doubt about the others."""
        self._dropped.append(True)

    @property
    def waits(self) -> bool:
        """Tell whether there is a measurement, but none that agrees with it."""
        return bool(self._others) and not self._logs

    @property
    def doubtful(self) -> bool:
        """Tell whether too many of the last measurements contradict the others."""
        return sum(self._dropped) >= _DOUBTS

    def scale(self, source: str) -> Scale:
        """Tell value and spread; unknown before two measurements agree, and where doubtful."""
        if not self._logs or self.doubtful:
            return Scale()
        middle = float(np.median(self._logs))
        # by the median's own deviation, for two measurements a tenth
        scatter = 1.4826 * float(np.median(np.abs(np.array(self._logs) - middle)))
        few = 0.2 / len(self._logs)
        value = math.exp(middle)
        return Scale(source, value, value * math.hypot(scatter, few, self._floor))


class OdometryScale:
    """Compares the way between cameras in units with that of odometry in metres."""

    def __init__(self) -> None:
        self._seen: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=_PAIRS)

    def add(self, place: np.ndarray, driven: np.ndarray) -> float | None:
        """
        Take in where the camera is: in units (3,), first frame; in metres (2,) or (3,), odometry.

        Returns the median of metres per unit over the earlier frames that are far enough away;
        None where none is.
        """
        ratios = []
        for before, stood in self._seen:
            metres = float(np.linalg.norm(driven - stood))
            units = float(np.linalg.norm(place - before))
            if metres >= _DRIVEN and units > 0:
                ratios.append(metres / units)
        self._seen.append((place, driven))
        return float(np.median(ratios)) if ratios else None
