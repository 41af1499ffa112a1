"""Free space and geodesic distance in generated houses."""

import gc
import math
import weakref

from hypothesis import given, settings
from hypothesis import strategies as st
from janusvln_ros.sim.free_space import FreeSpace, places_around
from janusvln_ros.sim.generator import generate_house
from janusvln_ros.sim.house import clearance, Furniture, House, ROBOT_RADIUS, Room
import numpy as np
import pytest

OPEN = House(0, (Room(0, 'office', 0.0, 0.0, 6.0, 6.0),), (), ())


def with_wall():
    """Give a room of 6 m with a bed-like bar across it that leaves 1 m open at the north wall."""
    bar = Furniture(0, 'bed', 'red', 3.0, 2.5, 0.0, 0.1, 2.5, 1.0, 0)
    return House(0, OPEN.rooms, (), (bar,))


def test_free_cells_are_where_the_robot_fits():
    house = generate_house(7)
    space = FreeSpace(house)
    free = space.points
    gaps = clearance(house.obstacles(), free)
    assert gaps.min() >= ROBOT_RADIUS - 1e-6
    assert all(0.0 <= gap for gap in gaps)
    # And the other way round: in the rooms, where it fits is free.
    rng = np.random.default_rng(0)
    cells = rng.integers(0, space.free.size, 300)
    for point, is_free in zip(space.centres(cells), space.free.ravel()[cells]):
        room = house.room_at(*point)
        if room is not None:
            gap = float(clearance(house.obstacles(), point))
            assert is_free == (gap >= ROBOT_RADIUS) or abs(gap - ROBOT_RADIUS) < 1e-5


def test_distance_in_sight_is_euclidean():
    field = FreeSpace(OPEN).field([[1.0, 1.0]])
    assert field.distance(4.0, 5.0) == pytest.approx(5.0, abs=1e-9)
    assert field.distance(1.0, 1.0) == 0.0


def test_distance_leads_around_an_obstacle():
    house = with_wall()
    field = FreeSpace(house).field([[5.0, 1.0]])
    # Around the bar's end, which is grown by the robot: by (2.72, 5.18) and (3.28, 5.18) or so.
    shortest = 2 * math.hypot(1.72, 4.1) + 0.44
    assert field.distance(1.0, 1.0) == pytest.approx(shortest, rel=0.04)
    way = field.path(1.0, 1.0)
    assert np.hypot(*np.diff(way, axis=0).T).sum() == pytest.approx(shortest, rel=0.03)
    assert len(way) < 12 and tuple(way[0]) == (1.0, 1.0)
    assert np.hypot(*(way[-1] - (5.0, 1.0))) < 0.05


def test_every_piece_of_a_path_is_free():
    house = generate_house(3, rooms=4)
    space = FreeSpace(house)
    rng = np.random.default_rng(1)
    field = space.field(space.points[:1])
    for x, y in space.points[rng.integers(len(space.points), size=20)]:
        if field.reaches(x, y):
            way = field.path(x, y)
            assert all(space.line_is_free(a, b) for a, b in zip(way, way[1:]))
            length = np.hypot(*np.diff(way, axis=0).T).sum()
            assert length <= field.distance(x, y) + 0.1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 30), st.integers(0, 10**6), st.integers(0, 10**6))
def test_distance_is_a_metric_up_to_the_grid(seed, first, second):
    space = FreeSpace(generate_house(seed, rooms=(1, 2)))
    a = space.points[first % len(space.points)]
    b = space.points[second % len(space.points)]
    assert space.field(a).reaches(*b) == space.field(b).reaches(*a)
    if not space.field(a).reaches(*b):
        return
    there, back = space.field(a).distance(*b), space.field(b).distance(*a)
    assert there == pytest.approx(back, abs=0.1)
    assert there >= np.hypot(*(a - b)) - 1e-9
    # 16 directions: at most 2.7 % more than the straight way where nothing is between.
    if space.line_is_free(a, b, ROBOT_RADIUS + 0.15):
        assert space.field(a).cost(*b) <= 1.028 * np.hypot(*(a - b)) + 0.08


def test_several_goals_count_the_nearest():
    field = FreeSpace(OPEN).field([[1.0, 1.0], [5.0, 5.0]])
    assert field.distance(4.5, 5.0) == pytest.approx(0.5)
    assert field.distance(1.0, 1.5) == pytest.approx(0.5)


def test_rooms_without_a_door_are_out_of_reach():
    rooms = (Room(0, 'office', 0.0, 0.0, 3.0, 3.0), Room(1, 'office', 3.14, 0.0, 6.0, 3.0))
    field = FreeSpace(House(0, rooms, (), ())).field([[1.0, 1.0]])
    assert field.reaches(2.0, 1.0) and not field.reaches(5.0, 1.0)
    # As if the robot had squeezed through: on from the nearest place with a way.
    assert field.distance(5.0, 1.0) == pytest.approx(4.0, abs=0.06)


def test_goals_in_walls_are_refused():
    with pytest.raises(ValueError, match=r'\(9\.00, 1\.00\) is not within 0\.3 m'):
        FreeSpace(OPEN).field([[9.0, 1.0]])


def test_places_around_a_footprint():
    house = with_wall()
    places = places_around(FreeSpace(house), house.furniture[0].corners(), 0.2, 0.3)
    gaps = clearance(house.obstacles()[-1:], places)
    assert len(places) > 50 and gaps.min() >= 0.2 and gaps.max() <= 0.3
    assert {x > 3.0 for x in places[:, 0]} == {True, False}


def test_comfortable_ways_keep_away_from_walls():
    space = FreeSpace(generate_house(5, rooms=4))
    near, far = space.points[10], space.points[-10]
    quick, easy = space.field(far), space.field(far, comfortable=True)
    room = [space.clearance_at(field.trace(*near)).mean() for field in (quick, easy)]
    assert room[1] > room[0]


def test_a_house_is_forgotten_with_its_space():
    """Without waiting for a garbage collection: thousands of houses are visited in a row."""
    gc.disable()
    try:
        space = FreeSpace(generate_house(0, rooms=1))
        space.field(space.points[:1])
        left = weakref.ref(space)
        del space
        assert left() is None
    finally:
        gc.enable()
