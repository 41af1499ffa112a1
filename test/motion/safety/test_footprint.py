"""How far a footprint can move before it touches a point, against moving it step by step."""

import math

from hypothesis import given
from hypothesis import strategies as st
from janusvln_ros.motion.safety.footprint import BodyParameters, Footprint
import numpy as np
import pytest

SQUARE = Footprint(np.array([[0.3, 0.2], [-0.3, 0.2], [-0.3, -0.2], [0.3, -0.2]]))
PLACES = st.tuples(st.floats(-1.5, 1.5), st.floats(-1.5, 1.5))
AROUND = st.lists(
    st.tuples(st.floats(0.1, 0.6), st.floats(-math.pi, math.pi)), min_size=4, max_size=8
)


def shape(around):
    """Return a footprint of corners in polar coordinates, with three that hold the origin."""
    corners = [*around, (0.1, 0.0), (0.1, 2.1), (0.1, -2.1)]
    return Footprint(np.array([[r * math.cos(a), r * math.sin(a)] for r, a in corners]))


@given(AROUND, PLACES, st.sampled_from([1, -1]))
def test_way_is_where_it_first_touches(around, place, direction):
    footprint, point = shape(around), np.array([place])
    if footprint.covers(point)[0]:
        return
    way = footprint.way(point, direction)[0]
    ways = np.linspace(0.0, 3.0, 601)
    inside = footprint.covers(point - np.stack([direction * ways, 0.0 * ways], axis=1))
    if math.isinf(way):
        assert not inside.any()
    else:
        assert way >= 0.0 and not inside[ways < way - 1e-9].any()
        assert footprint.covers(point - [[direction * (way + 1e-7), 0.0]])[0] or not inside.any()


@given(AROUND, PLACES, st.floats(-math.tau, math.tau))
def test_turn_is_where_it_first_touches(around, place, angle):
    footprint, point = shape(around), np.array([place])
    free = footprint.turn(point, angle)
    if footprint.covers(point)[0] or math.hypot(*place) > footprint.radius:
        assert free == math.inf
        return
    angles = np.linspace(0.0, angle, 800)
    x, y = place
    cosine, sine = np.cos(angles), np.sin(angles)
    turned = np.stack([cosine * x + sine * y, cosine * y - sine * x], axis=1)
    touched = np.abs(angles)[footprint.covers(turned)]
    if touched.size > 20:  # a corner that is only brushed may lie between two looks
        assert abs(free - touched.min()) < math.radians(1.5)


def test_ways_of_a_square():
    points = np.array([[1.0, 0.0], [1.0, 0.21], [-1.0, 0.0], [0.25, 0.1], [-0.25, 0.1]])
    np.testing.assert_allclose(SQUARE.way(points, 1)[[0, 1, 2]], [0.7, math.inf, math.inf])
    np.testing.assert_allclose(SQUARE.way(points, -1)[[0, 1, 2]], [math.inf, math.inf, 0.7])
    # what is inside counts in the half that leads, and is the robot itself in the other
    assert SQUARE.way(points, 1)[3] < 0.0 and SQUARE.way(points, 1)[4] == math.inf
    assert SQUARE.way(points, -1)[4] < 0.0 and SQUARE.way(points, -1)[3] == math.inf


def test_a_corner_sweeps_more_than_the_front():
    beside = np.array([[0.0, 0.25]])
    assert SQUARE.way(beside, 1)[0] == math.inf
    assert 0.0 < SQUARE.turn(beside, math.pi) < math.pi / 2
    assert SQUARE.turn(beside, math.radians(5.0)) == math.inf
    assert SQUARE.turn(np.array([[0.0, 0.4]]), math.tau) == math.inf


@pytest.mark.parametrize(
    ('text', 'word'),
    [
        ('round', 'list of corners'),
        ('[[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]]', 'on a line'),
        ('[[0.1, 0.1], [0.2, 0.1], [0.2, 0.2]]', 'base_link'),
        ('[[0.1, 0.1, 0.1]]', 'two numbers'),
        ('[[0.1], [0.1, 0.2]]', 'list of corners'),
        ('[[NaN, 0.1], [0.2, 0.1], [-0.2, -0.2]]', 'two numbers'),
        ('{}', 'list of corners'),
        ('[]', 'two numbers'),
    ],
)
def test_a_footprint_that_is_none_is_refused(text, word):
    with pytest.raises(ValueError, match=word):
        BodyParameters(footprint=text)


def test_without_corners_it_is_a_rectangle():
    outline = BodyParameters(robot_front=0.3, robot_rear=0.1, robot_half_width=0.2).outline
    assert (outline.extent(1), outline.extent(-1)) == (0.3, 0.1)
    assert (outline.left, outline.right) == (0.2, -0.2)
    assert outline.radius == pytest.approx(math.hypot(0.3, 0.2))
