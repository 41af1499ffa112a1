"""Depth and points of the pictures that were decided from, while somebody subscribes."""

from __future__ import annotations

import array
from collections import deque
from collections.abc import Callable
import math
from typing import Any

from janusvln_ros.navigation.mission import Mission
from janusvln_ros.navigation.session import Order
from janusvln_ros.nodes.common.conversions import nanoseconds
from janusvln_ros.nodes.common.qos import SENSOR
from janusvln_ros.policy.metric_depth import DepthParameters, MetricDepth
from janusvln_ros.policy.pinhole import as_encoder_sees, Pinhole
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
_POINT = np.dtype([('x', '<f4'), ('y', '<f4'), ('z', '<f4'), ('rgb', '<u4')])
_APART = 0.1  # s between a picture and the odometry that goes with it, at most


class DepthOutputs:
    """
    Publishes what the dense heads say, after REP 118.

    In metres only once the scale is known; depth/relative and depth/confidence at any time.
    """

    def __init__(self, node: Node, parameters: Callable[[], DepthParameters]) -> None:
        self._node, self._parameters = node, parameters
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

    def wanted(self) -> bool:
        """Whether anybody listens."""
        return any(self._listened(name) for name in _TOPICS)

    def values(self) -> dict[str, Any]:
        """Tell of the scale, for diagnostics."""
        if not self._publishers:
            return {}
        scale, floor = self._metric.scale, self._metric.floor
        return {
            'depth': self._trouble or ('metres' if scale.known else 'relative'),
            'depth scale from': scale.source,
            'depth scale (m per unit)': scale.value,
            'depth scale spread (m per unit)': scale.spread,
            'depth scale, odometry against height': self._metric.disagreement,
            'floor inliers': floor.inliers if floor else math.nan,
            'floor tilt (rad)': floor.tilt if floor else math.nan,
        }

    def publish(self, order: Order, rgb: np.ndarray) -> None:
        """Publish the geometry of a decision, if it was asked for; rgb: its picture."""
        geometry, frame = order.geometry, order.frame
        if order.mission is not self._mission or order.memory.frames < self._frames:
            self._metric = MetricDepth(self._parameters())
        self._mission, self._frames = order.mission, order.memory.frames
        if geometry is None or frame is None:
            return
        header = frame.message.header
        self._send('depth/relative', lambda: to_float_image(geometry.depth, header))
        self._send('depth/confidence', lambda: to_float_image(geometry.depth_confidence, header))
        try:
            camera, self._trouble = self._camera(rgb), ''
        except ValueError as error:
            self._trouble = f'relative: {error}'
            self._node.get_logger().warning(f'depth is {self._trouble}', throttle_duration_sec=30)
            return
        measured = self._metric.measure(geometry, camera, self._place(frame.stamp))
        if measured is None:
            return
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
        if (info.height, info.width) != rgb.shape[:2]:
            raise ValueError(
                f'camera_info is for {info.width} x {info.height} pixels, the picture has '
                f'{rgb.shape[1]} x {rgb.shape[0]}'
            )
        if any(info.d):
            raise ValueError(
                'camera_info tells of distortion: give the navigator rectified pictures, with '
                'their camera_info'
            )
        return Pinhole(info.width, info.height, info.k[0], info.k[4], info.k[2], info.k[5])

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
    height, width = values.shape
    data = np.ascontiguousarray(values, '<f4').tobytes()
    return Image(
        header=header,
        height=height,
        width=width,
        encoding='32FC1',
        step=4 * width,
        data=array.array('B', data),
    )


def to_camera_info(camera: Pinhole, header: Header) -> CameraInfo:
    """Return the message of a camera without distortion."""
    info = CameraInfo(
        header=header,
        width=camera.width,
        height=camera.height,
        distortion_model='plumb_bob',
        d=[0.0] * 5,
    )
    fx, fy, cx, cy = map(float, (camera.fx, camera.fy, camera.cx, camera.cy))
    info.k = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    info.p = [fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return info


def to_cloud(points: np.ndarray, rgb: np.ndarray, header: Header) -> PointCloud2:
    """Return the organised message of points (H, W, 3) with colours uint8 (H, W, 3)."""
    height, width = points.shape[:2]
    cloud = np.empty((height, width), _POINT)
    cloud['x'], cloud['y'], cloud['z'] = np.moveaxis(points, -1, 0)
    red, green, blue = np.moveaxis(rgb.astype(np.uint32), -1, 0)
    cloud['rgb'] = red << 16 | green << 8 | blue  # as PCL has it: the bits of a float
    fields = [
        PointField(name=name, offset=4 * number, datatype=PointField.FLOAT32, count=1)
        for number, name in enumerate(_POINT.names or ())
    ]
    return PointCloud2(
        header=header,
        height=height,
        width=width,
        fields=fields,
        is_bigendian=False,
        point_step=_POINT.itemsize,
        row_step=_POINT.itemsize * width,
        data=array.array('B', cloud.tobytes()),
        is_dense=False,
    )
