"""Depth images and scans as messages: what is read from them, and what is refused."""

import array
import math
import time

from janusvln_ros.motion.safety.obstacles import SensorParameters
from janusvln_ros.nodes.obstacle_sensors import depth_metres, ObstacleSensors
import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, LaserScan
from waiting import wait_for


def depth_image(metres, encoding='16UC1', padding=0, big=False):
    """Return a message that holds metres (H, W)."""
    kind, scale = ('f4', 1.0) if encoding == '32FC1' else ('u2', 1000.0)
    values = np.asarray(metres * scale).astype(('>' if big else '<') + kind)
    rows = values.view(np.uint8).reshape(values.shape[0], -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=7)
    return Image(
        height=values.shape[0],
        width=values.shape[1],
        encoding=encoding,
        is_bigendian=int(big),
        step=rows.shape[1],
        data=array.array('B', rows.tobytes()),
    )


@pytest.mark.parametrize('big', [False, True])
@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize('encoding', ['16UC1', '32FC1', 'mono16'])
def test_depth_in_metres(encoding, padding, big):
    metres = np.array([[0.0, 0.5, 1.25], [2.0, 3.001, 9.999]])
    read = depth_metres(depth_image(metres, encoding, padding, big))
    np.testing.assert_allclose(read, metres, atol=1e-3)


def broken(**fields):
    message = depth_image(np.ones((4, 4)))
    for name, value in fields.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(
    ('message', 'word'),
    [
        (broken(encoding='rgb8'), 'encoding "rgb8"'),
        (broken(data=array.array('B', b'12')), 'bytes'),
        (broken(step=3), 'bytes'),
        (broken(width=0), 'bytes'),
        (broken(height=0), 'bytes'),
        (broken(width=10**9), 'bytes'),
    ],
)
def test_what_is_no_depth_image_is_refused(message, word):
    with pytest.raises(ValueError, match=word):
        depth_metres(message)


def test_sensors_report_what_they_see_and_nothing_when_blind(ros_domain):
    context = rclpy.Context()
    rclpy.init(args=[], context=context, domain_id=ros_domain)
    node = rclpy.create_node('sensors', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    reports, wanted = [], []
    ObstacleSensors(
        node,
        SensorParameters(obstacle_sensor='both', depth_z=0.4, depth_hfov=1.38),
        lambda: bool(wanted),
        lambda *report: reports.append(report),
    )
    scans = node.create_publisher(LaserScan, 'scan', qos_profile_sensor_data)
    depths = node.create_publisher(Image, 'depth', qos_profile_sensor_data)
    scan = LaserScan(
        angle_min=-0.1,
        angle_increment=0.1,
        range_min=0.1,
        range_max=10.0,
        ranges=[math.inf, 1.0, math.inf],
    )
    blind_scan = LaserScan(
        angle_min=-0.1, angle_increment=0.1, range_min=0.1, range_max=10.0, ranges=[math.nan] * 3
    )
    blind_depth = depth_image(np.zeros((60, 80)))

    def send(*messages):
        reports.clear()
        end = time.monotonic() + 20.0
        for message in messages:
            (scans if isinstance(message, LaserScan) else depths).publish(message)
        while time.monotonic() < end and len(reports) < 2:
            executor.spin_once(timeout_sec=0.1)
            if not wanted or messages[0] is blind_scan:
                end = min(end, time.monotonic() + 0.3)
        return dict(reports)

    try:
        wait_for(
            lambda: scans.get_subscription_count() and depths.get_subscription_count(), 'sensors'
        )
        assert send(scan) == {}  # nobody wants to know
        wanted.append(True)
        seen = send(scan, depth_image(np.full((60, 80), 2.0)))
        assert seen['scan'] == pytest.approx(0.8) and seen['depth'] == pytest.approx(1.8)
        assert send(blind_scan, blind_depth) == {}
    finally:
        context.shutdown()
