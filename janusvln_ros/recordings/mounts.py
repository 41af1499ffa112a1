"""Where a bag's camera sits on the robot, by what tf has of it that does not move."""

from __future__ import annotations

from typing import Any, NamedTuple

from janusvln_ros.recordings import topics
from janusvln_ros.recordings.bag import Bag
from janusvln_ros.recordings.messages import DamagedMessageError
import numpy as np
from scipy.spatial.transform import Rotation

_DEEPEST = 50  # frames between camera and base: more is a circle


class Mount(NamedTuple):
    """Where a camera sits: base_point = rotation @ optical_point + place."""

    rotation: np.ndarray  # (3, 3)
    place: np.ndarray  # (3,) m


def first_message(bag: Bag, topic: str) -> Any | None:
    """Give a topic's first message that is not damaged; None where there is none."""
    decode = bag.decoder([topic])
    for message in bag.messages([topic]):
        try:
            return decode(message)
        except DamagedMessageError:
            continue
    return None


def calibration(bag: Bag, camera: str) -> Any | None:
    """Give the first camera_info of a camera's topic; None where there is none beside it."""
    place = camera.removesuffix('/compressed').rpartition('/')[0]
    name = f'{place}/camera_info'
    if name not in bag.topics or bag.topics[name].msgtype != topics.CAMERA_INFO:
        return None
    return first_message(bag, name)


def camera_mount(bag: Bag, camera: str, odometry: str, namespace: str) -> Mount | None:
    """
    Find the way from odometry's child frame to that of a camera's pictures in tf_static.

    None where there is no such way, and where both are one frame, which tells no tilt.
    """
    picture, pose = first_message(bag, camera), first_message(bag, odometry)
    inside = namespace.rstrip('/') + '/'
    names = [name for name in (f'{inside}tf_static', '/tf_static') if name in bag.topics]
    if picture is None or pose is None or not names or bag.topics[names[0]].msgtype != topics.TF:
        return None
    return _way(_fixed(bag, names[0]), pose.child_frame_id, picture.header.frame_id)


def _fixed(bag: Bag, topic: str) -> dict[str, tuple[str, Mount]]:
    """Read the fixed frames: child -> parent, and where the child sits on it."""
    found, decode = {}, bag.decoder([topic])
    for message in bag.messages([topic]):
        try:
            parts = decode(message).transforms
        except DamagedMessageError:
            continue
        for part in parts:
            move, turn = part.transform.translation, part.transform.rotation
            try:
                rotation = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).as_matrix()
            except ValueError:
                continue  # no rotation at all
            mount = Mount(rotation, np.array([move.x, move.y, move.z]))
            found[part.child_frame_id.lstrip('/')] = part.header.frame_id.lstrip('/'), mount
    return found


def _way(fixed: dict[str, tuple[str, Mount]], base: str, frame: str) -> Mount | None:
    base, frame = base.lstrip('/'), frame.lstrip('/')
    if frame == base:
        return None
    way = Mount(np.eye(3), np.zeros(3))
    for _ in range(_DEEPEST):
        if frame == base:
            return way
        if frame not in fixed:
            return None
        frame, on = fixed[frame]
        way = Mount(on.rotation @ way.rotation, on.rotation @ way.place + on.place)
    return None
