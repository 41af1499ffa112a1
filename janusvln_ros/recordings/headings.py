"""
Which way a frame looks, by its orientation in a frame whose z axis is up.

A body looks along its x axis, with z up (REP 103). The optical frame of a camera, by which
hand-held sequences are often given, looks along its z axis, with y down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
import math
from statistics import median
from typing import Any

_LEAST = 0.5  # cosine: a frame that leans by more than 60 degrees does not stand

Heading = Callable[[Any], float]  # of a quaternion, rad


def of_body(q: Any) -> float:
    """Give the yaw of the x axis."""
    return math.atan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y * q.y + q.z * q.z))


def of_camera(q: Any) -> float:
    """Give the yaw of the z axis."""
    return math.atan2(2 * (q.y * q.z - q.w * q.x), 2 * (q.x * q.z + q.w * q.y))


def _body_up(q: Any) -> float:
    """Give how far up the z axis points, 1 to -1."""
    return float(1 - 2 * (q.x * q.x + q.y * q.y))


def _camera_up(q: Any) -> float:
    """Give how far down the y axis points, 1 to -1."""
    return float(-2 * (q.y * q.z + q.w * q.x))


def heading(q: Any) -> float:
    """Give the yaw of a pose alone, as of the frame that it stands upright in more."""
    return of_body(q) if _body_up(q) >= _camera_up(q) else of_camera(q)


def heading_of(turns: Iterable[Any]) -> Heading:
    """
    Tell by some orientations, quaternions, which axis looks ahead; the body's where there is none.

    Raises ValueError where neither frame would stand upright.
    """
    found = list(turns)
    if not found:
        return of_body
    body, camera = median(map(_body_up, found)), median(map(_camera_up, found))
    if max(body, camera) < _LEAST:
        raise ValueError(
            'neither the z axis of its frame points up, as a body has it, nor the y axis down, as '
            'the optical frame of a camera; where it looks is not known'
        )
    return of_body if body >= camera else of_camera
