"""The navigator as a process: what becomes of pictures that come in, and those that it draws."""

import array
from pathlib import Path
import time

from janusvln_ros.msg import NavigationAction, NavigatorStatus
import numpy as np
import pytest
from rclpy.qos import qos_profile_sensor_data, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from waiting import wait_for

pytestmark = pytest.mark.ros


def test_compressed_images(peers, ready):
    import cv2

    peers.camera_on = False
    peers.images = peers.create_publisher(
        CompressedImage, 'image/compressed', qos_profile_sensor_data
    )
    grey = np.zeros((48, 64, 3), np.uint8)

    def publish():
        grey[...] += 8
        image = CompressedImage(format='jpeg', data=cv2.imencode('.jpg', grey)[1].tobytes())
        image.header.stamp = peers.get_clock().now().to_msg()
        peers.images.publish(image)

    peers.create_timer(1 / 30, publish)
    ready('image_transport:=compressed')
    peers.say('F S')
    peers.wait_end(NavigatorStatus.REASON_SUCCEEDED)


def test_camera_that_repeats_its_picture_with_new_stamps_stops_a_robot_that_moves(peers, ready):
    ready()
    peers.say('F')
    peers.wait_steps(2)
    peers.repeats = True
    assert 'same picture' in peers.wait_end(NavigatorStatus.REASON_INPUT_LOST).message
    assert peers.actions[-1].action == NavigationAction.STOP


def test_debug_image_is_drawn_while_someone_looks(peers, ready):
    ready()
    peers.create_subscription(Image, 'debug_image', peers.debug.append, qos_profile_sensor_data)
    peers.say('F')
    wait_for(lambda: peers.debug, 'debug image')
    image = peers.debug[-1]
    assert image.encoding == 'rgb8' and image.width == 640 and image.height > 480
    assert len(image.data) == image.step * image.height


@pytest.mark.parametrize('reliability', ['best_effort', 'reliable'])
def test_raw_vga_at_30_hz_arrives(peers, ready, reliability):
    peers.camera_on = False
    ready(f'image_reliability:={reliability}')
    policy = {
        'best_effort': ReliabilityPolicy.BEST_EFFORT,
        'reliable': ReliabilityPolicy.RELIABLE,
    }[reliability]
    camera = peers.create_publisher(Image, 'image', QoSProfile(depth=5, reliability=policy))
    wait_for(camera.get_subscription_count, 'subscription')
    image = Image(
        height=480,
        width=640,
        step=1920,
        encoding='rgb8',
        data=array.array('B', bytes(640 * 480 * 3)),
    )
    before = int(peers.value('frames'))
    due = time.monotonic()
    for _ in range(120):
        image.header.stamp = peers.get_clock().now().to_msg()
        camera.publish(image)
        due += 1 / 30
        time.sleep(max(0.0, due - time.monotonic()))
    # Without the profile 19 to 89 of 120 arrive by best effort; a busy machine may skip a few.
    wait_for(lambda: int(peers.value('frames')) - before >= 100, '100 frames', 5.0)


def malformed(generator):
    """Make one image with something wrong in it."""
    kind = generator.integers(0, 8)
    height, width = (int(side) for side in generator.integers(1, 64, 2))
    image = Image(height=height, width=width, step=3 * width, encoding='rgb8')
    size = height * width * 3
    if kind == 0:
        size = 0
    elif kind == 1:
        size = int(generator.integers(0, 4096))
    elif kind == 2:
        image.step = int(generator.integers(0, 3 * width))
    elif kind == 3:
        image.encoding = str(generator.choice(['', '32FC1', '8UC3', 'RGB8', 'nv12', '\u00fc']))
    elif kind == 4:
        image.encoding, image.step = '32FC3', 12 * width
        data = np.full(height * width * 3, np.nan, np.float32).tobytes()
        image.data = array.array('B', data)
    elif kind == 5:
        image.height, image.width = 4320, 7680
    elif kind == 6:
        image.height = image.width = 2**32 - 1
    elif kind == 7:
        image.encoding, image.width = 'yuv422', 2 * width + 1
    if kind != 4:
        image.data = array.array('B', generator.bytes(size))
    return image


def resident_megabytes(process):
    pages = int(Path(f'/proc/{process.pid}/statm').read_text().split()[1])
    return pages * 4096 / 2**20


def test_ten_thousand_malformed_images(peers, ready):
    process = ready('frame_timeout:=60.0', 'status_timeout:=60.0')
    peers.say('F')
    peers.wait_steps(2)
    peers.camera_on = False
    generator = np.random.default_rng(0)
    memory = resident_megabytes(process)
    reliable = peers.create_publisher(Image, 'image', QoSProfile(depth=100))
    for number in range(10000):
        image = malformed(generator)
        image.header.stamp = peers.get_clock().now().to_msg()
        reliable.publish(image)
        if number % 50 == 0:
            time.sleep(0.01)
    huge = Image(
        height=4320,
        width=7680,
        step=3 * 7680,
        encoding='bgr8',
        data=array.array('B', bytes(4320 * 7680 * 3)),
    )
    huge.header.stamp = peers.get_clock().now().to_msg()
    reliable.publish(huge)  # well-formed, but of another size than the episode's frames
    del huge
    count = len(peers.actions)
    peers.camera_on = True
    peers.wait_steps(count + 3)
    assert int(peers.value('refused frames')) > 100
    assert process.poll() is None and resident_megabytes(process) < memory + 300
    assert len({action.instruction_id for action in peers.actions}) == 1
