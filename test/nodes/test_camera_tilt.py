"""The camera's tilt by tf: gravity as the pictures have it, or nothing where tf does not tell."""

from types import SimpleNamespace

from geometry_msgs.msg import Quaternion
from janusvln_ros.nodes import camera_tilt
from janusvln_ros.nodes.camera_tilt import CameraTilt
from janusvln_ros.policy.pinhole import downward
import numpy as np
import pytest
from std_msgs.msg import Header

PICTURE = Header(frame_id='camera_optical_frame')


class NoWayError(Exception):
    """What tf raises."""


@pytest.fixture
def tf(monkeypatch):
    """Stand in for tf2_ros, which the wheels of ROS lack; give the turns between frames."""
    turns = {}

    class Buffer:
        def lookup_transform(self, target, source, time):
            if (target, source) not in turns:
                raise NoWayError
            return SimpleNamespace(transform=SimpleNamespace(rotation=turns[target, source]))

    listener = SimpleNamespace(unregister=lambda: None)
    stand_in = SimpleNamespace(
        Buffer=Buffer,
        TransformListener=lambda buffer, node: listener,
        TransformException=NoWayError,
    )
    monkeypatch.setattr(camera_tilt, 'tf2_ros', stand_in)
    return turns


def optical(tilt):
    """Return the turn of a camera that looks down, from its optical frame to the base's."""
    cos, sin = np.cos(tilt / 2) / 2, np.sin(tilt / 2) / 2
    return Quaternion(x=-cos - sin, y=cos + sin, z=sin - cos, w=cos - sin)


@pytest.mark.parametrize('tilt', [0.0, 0.4, -0.2])
def test_gravity_is_that_of_the_tilt(tf, tilt):
    tf['base_link', PICTURE.frame_id] = optical(tilt)
    camera = CameraTilt(None)
    assert camera.gravity('base_link', PICTURE) is None  # not open
    camera.open()
    assert camera.gravity('base_link', PICTURE) == pytest.approx(downward(tilt))
    camera.close()
    assert camera.gravity('base_link', PICTURE) is None


def test_what_tf_does_not_tell_is_not_known(tf):
    camera = CameraTilt(None)
    camera.open()
    assert camera.gravity('base_link', PICTURE) is None
    tf['odom', PICTURE.frame_id] = Quaternion(x=0.0, y=0.0, z=0.0, w=0.0)
    assert camera.gravity('odom', PICTURE) is None
    tf['', PICTURE.frame_id] = optical(0.1)
    assert camera.gravity('', PICTURE) is None


def test_without_tf2_the_parameter_counts(monkeypatch):
    monkeypatch.setattr(camera_tilt, 'tf2_ros', None)
    camera = CameraTilt(None)
    camera.open()
    assert camera.gravity('base_link', PICTURE) is None
