"""The navigator's depth over DDS: what it does to a robot that wants to drive."""

import math
import time

from janusvln_ros.msg import MotionStatus
from obstacle_messages import depth_image
from pictures import depth_of, LENS
import pytest
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from waiting import wait_for

pytestmark = pytest.mark.ros
LOST, BLOCKED = MotionStatus.RESULT_INPUT_LOST, MotionStatus.RESULT_BLOCKED
SUCCEEDED = MotionStatus.RESULT_SUCCEEDED
LATE = 0.3  # s that the depth of a decision comes after its action, here


class Guesses:
    """Publishes depth of things ahead on demand, as the navigator does after a decision."""

    def __init__(self, bench):
        self.node = bench.node
        self.images, self.infos = (
            self.node.create_publisher(kind, name, qos_profile_sensor_data)
            for kind, name in ((Image, 'depth/image'), (CameraInfo, 'depth/camera_info'))
        )
        for publisher in (self.images, self.infos):
            wait_for(publisher.get_subscription_count, 'the executor to listen')

    def show(self, *things, width=112):
        image = depth_image(depth_of(*things), '32FC1')
        k = [LENS.focal_x, 0.0, LENS.centre_x, 0.0, LENS.focal_y, LENS.centre_y, 0.0, 0.0, 1.0]
        info = CameraInfo(width=width, height=84, k=k)
        image.header.stamp = info.header.stamp = self.node.get_clock().now().to_msg()
        image.header.frame_id = info.header.frame_id = 'camera_optical_frame'
        self.images.publish(image)
        self.infos.publish(info)


def start(robot, use, *parameters):
    names = (f'guessed_depth:={use}', 'sensor_mounts:=parameters', *parameters)
    return robot(*(word for one in names for word in ('-p', one)))


def test_a_stop_by_the_guess_alone(robot):
    bench = start(robot, 'stop', 'guess_timeout:=3.0')
    guesses = Guesses(bench)
    x = bench.pose[0]
    status = bench.do(1)
    assert status.result == LOST and 'geometry_heads' in status.message
    assert bench.pose[0] - x < 0.01
    assert bench.do(2).result == SUCCEEDED and bench.do(3).result == SUCCEEDED  # turns are free

    step = bench.act(1).step  # as the navigator does: the action, then the depth
    time.sleep(LATE)
    assert bench.pose[0] - x < 0.01
    guesses.show((5.0, 2.0))
    wait_for(lambda: bench.ended(step), 'the end of the step')
    assert bench.status.result == SUCCEEDED, bench.status.message

    guesses.show((0.5, 2.0))
    x, y, _ = bench.pose
    status = bench.do(1)
    assert status.result == BLOCKED
    assert "network's guess" in status.message and "no sensor's" in status.message
    assert math.dist(bench.pose[:2], (x, y)) < 0.02
    bench.assert_stands()

    time.sleep(3.1)
    status = bench.do(1)
    assert status.result == LOST and 's old' in status.message
    guesses.show(width=64)
    status = bench.do(1)
    assert status.result == LOST and 'camera_info is for 64 x 84' in status.message


def test_a_hint_that_never_comes_holds_nobody(robot):
    bench = start(robot, 'slow')
    guesses = Guesses(bench)
    assert bench.do(1).result == SUCCEEDED
    guesses.show((0.5, 2.0))
    began = time.monotonic()
    assert bench.do(1).result == SUCCEEDED
    assert time.monotonic() - began > 2.3  # 0.25 m at 0.1 m/s
    told = {
        value.key: value.value
        for value in wait_for(lambda: bench.heard.get('/diagnostics'), 'diagnostics')
        .status[0]
        .values
    }
    assert 'guess of the way' in told


def test_who_does_not_ask_has_the_network_compute_nothing(robot):
    bench = robot()
    topics = {name for name, _ in bench.node.get_topic_names_and_types()}
    assert '/odom' in topics and not topics & {'/depth/image', '/depth/camera_info'}
