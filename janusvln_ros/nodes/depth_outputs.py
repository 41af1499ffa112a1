"""Depth and points of the pictures that were decided from, while somebody subscribes."""

from __future__ import annotations

import array
from collections import deque
from collections.abc import Callable
from dataclasses import astuple
import math
from typing import Any

from janusvln_ros.imaging.depth import DepthPicture
from janusvln_ros.imaging.depth_fields import (
    camera_fields,
    cloud_fields,
    image_fields,
    POINT_FIELDS,
)
from janusvln_ros.navigation.mission import Mission
from janusvln_ros.navigation.session import Order
from janusvln_ros.nodes.camera_tilt import CameraTilt
from janusvln_ros.nodes.common.conversions import nanoseconds
from janusvln_ros.nodes.common.qos import SENSOR
from janusvln_ros.policy.metric_depth import DepthParameters, Measured, MetricDepth
from janusvln_ros.policy.pinhole import as_camera_sees, as_encoder_sees, Pinhole
from nav_msgs.msg import Odometry
import numpy as np
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import Header

_TOPICS = {
    'depth/relative': Image,
    'depth/confidence': Image,
    'depth/image': Image,
    'depth/camera_info': CameraInfo,
    'depth/points': PointCloud2,  # not points, where motion_executor awaits a range sensor
}
_APART = 0.1  # s between a picture and the odometry that goes with it, at most


class DepthOutputs:
    """
    Publishes what the dense heads say, after REP 118.

    In metres only once the scale is known; depth/relative and depth/confidence at any time.
    """

    def __init__(
        self, node: Node, parameters: Callable[[], DepthParameters], level_frame: Callable[[], str]
    ) -> None:
        """level_frame: the frame of tf whose z axis is up."""
        self._node, self._parameters, self._level_frame = node, parameters, level_frame
        self._tilt = CameraTilt(node)
        self._gravity: np.ndarray | None = None  # in the last picture's frame, by tf
        self._publishers: dict[str, Any] = {}
        self._inputs: list[Any] = []
        self._info: CameraInfo | None = None
        self._driven: deque[tuple[int, np.ndarray]] = deque(maxlen=256)
        self._metric = MetricDepth()
        self._mission: Mission | None = None
        self._frames = 0
        self._trouble = ''

    def open(self, points: bool) -> None:  # noqa: A003
        """Offer the topics; points: whether the point head is there, so that odometry helps."""
        self._publishers = {
            name: self._node.create_publisher(kind, name, SENSOR) for name, kind in _TOPICS.items()
        }
        self._inputs = [
            self._node.create_subscription(
                CameraInfo, 'camera_info', self._on_info, qos_profile_sensor_data
            )
        ]
        self._tilt.open()
        if points:
            self._inputs.append(
                self._node.create_subscription(
                    Odometry, 'odom', self._on_odometry, qos_profile_sensor_data
                )
            )

    def close(self) -> None:
        """Take the topics back."""
        publishers, self._publishers = self._publishers, {}
        for publisher in publishers.values():
            self._node.destroy_publisher(publisher)
        for subscription in self._inputs:
            self._node.destroy_subscription(subscription)
        self._inputs, self._info, self._mission = [], None, None
        self._tilt.close()

    @property
    def offered(self) -> bool:
        """Whether there is something to listen to."""
        return bool(self._publishers)

    def wanted(self) -> bool:
        """Whether anybody listens."""
        return any(self._listened(name) for name in _TOPICS)

    def values(self) -> dict[str, Any]:
        """Tell of the scale, for diagnostics."""
        if not self.offered:
            return {}
        scale, floor = self._metric.scale, self._metric.floor
        return {
            'depth': self._trouble or ('metres' if scale.known else 'relative'),
            'depth scale from': scale.source,
            'depth scale (m per unit)': scale.value,
            'depth scale spread (m per unit)': scale.spread,
            'depth scale, odometry against height': self._metric.disagreement,
            'camera tilt from': 'camera_tilt' if self._gravity is None else 'tf',
            'floor inliers': floor.inliers if floor else math.nan,
            'floor tilt (rad)': floor.tilt if floor else math.nan,
        }

    def publish(self, order: Order, rgb: np.ndarray) -> DepthPicture | None:
        """
        Publish the geometry of a decision, if it was asked for; rgb: its picture.

        Returns what there is to look at, with pixels as those of rgb.
        """
        geometry, frame = order.geometry, order.frame
        if order.mission is not self._mission or order.memory.frames < self._frames:
            self._metric = MetricDepth(self._parameters())
        self._mission, self._frames = order.mission, order.memory.frames
        if geometry is None or frame is None:
            return None
        header = frame.message.header
        self._send('depth/relative', lambda: to_float_image(geometry.depth, header))
        self._send('depth/confidence', lambda: to_float_image(geometry.depth_confidence, header))
        measured = None
        try:
            camera, self._trouble = self._camera(rgb), ''
        except ValueError as error:
            self._trouble = f'relative: {error}'
            self._node.get_logger().warning(f'depth is {self._trouble}', throttle_duration_sec=30)
            note = str(error)
        else:
            self._gravity = self._tilt.gravity(self._level_frame(), header)
            measured = self._metric.measure(
                geometry, camera, self._place(frame.stamp), self._gravity
            )
            note = self._metric.said
        if measured is not None:
            self._publish_metres(measured, rgb, header)
        shown = geometry.depth if measured is None else measured.depth
        return DepthPicture(
            as_camera_sees(shown, rgb.shape[1], rgb.shape[0]), measured is not None, note
        )

    def _publish_metres(self, measured: Measured, rgb: np.ndarray, header: Header) -> None:
        self._send('depth/image', lambda: to_float_image(measured.depth, header))
        self._send('depth/camera_info', lambda: to_camera_info(measured.camera, header))
        stride = self._parameters().points_stride
        self._send(
            'depth/points',
            lambda: to_cloud(
                measured.points[::stride, ::stride],
                as_encoder_sees(rgb, measured.camera.width)[::stride, ::stride],
                header,
            ),
        )

    def _listened(self, name: str) -> bool:
        publisher = self._publishers.get(name)
        return publisher is not None and publisher.get_subscription_count() > 0

    def _send(self, name: str, make: Callable[[], Any]) -> None:
        if self._listened(name):
            self._publishers[name].publish(make())

    def _camera(self, rgb: np.ndarray) -> Pinhole:
        """Return the camera that camera_info describes; ValueError where that will not do."""
        info = self._info
        if info is None:
            raise ValueError('no camera_info has come')
        return Pinhole.calibrated((info.width, info.height), info.k, info.d, rgb.shape[1::-1])

    def _place(self, stamp: int) -> np.ndarray | None:
        """Return where the robot was when a picture was taken, by odometry: (3,) metres."""
        near = min(self._driven.copy(), key=lambda entry: abs(entry[0] - stamp), default=None)
        return near[1] if near and abs(near[0] - stamp) < _APART * 1e9 else None

    def _on_info(self, info: CameraInfo) -> None:
        self._info = info

    def _on_odometry(self, message: Odometry) -> None:
        at = message.pose.pose.position
        self._driven.append((nanoseconds(message.header.stamp), np.array([at.x, at.y, at.z])))


def to_float_image(values: np.ndarray, header: Header) -> Image:
    """Return the message of float32 (H, W)."""
    fields = image_fields(values)
    return Image(header=header, **fields | {'data': array.array('B', fields['data'])})


def to_camera_info(camera: Pinhole, header: Header) -> CameraInfo:
    """Return the message of a camera without distortion."""
    return CameraInfo(header=header, **camera_fields(*astuple(camera)))


def to_cloud(points: np.ndarray, rgb: np.ndarray, header: Header) -> PointCloud2:
    """Return the organised message of points (H, W, 3) with colours uint8 (H, W, 3)."""
    content = cloud_fields(points, rgb)
    fields = [
        PointField(name=name, offset=offset, datatype=PointField.FLOAT32, count=1)
        for name, offset in POINT_FIELDS
    ]
    content['data'] = array.array('B', content['data'])
    return PointCloud2(header=header, fields=fields, **content)
