"""Scans and depth images to the free way ahead of the robot."""

from __future__ import annotations

from collections.abc import Callable

from janusvln_ros.motion.safety.obstacles import depth_clearance, scan_clearance, SensorParameters
import numpy as np
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, LaserScan

_DEPTH = {'16UC1': ('u2', 0.001), 'mono16': ('u2', 0.001), '32FC1': ('f4', 1.0)}


class ObstacleSensors:
    """
    Subscribes to the sensors that obstacle_sensor names and reports what they say.

    report(sensor, metres) is called for every message that says something; a blind or broken
    one counts as silence.
    """

    def __init__(
        self,
        node: Node,
        parameters: SensorParameters,
        wanted: Callable[[], bool],
        report: Callable[[str, float], None],
    ) -> None:
        self._node, self._wanted, self._report = node, wanted, report
        self._parameters, self._footprint = parameters, parameters.footprint
        if 'scan' in parameters.sensors:
            node.create_subscription(LaserScan, 'scan', self._on_scan, qos_profile_sensor_data)
        if 'depth' in parameters.sensors:
            node.create_subscription(Image, 'depth', self._on_depth, qos_profile_sensor_data)

    def _on_scan(self, scan: LaserScan) -> None:
        self._try(
            'scan',
            lambda: scan_clearance(
                np.asarray(scan.ranges),
                scan.angle_min,
                scan.angle_increment,
                scan.range_min,
                scan.range_max,
                self._parameters.scan_mount,
                self._footprint,
            ),
        )

    def _on_depth(self, image: Image) -> None:
        self._try(
            'depth',
            lambda: depth_clearance(
                depth_metres(image),
                self._parameters.depth_hfov,
                self._parameters.depth_mount,
                self._footprint,
            ),
        )

    def _try(self, sensor: str, measure: Callable[[], float]) -> None:
        if not self._wanted():
            return
        try:
            self._report(sensor, measure())
        except ValueError as error:
            self._node.get_logger().warning(f'{sensor}: {error}', throttle_duration_sec=5.0)


def depth_metres(image: Image) -> np.ndarray:
    """Return (H, W) float m of a depth image (REP-118); ValueError for one that is none."""
    if image.encoding not in _DEPTH:
        raise ValueError(f'encoding "{image.encoding}" is not one of {", ".join(_DEPTH)}')
    code, scale = _DEPTH[image.encoding]
    kind = np.dtype(('>' if image.is_bigendian else '<') + code)
    if (
        image.step < image.width * kind.itemsize
        or not image.width
        or not image.height
        or len(image.data) < image.step * image.height
    ):
        raise ValueError(
            f'{len(image.data)} bytes do not hold {image.height} rows of'
            f' {image.step} bytes for {image.width} pixels'
        )
    rows = np.frombuffer(image.data, np.uint8)[: image.step * image.height]
    rows = rows.reshape(image.height, image.step)[:, : image.width * kind.itemsize]
    return np.ascontiguousarray(rows).view(kind) * scale
