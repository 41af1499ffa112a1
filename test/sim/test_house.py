"""Houses: the same everywhere, and passable whatever the seed."""

from dataclasses import asdict
import hashlib
import json
import math

import cv2
from hypothesis import given, settings
from hypothesis import strategies as st
from janusvln_ros.sim.generator import generate_house, MAX_ROOMS
from janusvln_ros.sim.house import (
    CATEGORIES,
    clearance,
    COLOURS,
    free_start,
    House,
    ROBOT_RADIUS,
    WALL_THICKNESS,
)
from janusvln_ros.sim.shapes import house_lights, house_shapes
import numpy as np
import pytest

SEEDS = st.integers(0, 2**40)
CELL = 0.05  # m


def free_components(house: House) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label the cells where the robot fits; return labels, xs and ys of the cells' middles."""
    x0, y0, x1, y1 = house.bounds
    xs, ys = np.arange(x0, x1, CELL), np.arange(y0, y1, CELL)
    gaps = clearance(house.obstacles(), np.stack(np.meshgrid(xs, ys), axis=-1))
    return (
        cv2.connectedComponents((gaps >= ROBOT_RADIUS).astype(np.uint8), connectivity=4)[1],
        xs,
        ys,
    )


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, MAX_ROOMS))
def test_robot_reaches_every_room_through_every_door(seed: int, rooms: int):
    house = generate_house(seed, rooms=rooms)
    labels, xs, ys = free_components(house)

    def label(x: float, y: float) -> int:
        return labels[np.abs(ys - y).argmin(), np.abs(xs - x).argmin()]

    main = label(*free_start(house)[:2])
    assert main != 0
    for door in house.doors:
        assert label(door.x, door.y) == main
        ahead = (0.6, 0.0) if door.axis == 'x' else (0.0, 0.6)
        for side in (-1, 1):  # and so are both of its rooms, half a metre behind it
            assert label(door.x + side * ahead[0], door.y + side * ahead[1]) == main
    joined = {0}
    for _ in house.doors:
        joined |= {
            r for d in house.doors if {d.room_a, d.room_b} & joined for r in (d.room_a, d.room_b)
        }
    assert joined == {room.index for room in house.rooms}


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_furniture_stands_in_its_room_apart_and_within_reach(seed: int):
    house = generate_house(seed, rooms=(1, MAX_ROOMS))
    labels, xs, ys = free_components(house)
    main = (
        labels
        == labels[
            np.abs(ys - free_start(house)[1]).argmin(), np.abs(xs - free_start(house)[0]).argmin()
        ]
    )
    rows, columns = np.nonzero(main)
    reachable = np.stack([xs[columns], ys[rows]], axis=-1)
    boxes = house.obstacles()[len(house.obstacles()) - len(house.furniture) :]
    for piece, box in zip(house.furniture, boxes):
        room = house.rooms[piece.room]
        assert all(room.contains(x, y) for x, y in piece.corners())
        others = np.delete(boxes, piece.index, axis=0)
        if len(others):
            edge = np.concatenate([piece.corners(), [(piece.x, piece.y)]])
            assert clearance(others, edge).min() >= (0.0 if piece.is_round else 0.05)
        assert clearance(box[None], reachable).min() < ROBOT_RADIUS + 0.35


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_rooms_lie_side_by_side_and_doors_in_the_walls_between(seed: int):
    house = generate_house(seed, rooms=(2, MAX_ROOMS))
    for a in house.rooms:
        for b in house.rooms[a.index + 1 :]:
            apart = max(b.x0 - a.x1, a.x0 - b.x1, b.y0 - a.y1, a.y0 - b.y1)
            assert apart > WALL_THICKNESS - 0.01
    colours = [door.colour for door in house.doors]
    assert len(set(colours)) == len(colours)
    for door in house.doors:
        step = (0.2, 0.0) if door.axis == 'x' else (0.0, 0.2)
        assert house.room_at(door.x, door.y) is None
        assert house.room_at(door.x - step[0], door.y - step[1]).index == door.room_a
        assert house.room_at(door.x + step[0], door.y + step[1]).index == door.room_b


def test_houses_do_not_change():
    """A changed hash means that GENERATOR_VERSION has to be raised and splits change."""
    houses = [asdict(generate_house(seed, rooms=(1, 6))) for seed in range(20)]
    assert hashlib.sha256(json.dumps(houses).encode()).hexdigest()[:16] == '7ba245765463e5cb'


def test_looks_do_not_change():
    """A changed hash means that checkpoints see other pictures than they were trained on."""

    def rounded(value):
        if isinstance(value, (tuple, list)):
            return [rounded(part) for part in value]
        return round(value, 6) + 0.0 if isinstance(value, float) else value

    houses = [generate_house(seed, rooms=(1, 6)) for seed in range(6)]
    shown = [[*asdict(x).values()] for h in houses for x in (*house_shapes(h), *house_lights(h))]
    text = json.dumps(rounded(shown))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == '7e0eec271467c610'


@pytest.mark.slow
def test_corridors_and_all_numbers_of_rooms_appear():
    houses = [generate_house(seed, rooms=(1, 6)) for seed in range(60)]
    assert {sum(r.kind != 'corridor' for r in h.rooms) for h in houses} == {1, 2, 3, 4, 5, 6}
    assert any(room.kind == 'corridor' for house in houses for room in house.rooms)
    pieces = {(f.category, f.colour) for house in houses for f in house.furniture}
    assert {category for category, _ in pieces} == set(CATEGORIES)
    assert {colour for _, colour in pieces} == set(COLOURS)


def test_only_allowed_pairs_appear():
    pairs = (('chair', 'red'), ('bed', 'blue'), ('plant', 'blue'))
    found = {
        (f.category, f.colour)
        for seed in range(20)
        for f in generate_house(seed, pairs=pairs).furniture
    }
    assert found == set(pairs)


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ({'rooms': 7}, 'between 1 and 6'),
        ({'rooms': (3, 2)}, 'between 1 and 6'),
        ({'furniture': (4, 2)}, 'least, most'),
        ({'pairs': [('chair', 'beige')]}, 'beige chair'),
    ],
)
def test_bad_arguments_are_named(arguments: dict, words: str):
    with pytest.raises(ValueError, match=words):
        generate_house(0, **arguments)


def test_clearance_of_turned_boxes_and_circles():
    obstacles = np.array([(0.0, 0.0, math.pi / 4, 1.0, 0.5, 0.0), (10.0, 0.0, 0.3, 0.0, 0.0, 0.5)])
    along = np.array([math.cos(math.pi / 4), math.sin(math.pi / 4)])
    points = np.array([1.5 * along, 0.9 * along, (10.0, 0.75), (10.1, 0.1), (-3.0, 3.0)])
    expected = [0.5, 0.0, 0.25, 0.0, math.hypot(3.0, 3.0) - 0.5]
    assert clearance(obstacles, points) == pytest.approx(expected)


def test_door_tells_its_other_room():
    door = generate_house(1, rooms=3).doors[0]
    assert door.other(door.room_a) == door.room_b
    with pytest.raises(ValueError, match='not room 99'):
        door.other(99)
