"""What pictures of a house are made of: primitives, the colours' names, materials."""

from __future__ import annotations

from dataclasses import dataclass

RGB = {  # of the colours' names, 0 to 1, before light falls on them
    'red': (0.86, 0.10, 0.10),
    'orange': (1.00, 0.47, 0.02),
    'yellow': (0.98, 0.86, 0.08),
    'green': (0.16, 0.72, 0.20),
    'blue': (0.12, 0.30, 0.90),
    'purple': (0.48, 0.16, 0.72),
    'pink': (1.00, 0.52, 0.74),
    'white': (0.96, 0.96, 0.94),
    'turquoise': (0.10, 0.80, 0.76),
}
WOOD = (0.55, 0.40, 0.26)
STEEL = (0.62, 0.63, 0.66)
LINEN = (0.93, 0.92, 0.88)

UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Shape:
    """One primitive to draw."""

    kind: str  # 'box', 'cylinder', 'sphere' (an ellipsoid), 'plane' (a rectangle)
    size: tuple[float, float, float]  # m, half extents; cylinder: radius, half height, unused
    position: tuple[float, float, float]  # m
    axes: tuple[float, ...]  # 9, row by row: the columns are the shape's own axes
    rgb: tuple[float, float, float]
    texture: str = ''  # of textures.library, planes only
    emission: float = 0.0  # how far it shines by itself, 0 to 1
    alpha: float = 1.0  # 1 is opaque
    rooms: tuple[int, ...] = ()  # the rooms from which it can be seen directly


def scaled(rgb: tuple[float, ...], factor: float) -> tuple[float, float, float]:
    """Make a colour darker or brighter."""
    red, green, blue = (min(c * factor, 1.0) for c in rgb)
    return red, green, blue
