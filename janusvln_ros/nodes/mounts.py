"""Where sensors sit on the robot: from tf, or from parameters."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from janusvln_ros.motion.safety.rays import Mount
from janusvln_ros.motion.safety.sensors import SensorParameters
from rclpy.node import Node
from rclpy.time import Time

try:
    import tf2_ros
except ImportError:  # ROS 2 from wheels has no tf2
    tf2_ros = None

_FIXED = ('odom', 'map', 'world')
_CAMERAS = ('depth', 'camera')  # whose frames are optical


class Mounts:
    """Knows them; ValueError when they are to come from tf, and there is no tf2_ros."""

    def __init__(self, node: Node, parameters: SensorParameters) -> None:
        self._node, self._parameters = node, parameters
        if parameters.sensor_mounts == 'tf' and tf2_ros is None:
            raise ValueError('sensor_mounts is tf, and tf2_ros is not installed')
        self._uses_tf = parameters.sensor_mounts != 'parameters' and tf2_ros is not None

    def of(self, name: str, frame: str) -> Mount:
        """Return where a sensor sits, its messages' frame; ValueError when that is not known."""
        parameters = self._parameters
        if frame in _FIXED:
            raise ValueError(f'its frame "{frame}" does not move with the robot')
        if not self._uses_tf:
            mount = parameters.mounts.of(name)
            return mount.optical if name in _CAMERAS else mount
        try:
            found = self._tf.lookup_transform(parameters.base_frame, frame, Time()).transform
        except tf2_ros.TransformException as error:
            raise ValueError(
                f'tf has no way from {parameters.base_frame} to its frame "{frame}" ({error}):'
                ' publish it, or set sensor_mounts to parameters'
            ) from None
        place, turn = found.translation, found.rotation
        return Mount.of_transform(
            (place.x, place.y, place.z + parameters.base_height), (turn.x, turn.y, turn.z, turn.w)
        )

    @cached_property
    def _tf(self) -> Any:
        """Listen to tf, from the first time on that somebody asks."""
        buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(buffer, self._node)
        return buffer
