"""A thing of a new kind and colour in a house that is otherwise as ever."""

from __future__ import annotations

from dataclasses import replace

from janusvln_ros.sim.house import House, NEW_CATEGORY, NEW_COLOUR
import numpy as np

_RADIUS = (0.23, 0.29)  # m
_HEIGHT = (0.8, 0.95)  # m


def with_new_thing(house: House) -> House:
    """
    Put the new thing in place of a piece of furniture that is as wide, so ways stay open.

    The same house gives the same one; it stays as it is where no piece is wide enough.
    """
    rng = np.random.default_rng([house.seed, 1])
    wide = [p for p in house.furniture if min(p.half_x, p.half_y) >= _RADIUS[0]]
    if not wide:
        return house
    old = wide[int(rng.integers(len(wide)))]
    most = min(_RADIUS[1], old.half_x, old.half_y)
    radius, height = round(rng.uniform(_RADIUS[0], most), 3), round(rng.uniform(*_HEIGHT), 3)
    new = replace(
        old, category=NEW_CATEGORY, colour=NEW_COLOUR, half_x=radius, half_y=radius, height=height
    )
    return replace(house, furniture=tuple(new if p is old else p for p in house.furniture))
