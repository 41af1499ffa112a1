"""The navigator's depth as the messages that it is, to the guard of what is guessed."""

from __future__ import annotations

from janusvln_ros.motion.safety.guess import Guess
from janusvln_ros.motion.safety.sensors import Use
from janusvln_ros.motion.safety.standing import Picture
from janusvln_ros.nodes.common.conversions import seconds
from janusvln_ros.nodes.common.qos import SENSOR
from janusvln_ros.nodes.mounts import Mounts
from janusvln_ros.nodes.obstacle_sensors import depth_metres, lens_of
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image


class GuessedDepth:
    """
    Subscribes to depth/image and depth/camera_info where guessed_depth asks for it.

    Only then: who subscribes has the navigator's network compute. Of a picture both have to come.
    """

    def __init__(self, node: Node, use: Use, mounts: Mounts, guess: Guess) -> None:
        self._node, self._mounts, self._guess = node, mounts, guess
        self._image: Image | None = None
        self._info: CameraInfo | None = None
        if use is not Use.NONE:
            node.create_subscription(Image, 'depth/image', self._on_image, SENSOR)
            node.create_subscription(CameraInfo, 'depth/camera_info', self._on_info, SENSOR)

    def _on_image(self, image: Image) -> None:
        self._image = image
        self._match()

    def _on_info(self, info: CameraInfo) -> None:
        self._info = info
        self._match()

    def _match(self) -> None:
        """Report a picture once its camera_info is there."""
        image, info = self._image, self._info
        if image is None or info is None or image.header.stamp != info.header.stamp:
            return
        self._image = None
        header = image.header

        def picture() -> Picture:
            depth = depth_metres(image)
            return Picture(
                depth, lens_of(info, *depth.shape), self._mounts.of('camera', header.frame_id)
            )

        now = self._node.get_clock().now().nanoseconds * 1e-9
        stamp = seconds(header.stamp)
        problem = self._guess.on_picture(header.frame_id, stamp, now, picture)
        if problem:
            self._node.get_logger().warning(f'depth/image: {problem}', throttle_duration_sec=5.0)
