"""Poses and the buffer of odometry."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from janusvln_ros.motion.geometry import Pose, PoseBuffer, wrap
import pytest

COORDINATE = st.floats(-50.0, 50.0)
POSES = st.builds(Pose, COORDINATE, COORDINATE, COORDINATE)


@given(st.floats(-100.0, 100.0))
def test_wrap_keeps_the_direction(angle):
    assert -math.pi <= wrap(angle) <= math.pi
    assert math.cos(wrap(angle)) == pytest.approx(math.cos(angle), abs=1e-9)
    assert math.sin(wrap(angle)) == pytest.approx(math.sin(angle), abs=1e-9)


@given(POSES, st.floats(-2.0, 2.0))
def test_moved_straight_is_seen_straight_ahead(pose, distance):
    forward, left, turn = pose.moved(distance).seen_from(pose)
    assert (forward, left, turn) == pytest.approx((distance, 0.0, 0.0), abs=1e-9)


def test_moved_follows_the_arc():
    quarter = Pose(1.0, 2.0, 0.0).moved(math.pi / 2.0, math.pi / 2.0)  # radius 1
    assert (quarter.x, quarter.y, quarter.yaw) == pytest.approx((2.0, 3.0, math.pi / 2.0))


@settings(max_examples=50)
@given(st.floats(0.0, 1.0))
def test_buffer_interpolates_between_neighbours(part):
    buffer = PoseBuffer()
    buffer.add(10.0, Pose(0.0, 0.0, 3.0))
    buffer.add(10.1, Pose(0.1, -0.2, 3.4))
    pose = buffer.at(10.0 + 0.1 * part)
    assert (pose.x, pose.y, pose.yaw) == pytest.approx(
        (0.1 * part, -0.2 * part, 3.0 + 0.4 * part), abs=1e-9
    )


def test_buffer_knows_what_it_does_not_know():
    buffer = PoseBuffer(horizon=1.0)
    assert buffer.at(0.0) is None and buffer.pose is None and buffer.speed() is None
    for i in range(30):
        buffer.add(0.1 * i, Pose(0.1 * i, 0.0, 0.0))
    assert buffer.at(1.0) is None  # forgotten
    assert buffer.at(99.0) == buffer.pose
    assert len(buffer) <= 12
    assert buffer.speed() == pytest.approx((1.0, 0.0))
    with pytest.raises(ValueError, match='not later'):
        buffer.add(2.9, Pose())
