"""Labels say what is in the picture."""

import math

from janusvln_ros.sim.camera import CameraModel
from janusvln_ros.sim.house import COLOURS, Door, Furniture, House, Room
from janusvln_ros.training.data.labels import class_of, CLASSES, NOTHING, Surroundings
import numpy as np
import pytest

ROOM = Room(0, 'office', 0.0, -3.0, 6.0, 3.0)


def _house(*furniture: Furniture, rooms=(ROOM,), doors=()) -> House:
    return House(1, rooms, doors, furniture)


def _cabinet(x: float, y: float, colour: str = 'red', index: int = 0) -> Furniture:
    return Furniture(index, 'cabinet', colour, x, y, 0.0, 0.3, 0.3, 1.25, 0)


def test_depth_of_an_empty_room():
    labels = Surroundings(_house()).look(2.0, 0.0, 0.0, CameraModel())
    depth = labels.depth.astype(float).reshape(6, 8)
    # The wall ahead is 4 m away; the patches beside the middle look at it from near the axis.
    assert depth[2:4, 3:5].mean() == pytest.approx(4.0, abs=0.2)
    # Rows are symmetric, and so are the sides of a symmetric room.
    assert np.allclose(depth, depth[:, ::-1], atol=0.01)
    assert (depth[0] < depth[2]).all() and (depth[5] < depth[3]).all()
    assert (labels.rays == NOTHING).all() and not len(labels.pieces)


@pytest.mark.parametrize('bearing, column', [(30, 0), (10, 1), (-10, 2), (-30, 3)])
def test_a_thing_is_where_it_is_seen(bearing, column):
    angle = math.radians(bearing)
    piece = _cabinet(1.0 + 2.0 * math.cos(angle), 2.0 * math.sin(angle))
    labels = Surroundings(_house(piece)).look(1.0, 0.0, 0.0, CameraModel())
    rays = labels.rays == class_of(piece)
    assert rays.sum(axis=0).reshape(4, 8).sum(axis=1).argmax() == column
    assert rays.sum() == labels.pieces[0] > 20
    assert (labels.rays[~rays] == NOTHING).all()
    assert not rays[:12].any()  # it is lower than the camera


def test_nearer_things_hide_farther_ones():
    near, far = _cabinet(2.0, 0.0), _cabinet(3.0, 0.0, 'blue', 1)
    labels = Surroundings(_house(near, far)).look(1.0, 0.0, 0.0, CameraModel())
    alone = Surroundings(_house(far)).look(1.0, 0.0, 0.0, CameraModel())
    assert labels.pieces[1] < 0.35 * alone.pieces[0]
    turned = Surroundings(_house(near, far)).look(1.0, 0.0, math.pi, CameraModel())
    assert not turned.pieces.any()


def test_doors_have_classes_of_their_own():
    rooms = (ROOM, Room(1, 'office', 6.14, -3.0, 10.0, 3.0))
    door = Door(0, 0, 1, 6.07, 0.0, 1.0, 'x', 'green')
    behind = _cabinet(8.0, 0.0)
    labels = Surroundings(_house(behind, rooms=rooms, doors=(door,))).look(
        3.0, 0.0, 0.0, CameraModel()
    )
    green = CLASSES - len(COLOURS) + COLOURS.index('green')
    assert (labels.rays == green).sum() > 10
    assert labels.pieces[0] > 5  # seen through the doorway


def test_a_tilted_camera_sees_more_floor():
    surroundings = Surroundings(_house())
    level, tilted = (
        surroundings.look(2.0, 0.0, 0.0, CameraModel(tilt=tilt)).depth.astype(float)
        for tilt in (0.0, 0.3)
    )
    assert tilted.reshape(6, 8)[5].mean() < level.reshape(6, 8)[5].mean() - 0.2
