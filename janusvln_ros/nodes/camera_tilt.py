"""How the camera is tilted, by tf."""

from __future__ import annotations

from typing import Any

from janusvln_ros.motion.safety.rays import Mount
import numpy as np
from rclpy.node import Node
from rclpy.time import Time
from std_msgs.msg import Header

try:
    import tf2_ros
except ImportError:  # ROS 2 from wheels has no tf2
    tf2_ros = None


class CameraTilt:
    """Listens to tf while it is open."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._buffer: Any = None
        self._listener: Any = None

    def open(self) -> None:  # noqa: A003
        """Begin to listen, if this ROS 2 has tf2."""
        if tf2_ros is not None:
            self._buffer = tf2_ros.Buffer()
            self._listener = tf2_ros.TransformListener(self._buffer, self._node)

    def close(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            self._listener.unregister()
        self._buffer = self._listener = None

    def gravity(self, level_frame: str, picture: Header) -> np.ndarray | None:
        """
        Give gravity's direction in a picture's optical frame, (3,) of length 1.

        level_frame: one whose z axis is up; None where tf has no way from it to the picture's.
        """
        buffer = self._buffer
        if buffer is None or not level_frame:
            return None
        try:
            found = buffer.lookup_transform(
                level_frame, picture.frame_id, Time.from_msg(picture.stamp)
            ).transform
            turn = found.rotation
            mount = Mount.of_transform((0.0, 0.0, 0.0), (turn.x, turn.y, turn.z, turn.w))
        except (tf2_ros.TransformException, ValueError):
            return None
        return -mount.rotation[2]
