"""Straight drives in houses: at a wall, at a piece of furniture, and where the way is free."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
import math
from typing import NamedTuple
import zlib

from janusvln_ros.episodes.scene import Scene, scene_of
from janusvln_ros.episodes.splits import Split
from janusvln_ros.episodes.store import stored_episode
from janusvln_ros.episodes.vln_ce import Episode
from janusvln_ros.sim.house import clearance, ROBOT_RADIUS
import numpy as np

FREE_WAY = 2.0  # m that are driven where nothing is in the way
_BEYOND = 1.2  # m that are free after that
_BESIDE = 0.12  # m beside the robot that are free, as furniture leaves ways open
_LAST = 0.6  # m before what is driven at, where they need not be
_FAR = 6.0  # m that are looked at
_STRIDE = 0.01  # m
_TRIES = 60  # in a house
_AIM = 0.1  # rad off the middle of a piece of furniture


class Target(Enum):
    """What is driven at."""

    WALL = 'wall'
    FURNITURE = 'furniture'
    NOTHING = 'nothing'


_WAYS = {Target.WALL: (2.3, 3.5), Target.FURNITURE: (1.5, 3.0)}  # m until it would be touched


class Approach(NamedTuple):
    """A drive: straight ahead from a place in an episode's house."""

    episode: Episode
    target: Target
    start: tuple[float, float, float]  # x, y in metres, yaw in radians


class Way(NamedTuple):
    """What is ahead of a place: `free` m until something is touched."""

    free: float
    obstacle: int  # which of the house's, -1: none that near
    beside: np.ndarray  # m from the robot's middle to the nearest obstacle, each centimetre


def way_ahead(obstacles: np.ndarray, x: float, y: float, yaw: float) -> Way:
    """Look how far the robot can drive from a pose; obstacles as House.obstacles gives them."""
    along = np.arange(0.0, _FAR, _STRIDE)
    points = np.stack([x + along * math.cos(yaw), y + along * math.sin(yaw)], axis=-1)
    each = np.stack([clearance(one[None], points) for one in obstacles])  # (obstacles, along)
    beside = each.min(axis=0)
    touches = beside < ROBOT_RADIUS
    if not touches.any():
        return Way(math.inf, -1, beside)
    first = int(touches.argmax())
    return Way(float(along[first]), int(each[:, first].argmin()), beside)


def approaches(split: Split, target: Target) -> Iterator[Approach]:
    """Draw drives in a split's houses without end, the same each time."""
    rng = np.random.default_rng([zlib.crc32(split.full_name.encode()), *target.value.encode()])
    while True:
        episode, _ = stored_episode(split, int(rng.integers(split.size)))
        start = _start(scene_of(episode.scene_id), target, rng)
        if start is not None:
            yield Approach(episode, target, start)


def _start(
    scene: Scene, target: Target, rng: np.random.Generator
) -> tuple[float, float, float] | None:
    house, obstacles = scene.house, scene.house.obstacles()
    walls = len(obstacles) - len(house.furniture)
    for _ in range(_TRIES):
        x, y = scene.starts[rng.integers(len(scene.starts))].tolist()
        yaw, wanted = rng.uniform(-math.pi, math.pi), range(walls)
        if target is Target.FURNITURE:
            piece = int(rng.integers(len(house.furniture)))
            thing = house.furniture[piece]
            yaw = math.atan2(thing.y - y, thing.x - x) + rng.uniform(-_AIM, _AIM)
            wanted = range(walls + piece, walls + piece + 1)
        way = way_ahead(obstacles, x, y, yaw)
        if target is Target.NOTHING:
            fits, clear = way.free >= FREE_WAY + _BEYOND, FREE_WAY + _BEYOND
        else:
            least, most = _WAYS[target]
            fits = least <= way.free <= most and way.obstacle in wanted
            clear = way.free - _LAST
        if fits and way.beside[: int(clear / _STRIDE)].min() >= ROBOT_RADIUS + _BESIDE:
            return x, y, yaw
    return None
