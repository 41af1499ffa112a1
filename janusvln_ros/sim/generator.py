"""Furnished houses from a seed: the rooms, the doors between them, then the furniture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math

import cv2
from janusvln_ros.sim.house import (
    CATEGORIES,
    COLOURS,
    Door,
    DOOR_FRAME,
    Furniture,
    House,
    ROBOT_RADIUS,
    Room,
    ROOM_KINDS,
    ROUND,
    WALL_THICKNESS,
)
import numpy as np

GENERATOR_VERSION = 1  # of generate_house: raise it when a seed no longer gives the same house
MAX_ROOMS = 6
_NARROWEST = 3.4  # m, of a room, from wall to wall middle
_GRID = 0.05  # m, of the check that a room stays passable
_PASSAGE = ROBOT_RADIUS + 0.12  # m, half width of the ways that furniture leaves open


def generate_house(
    seed: int,
    *,
    rooms: int | tuple[int, int] = (1, 4),
    furniture: int | tuple[int, int] = (3, 6),
    pairs: Sequence[tuple[str, str]] | None = None,
) -> House:
    """
    Build a house; the same arguments give the same house everywhere.

    rooms: how many rooms, or the least and the most, 1 to 6; a corridor comes on top.
    furniture: how many pieces a room gets, or the least and the most; a small room may get fewer,
    because every way through stays open.
    pairs: the (category, colour) pairs that may appear; default all of CATEGORIES x COLOURS.
    ValueError for numbers of rooms outside 1 to 6 and unknown categories or colours.
    """
    least, most = (rooms, rooms) if isinstance(rooms, int) else rooms
    if not 1 <= least <= most <= MAX_ROOMS:
        raise ValueError(f'rooms must lie between 1 and {MAX_ROOMS}, not {rooms}')
    pieces = (furniture, furniture) if isinstance(furniture, int) else furniture
    if not 0 <= pieces[0] <= pieces[1]:
        raise ValueError(f'furniture must be a number or (least, most), not {furniture}')
    allowed = _allowed_colours(pairs)
    rng = np.random.default_rng([GENERATOR_VERSION, seed])
    count = int(rng.integers(least, most + 1))
    plan = _lay_out(rng, count)
    doors = _place_doors(rng, plan)
    placed: list[Furniture] = []
    for room in plan:
        _furnish(rng, room, doors, pieces, allowed, placed)
    return House(seed, tuple(plan), tuple(doors), tuple(placed))


def _allowed_colours(pairs: Sequence[tuple[str, str]] | None) -> dict[str, list[str]]:
    """Sort allowed pairs into colours by category."""
    if pairs is None:
        return {category: list(COLOURS) for category in CATEGORIES}
    for category, colour in pairs:
        if category not in CATEGORIES or colour not in COLOURS:
            raise ValueError(
                f'no such pair: {colour} {category}; categories are {CATEGORIES}, '
                f'colours are {COLOURS}'
            )
    allowed: dict[str, list[str]] = {}
    for category, colour in sorted(set(pairs)):
        allowed.setdefault(category, []).append(colour)
    return allowed


# --- rooms


def _lay_out(rng: np.random.Generator, count: int) -> list[Room]:
    """Divide a rectangle into `count` rooms, with a corridor between them in half the houses."""
    corridor = count >= 3 and rng.random() < 0.5
    cells = _corridor_cells(rng, count) if corridor else _split_cells(rng, count)
    if rng.random() < 0.5:
        cells = [(y0, x0, y1, x1) for x0, y0, x1, y1 in cells]
    middle_x = (min(c[0] for c in cells) + max(c[2] for c in cells)) / 2
    middle_y = (min(c[1] for c in cells) + max(c[3] for c in cells)) / 2
    kinds = [ROOM_KINDS[i] for i in rng.permutation(len(ROOM_KINDS))][:count]
    half = WALL_THICKNESS / 2
    plan = []
    for index, (kind, (x0, y0, x1, y1)) in enumerate(zip([*kinds, 'corridor'], cells)):
        plan.append(
            Room(
                index,
                kind,
                round(x0 - middle_x + half, 3),
                round(y0 - middle_y + half, 3),
                round(x1 - middle_x - half, 3),
                round(y1 - middle_y - half, 3),
            )
        )
    return plan


def _split_cells(rng: np.random.Generator, count: int) -> list[tuple[float, ...]]:
    """Cut the largest cell in two until there are `count`; try again if one came out narrow."""
    while True:
        area = count * rng.uniform(19.0, 26.0)
        width = math.sqrt(area * rng.uniform(0.75, 1.33))
        cells: list[tuple[float, ...]] = [(0.0, 0.0, width, area / width)]
        while len(cells) < count:
            cells.sort(key=lambda c: (c[2] - c[0]) * (c[3] - c[1]))
            x0, y0, x1, y1 = cells.pop()
            share = rng.uniform(0.35, 0.65)
            if x1 - x0 > y1 - y0:
                cut = x0 + share * (x1 - x0)
                cells += [(x0, y0, cut, y1), (cut, y0, x1, y1)]
            else:
                cut = y0 + share * (y1 - y0)
                cells += [(x0, y0, x1, cut), (x0, cut, x1, y1)]
        if min(min(c[2] - c[0], c[3] - c[1]) for c in cells) >= _NARROWEST:
            return cells


def _corridor_cells(rng: np.random.Generator, count: int) -> list[tuple[float, ...]]:
    """Put rooms on both sides of a corridor along x; the corridor is the last cell."""
    above = (count + int(rng.integers(0, 2))) // 2
    width = rng.uniform(1.7, 2.1)
    length = max(above, count - above) * rng.uniform(4.0, 4.8)
    cells: list[tuple[float, ...]] = []
    for number, side in ((above, 1), (count - above, -1)):
        depth = rng.uniform(3.8, 5.2)
        shares = rng.uniform(0.85, 1.15, number)
        edges = np.concatenate([[0.0], np.cumsum(shares) / shares.sum()]) * length
        for x0, x1 in zip(edges[:-1].tolist(), edges[1:].tolist()):
            low, high = (
                (width / 2, width / 2 + depth) if side > 0 else (-width / 2 - depth, -width / 2)
            )
            cells.append((x0, low, x1, high))
    return [*cells, (0.0, -width / 2, length, width / 2)]


# --- doors


def _shared_wall(a: Room, b: Room) -> tuple[str, float, float, float] | None:
    """Give (axis, at, start, end) of the wall where `a` lies before `b`, or None."""
    if abs(b.x0 - a.x1 - WALL_THICKNESS) < 0.01:
        axis, at, start, end = 'x', (a.x1 + b.x0) / 2, max(a.y0, b.y0), min(a.y1, b.y1)
    elif abs(b.y0 - a.y1 - WALL_THICKNESS) < 0.01:
        axis, at, start, end = 'y', (a.y1 + b.y0) / 2, max(a.x0, b.x0), min(a.x1, b.x1)
    else:
        return None
    return (axis, at, start, end) if end - start > 1.7 else None


def _place_doors(rng: np.random.Generator, plan: list[Room]) -> list[Door]:
    """Join all rooms: a random tree over the walls, and some doors more."""
    shared = [
        (a, b, wall) for a in plan for b in plan if a is not b and (wall := _shared_wall(a, b))
    ]
    order = rng.permutation(len(shared)).tolist()
    # Rooms along a corridor open into it first.
    order.sort(key=lambda i: 'corridor' not in (shared[i][0].kind, shared[i][1].kind))
    group = {room.index: room.index for room in plan}
    colours = [COLOURS[i] for i in rng.permutation(len(COLOURS))]
    doors: list[Door] = []
    for i in order:
        a, b, (axis, at, start, end) = shared[i]
        joined = group[a.index] == group[b.index]
        missing = len(set(group.values())) - 1  # doors that still have to come
        if joined and (len(doors) + missing >= len(COLOURS) or rng.random() > 0.3):
            continue
        merged = group[b.index]
        group = {k: group[a.index] if g == merged else g for k, g in group.items()}
        width = round(rng.uniform(0.95, 1.15), 3)
        room_left = width / 2 + DOOR_FRAME + 0.12
        along = round(rng.uniform(start + room_left, end - room_left), 3)
        x, y = (round(at, 3), along) if axis == 'x' else (along, round(at, 3))
        doors.append(Door(len(doors), a.index, b.index, x, y, width, axis, colours[len(doors)]))
    return doors


# --- furniture

# Half depth, half width, height in metres, each (least, most); the first is along the front.
_SIZES = {
    'chair': ((0.24, 0.27), (0.24, 0.27), (0.9, 1.05)),
    'table': ((0.36, 0.46), (0.5, 0.72), (0.72, 0.78)),
    'sofa': ((0.42, 0.48), (0.8, 1.0), (0.78, 0.9)),
    'stool': ((0.21, 0.24), (0.21, 0.24), (0.5, 0.65)),
    'lamp': ((0.22, 0.26), (0.22, 0.26), (1.5, 1.75)),
    'plant': ((0.26, 0.32), (0.26, 0.32), (1.0, 1.35)),
    'cabinet': ((0.23, 0.28), (0.4, 0.6), (0.9, 1.25)),
    'bed': ((0.95, 1.05), (0.6, 0.8), (0.85, 1.0)),
    'shelf': ((0.17, 0.21), (0.42, 0.58), (1.65, 1.95)),
    'ball': ((0.28, 0.36), (0.28, 0.36), (0.56, 0.72)),
}
_AT_WALL = {
    'sofa': 0.8,
    'cabinet': 1.0,
    'bed': 1.0,
    'shelf': 1.0,
    'lamp': 0.6,
    'plant': 0.6,
    'chair': 0.3,
    'table': 0.3,
    'stool': 0.3,
    'ball': 0.2,
}
_TYPICAL = {
    'living room': ('sofa', 'table', 'lamp', 'plant', 'shelf'),
    'bedroom': ('bed', 'lamp', 'cabinet', 'chair'),
    'kitchen': ('cabinet', 'stool', 'table', 'plant'),
    'dining room': ('table', 'chair', 'plant', 'cabinet'),
    'office': ('table', 'chair', 'shelf', 'lamp', 'cabinet'),
    'playroom': ('ball', 'stool', 'bed', 'shelf'),
    'corridor': ('plant', 'lamp', 'ball', 'stool'),
}


def _furnish(
    rng: np.random.Generator,
    room: Room,
    doors: list[Door],
    pieces: tuple[int, int],
    allowed: dict[str, list[str]],
    placed: list[Furniture],
) -> None:
    """Fill a room, leaving every doorway and the ways between them open."""
    count = int(rng.integers(pieces[0], pieces[1] + 1))
    if room.kind == 'corridor':
        count = min(count, int(rng.integers(0, 2)))
    stays_open = _passage_check(room, [d for d in doors if room.index in (d.room_a, d.room_b)])
    mine: list[Furniture] = []
    typical = [c for c in _TYPICAL[room.kind] if c in allowed]
    small = [c for c in allowed if c in _TYPICAL['corridor']]
    for _ in range(count):
        many = {f.category for f in mine if sum(f.category == g.category for g in mine) >= 2}
        anything = [c for c in (small if room.kind == 'corridor' else allowed) if c not in many]
        likely = [c for c in typical if c not in many] if rng.random() < 0.6 else anything
        if not likely:
            continue
        category = likely[int(rng.integers(len(likely)))]
        colour = allowed[category][int(rng.integers(len(allowed[category])))]
        # The same thing twice in a room is rare, but it has to happen: "the farther red chair".
        if rng.random() < 0.8 and any((f.category, f.colour) == (category, colour) for f in mine):
            colour = allowed[category][int(rng.integers(len(allowed[category])))]
        single = [f for f in mine if f.category not in many]
        if single and rng.random() < 0.15:
            twin = single[int(rng.integers(len(single)))]
            category, colour = twin.category, twin.colour
        for _ in range(25):
            piece = _propose(rng, len(placed), category, colour, room, mine)
            if piece is not None and stays_open([*mine, piece]):
                mine.append(piece)
                placed.append(piece)
                break


def _propose(
    rng: np.random.Generator,
    index: int,
    category: str,
    colour: str,
    room: Room,
    others: list[Furniture],
) -> Furniture | None:
    """Put a piece somewhere in a room; None where it would stand in another one."""
    half_x, half_y, height = (round(rng.uniform(*span), 3) for span in _SIZES[category])
    if category in ROUND:
        half_y = half_x
    if category == 'ball':
        height = 2 * half_x
    if rng.random() < _AT_WALL[category]:
        quarter = int(rng.integers(4))
        yaw = quarter * math.pi / 2
        gap = half_x + rng.uniform(0.02, 0.06)
        side = half_y + 0.05
        if quarter % 2 == 0:
            x = room.x0 + gap if quarter == 0 else room.x1 - gap
            y = room.y0 + side + rng.random() * (room.y1 - room.y0 - 2 * side)
        else:
            x = room.x0 + side + rng.random() * (room.x1 - room.x0 - 2 * side)
            y = room.y0 + gap if quarter == 1 else room.y1 - gap
    else:
        yaw = rng.uniform(-math.pi, math.pi)
        reach = math.hypot(half_x, half_y) + 0.05
        x = room.x0 + reach + rng.random() * (room.x1 - room.x0 - 2 * reach)
        y = room.y0 + reach + rng.random() * (room.y1 - room.y0 - 2 * reach)
    pose, size = (round(x, 3), round(y, 3), round(yaw, 4)), (half_x, half_y, height)
    piece = Furniture(index, category, colour, *pose, *size, room.index)
    corners = piece.corners()
    if (corners.min(axis=0) < (room.x0, room.y0)).any():
        return None
    if (corners.max(axis=0) > (room.x1, room.y1)).any():
        return None
    if any(_overlap(piece, other, 0.08) for other in others):
        return None
    return piece


def _overlap(a: Furniture, b: Furniture, gap: float) -> bool:
    """Tell whether two footprints come closer than `gap`, by the separating axes of both."""
    corners_a, corners_b = a.corners(), b.corners()
    for yaw in (a.yaw, a.yaw + math.pi / 2, b.yaw, b.yaw + math.pi / 2):
        axis = (math.cos(yaw), math.sin(yaw))
        on_a, on_b = corners_a @ axis, corners_b @ axis
        if on_a.min() - on_b.max() >= gap or on_b.min() - on_a.max() >= gap:
            return False
    return True


def _passage_check(room: Room, doors: list[Door]) -> Callable[[list[Furniture]], bool]:
    """Make a test whether furniture leaves doorways free and everything within reach."""
    width = int((room.x1 - room.x0) / _GRID)
    height = int((room.y1 - room.y0) / _GRID)
    edge = int(_PASSAGE / _GRID)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * edge + 1, 2 * edge + 1))
    reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * edge + 9, 2 * edge + 9))
    doorways = np.zeros((height, width), np.uint8)
    gates = []
    for door in doors:
        x, y = (door.x - room.x0) / _GRID, (door.y - room.y0) / _GRID
        deep, wide = 0.8 / _GRID, (door.width / 2 + DOOR_FRAME) / _GRID
        half = (deep, wide) if door.axis == 'x' else (wide, deep)
        low, high = ((round(x + s * half[0]), round(y + s * half[1])) for s in (-1, 1))
        cv2.rectangle(doorways, low, high, 1, cv2.FILLED)
        gates.append(
            (min(max(int(x), edge), width - 1 - edge), min(max(int(y), edge), height - 1 - edge))
        )

    def stays_open(pieces: list[Furniture]) -> bool:
        taken = np.zeros((height, width), np.uint8)
        origin = np.array([room.x0, room.y0])
        for piece in pieces:
            corners = np.round((piece.corners() - origin) / _GRID).astype(np.int32)
            cv2.fillConvexPoly(taken, corners, 1)
        if (taken & doorways).any():
            return False
        free = 1 - cv2.dilate(taken, kernel)
        free[:edge], free[-edge:], free[:, :edge], free[:, -edge:] = 0, 0, 0, 0
        _, labels, stats, _ = cv2.connectedComponentsWithStats(free, connectivity=4)
        if len(stats) < 2:
            return False
        main = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
        if any(labels[y, x] != main for x, y in gates):
            return False
        if stats[main, cv2.CC_STAT_AREA] < 0.9 * stats[1:, cv2.CC_STAT_AREA].sum():
            return False
        near = cv2.dilate((labels == main).astype(np.uint8), reach)
        for piece in pieces:
            alone = np.zeros_like(taken)
            corners = np.round((piece.corners() - origin) / _GRID).astype(np.int32)
            cv2.fillConvexPoly(alone, corners, 1)
            if not np.logical_and(alone, near).any():
                return False
        return True

    return stays_open
