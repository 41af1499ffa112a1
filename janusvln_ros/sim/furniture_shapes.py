"""How furniture looks: every category as primitives that fill its footprint and its height."""

from __future__ import annotations

from dataclasses import replace
import math

from janusvln_ros.sim.house import Furniture
from janusvln_ros.sim.primitives import LINEN, RGB, scaled, Shape, STEEL, WOOD
import numpy as np


class _Builder:
    """Collects the primitives of one piece in its own frame and puts them into the world."""

    def __init__(self, piece: Furniture, tone: float) -> None:
        self.shapes: list[Shape] = []
        self._x, self._y = piece.x, piece.y
        self._cos, self._sin = math.cos(piece.yaw), math.sin(piece.yaw)
        self._axes = (self._cos, -self._sin, 0.0, self._sin, self._cos, 0.0, 0.0, 0.0, 1.0)
        self._tone = tone

    def _add(
        self,
        kind: str,
        size: tuple[float, float, float],
        at: tuple[float, float, float],
        rgb: tuple[float, ...],
        emission: float,
        axes: tuple[float, ...] | None = None,
    ) -> None:
        position = (
            self._x + self._cos * at[0] - self._sin * at[1],
            self._y + self._sin * at[0] + self._cos * at[1],
            at[2],
        )
        axes, shade = axes or self._axes, scaled(rgb, self._tone)
        self.shapes.append(Shape(kind, size, position, axes, shade, emission=emission))

    def box(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        z: tuple[float, float],
        rgb: tuple[float, ...],
        emission: float = 0.12,
    ) -> None:
        """Add a box by its extents (from, to) along the three axes."""
        half = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2, (z[1] - z[0]) / 2
        middle = (x[0] + x[1]) / 2, (y[0] + y[1]) / 2, (z[0] + z[1]) / 2
        self._add('box', half, middle, rgb, emission)

    def tube(
        self,
        x: float,
        y: float,
        z: tuple[float, float],
        radius: float,
        rgb: tuple[float, ...],
        emission: float = 0.12,
    ) -> None:
        """Add an upright cylinder."""
        self._add(
            'cylinder', (radius, (z[1] - z[0]) / 2, 0.0), (x, y, (z[0] + z[1]) / 2), rgb, emission
        )

    def shadow(self, piece: Furniture) -> None:
        """Add a patch of shade on the floor, so that the eye sees where the piece stands."""
        if piece.is_round:
            self._add('cylinder', (piece.half_x + 0.03, 0.003, 0.0), (0, 0, 0.004), (0, 0, 0), 0.0)
            alpha = 0.12  # its top, side and bottom add up
        else:
            half = (piece.half_x + 0.03, piece.half_y + 0.03, 0.1)
            self._add('plane', half, (0, 0, 0.006), (0, 0, 0), 0.0)
            alpha = 0.3
        self.shapes[-1] = replace(self.shapes[-1], alpha=alpha)

    def blob(
        self,
        at: tuple[float, float, float],
        half: tuple[float, float, float],
        rgb: tuple[float, ...],
        bearing: float = 0.0,
        lift: float = 0.0,
        emission: float = 0.12,
    ) -> None:
        """Add an ellipsoid whose x axis points along `bearing`, lifted by an angle."""
        cb, sb, cl, sl = math.cos(bearing), math.sin(bearing), math.cos(lift), math.sin(lift)
        axes = (cb * cl, -sb, -cb * sl, sb * cl, cb, -sb * sl, sl, 0.0, cl)
        self._add('sphere', half, at, rgb, emission, axes)


def furniture_shapes(piece: Furniture, tone: float = 1.0) -> list[Shape]:
    """Draw a piece of furniture; its front is +x, it fills its footprint and its height."""
    build = _Builder(piece, tone)
    rgb = RGB[piece.colour]
    build.shadow(piece)
    _DRAW[piece.category](build, piece, rgb, scaled(rgb, 0.72))
    return build.shapes


def _chair(b: _Builder, p: Furniture, rgb: tuple, dark: tuple) -> None:
    x, y, seat = p.half_x, p.half_y, 0.46
    for sx in (-1, 1):
        for sy in (-1, 1):
            cx, cy = sx * (x - 0.025), sy * (y - 0.025)
            b.box((cx - 0.025, cx + 0.025), (cy - 0.025, cy + 0.025), (0, seat - 0.05), WOOD)
    b.box((-x, x), (-y, y), (seat - 0.06, seat + 0.02), rgb)
    b.box((-x, -x + 0.06), (-y, y), (seat + 0.12, p.height), rgb)
    for sy in (-1, 1):
        cy = sy * (y - 0.05)
        b.box((-x + 0.005, -x + 0.055), (cy - 0.03, cy + 0.03), (seat, seat + 0.13), WOOD)


def _table(b: _Builder, p: Furniture, rgb: tuple, dark: tuple) -> None:
    x, y, h = p.half_x, p.half_y, p.height
    b.box((-x, x), (-y, y), (h - 0.06, h), rgb)
    b.box((-x + 0.08, x - 0.08), (-y + 0.08, y - 0.08), (h - 0.13, h - 0.06), dark)
    for sx in (-1, 1):
        for sy in (-1, 1):
            cx, cy = sx * (x - 0.08), sy * (y - 0.08)
            b.box((cx - 0.035, cx + 0.035), (cy - 0.035, cy + 0.035), (0, h - 0.06), dark)


def _sofa(b: _Builder, p: Furniture, rgb: tuple, dark: tuple) -> None:
    x, y, h = p.half_x, p.half_y, p.height
    b.box((-x + 0.03, x - 0.04), (-y + 0.03, y - 0.03), (0.06, 0.28), dark)
    b.box((-x, -x + 0.22), (-y, y), (0.06, h), rgb)
    for sy in (-1, 1):
        inner, outer = sorted((sy * (y - 0.18), sy * y))
        b.box((-x + 0.02, x), (inner, outer), (0.06, 0.58), rgb)
        near, far = sorted((sy * 0.01, sy * (y - 0.19)))
        b.box((-x + 0.2, x - 0.02), (near, far), (0.28, 0.44), scaled(rgb, 0.88))
        b.box((-x + 0.2, -x + 0.32), (near, far), (0.44, h - 0.06), scaled(rgb, 0.88))


def _stool(b: _Builder, p: Furniture, rgb: tuple, dark: tuple) -> None:
    r, h = p.half_x, p.height
    b.tube(0, 0, (h - 0.09, h), r, rgb)
    b.tube(0, 0, (0.16, 0.19), r - 0.05, STEEL)
    for quarter in range(4):
        angle = quarter * math.pi / 2 + math.pi / 4
        b.tube(
            (r - 0.05) * math.cos(angle), (r - 0.05) * math.sin(angle), (0, h - 0.09), 0.022, STEEL
        )


def _lamp(b: _Builder, p: Furniture, rgb: tuple, dark: tuple) -> None:
    r, h = p.half_x, p.height
    b.tube(0, 0, (0, 0.05), r - 0.03, dark)
    b.tube(0, 0, (0.05, h - 0.3), 0.03, STEEL)
    for i in range(4):
        b.tube(
            0,
            0,
            (h - 0.42 + 0.105 * i, h - 0.42 + 0.105 * (i + 1)),
            r - 0.028 * i,
            rgb,
            emission=0.45,
        )


def _plant(b: _Builder, p: Furniture, rgb: tuple, dark: tuple) -> None:
    r, h = p.half_x, p.height
    pot = 0.36
    b.tube(0, 0, (0, pot - 0.08), 0.7 * r, rgb)
    b.tube(0, 0, (pot - 0.08, pot), 0.82 * r, rgb)
    b.tube(0, 0, (pot, pot + 0.01), 0.72 * r, (0.30, 0.22, 0.16))
    # Leaves are olive, so that they are told from green furniture.
    rng = np.random.default_rng(p.index)
    b.tube(0, 0, (pot, h - 0.3), 0.03, (0.36, 0.30, 0.18))
    leaves = 13
    for i in range(leaves):
        up = (i + 0.5) / leaves
        bearing = 2.4 * i
        lift = 0.25 + 0.95 * up + rng.uniform(-0.1, 0.1)
        length = min((0.62 - 0.2 * up) * r + 0.06, r / (1.8 * math.cos(lift)))
        base = pot + 0.1 + up * (h - pot - 0.1 - 1.85 * length)
        reach = length * 0.75 * math.cos(lift)
        shade = rng.uniform(0.85, 1.2)
        b.blob(
            (
                reach * math.cos(bearing - p.yaw),
                reach * math.sin(bearing - p.yaw),
                base + length * math.sin(lift),
            ),
            (length, 0.42 * length, 0.035),
            scaled((0.24, 0.40, 0.16), shade),
            bearing,
            lift,
        )


def _cabinet(b: _Builder, p: Furniture, rgb: tuple, dark: tuple) -> None:
    x, y, h = p.half_x, p.half_y, p.height
    b.box((-x, x - 0.03), (-y, y), (0.06, h - 0.03), dark)
    b.box((-x, x), (-y, y), (h - 0.03, h), rgb)
    b.box((-x + 0.03, x - 0.05), (-y + 0.03, y - 0.03), (0, 0.06), WOOD)
    drawers = 3
    step = (h - 0.11) / drawers
    for i in range(drawers):
        low = 0.08 + i * step
        for sy in (-1, 1):
            near, far = sorted((sy * 0.012, sy * (y - 0.02)))
            b.box((x - 0.03, x - 0.008), (near, far), (low, low + step - 0.025), rgb)
            b.box(
                (x - 0.008, x),
                (sy * y / 2 - 0.06, sy * y / 2 + 0.06),
                (low + step / 2 - 0.02, low + step / 2 + 0.005),
                STEEL,
            )


def _bed(b: _Builder, p: Furniture, rgb: tuple, dark: tuple) -> None:
    x, y, h = p.half_x, p.half_y, p.height
    b.box((-x, -x + 0.07), (-y, y), (0, h), rgb)
    b.box((-x + 0.07, x), (-y, y), (0.1, 0.32), dark)
    b.box((-x + 0.07, x - 0.04), (-y + 0.03, y - 0.03), (0.32, 0.5), LINEN)
    b.box((-x * 0.35, x - 0.02), (-y + 0.01, y - 0.01), (0.34, 0.55), rgb)
    for sy in (-1, 1):
        near, far = sorted((sy * 0.05, sy * (y - 0.1)))
        b.box((-x + 0.12, -x + 0.48), (near, far), (0.5, 0.6), (1.0, 1.0, 0.98))


def _shelf(b: _Builder, p: Furniture, rgb: tuple, dark: tuple) -> None:
    x, y, h = p.half_x, p.half_y, p.height
    b.box((-x, -x + 0.02), (-y, y), (0, h), dark)
    for sy in (-1, 1):
        inner, outer = sorted((sy * (y - 0.045), sy * y))
        b.box((-x, x), (inner, outer), (0, h), rgb)
    boards = 5
    rng = np.random.default_rng(p.index)
    for i in range(boards):
        low = 0.06 + i * (h - 0.11) / (boards - 1)
        b.box((-x, x), (-y, y), (low, low + 0.05), rgb)
        if i < boards - 1:
            start = -y + 0.06
            for _ in range(2):
                end = start + rng.uniform(0.3, 0.5) * 2 * (y - 0.06)
                end = min(end, y - 0.06)
                tint = ((0.50, 0.46, 0.40), (0.66, 0.62, 0.54), (0.42, 0.44, 0.48))
                b.box(
                    (-x + 0.02, x - 0.07),
                    (start, end),
                    (low + 0.05, low + 0.05 + rng.uniform(0.2, 0.28)),
                    tint[rng.integers(3)],
                )
                start = end + 0.03


def _ball(b: _Builder, p: Furniture, rgb: tuple, dark: tuple) -> None:
    b.blob((0, 0, p.half_x), (p.half_x,) * 3, rgb)


def _barrel(b: _Builder, p: Furniture, rgb: tuple, dark: tuple) -> None:
    r, h = p.half_x, p.height
    staves = ((0.0, 0.84), (0.17, 0.95), (0.34, 1.0), (0.66, 0.95), (0.83, 0.84), (1.0, 0.0))
    for (low, wide), (high, _) in zip(staves, staves[1:]):
        b.tube(0, 0, (low * h, high * h), wide * r, rgb)
    for low, wide in ((0.1, 0.87), (0.27, 0.975), (0.68, 0.975), (0.85, 0.87)):
        b.tube(0, 0, (low * h, low * h + 0.045), wide * r, STEEL)


_DRAW = {
    'chair': _chair,
    'table': _table,
    'sofa': _sofa,
    'stool': _stool,
    'lamp': _lamp,
    'plant': _plant,
    'cabinet': _cabinet,
    'bed': _bed,
    'shelf': _shelf,
    'ball': _ball,
    'barrel': _barrel,
}
