"""Depth and points beside decisions: for those who listen, in metres where they are known."""

import math

import cv2
from depth_room import HEIGHT, room, UNIT
from janusvln_ros.imaging.depth import scale_colours, stripes
from janusvln_ros.nodes.depth_outputs import to_cloud
import numpy as np
import pytest
from rclpy.qos import qos_profile_sensor_data
from ros import Peers, spinning
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from waiting import stays, wait_for

pytestmark = pytest.mark.ros
FOCAL = 32 / math.tan(math.radians(79) / 2)  # of the 64 x 48 pixels of the peers' camera


class Listener(Peers):
    """Hears what it asks for, and tells of its lens."""

    def __init__(self, context):
        super().__init__(context)
        self.heard = {}
        self.lens = self.create_publisher(CameraInfo, 'camera_info', qos_profile_sensor_data)

    def listen(self, kind, name):
        heard = self.heard[name] = []
        self.create_subscription(kind, name, heard.append, qos_profile_sensor_data)

    def show_lens(self, width=64, distortion=0.0):
        info = CameraInfo(width=width, height=48, d=[distortion, 0.0, 0.0, 0.0, 0.0])
        info.k = [FOCAL, 0.0, 31.5, 0.0, FOCAL, 23.5, 0.0, 0.0, 1.0]
        wait_for(self.lens.get_subscription_count, 'a subscription to camera_info')
        self.lens.publish(info)


@pytest.fixture
def listener(ros_domain):
    with spinning(Listener, ros_domain) as node:
        yield node


@pytest.fixture
def walking(listener, start_navigator):
    """Give the listener, beside a navigator that has begun to walk."""

    def start(*parameters, heads='depth'):
        start_navigator(f'geometry_heads:={heads}', *parameters)
        wait_for(listener.instruction.get_subscription_count, 'subscription')
        listener.say('F L R')
        listener.wait_steps(1)
        return listener

    return start


def read(image):
    assert (image.encoding, image.is_bigendian, image.step) == ('32FC1', 0, 4 * image.width)
    return np.frombuffer(image.data, '<f4').reshape(image.height, image.width)


def newest(listener, name):
    listener.heard[name].clear()
    return wait_for(lambda: listener.heard[name] and listener.heard[name][-1], name)


def test_metres_from_the_mounted_height(walking):
    listener = walking(f'camera_height:={HEIGHT}', 'points_stride:=2')
    for kind, name in (
        (Image, 'depth/image'),
        (CameraInfo, 'depth/camera_info'),
        (PointCloud2, 'depth/points'),
    ):
        listener.listen(kind, name)
    listener.show_lens()
    image = newest(listener, 'depth/image')
    assert image.header.frame_id == 'camera_optical_frame'
    assert abs(listener.get_clock().now().nanoseconds * 1e-9 - image.header.stamp.sec) < 30
    depth, truth = read(image), room()
    known = np.isfinite(depth)
    assert 0.85 < known.mean() < 0.95  # a tenth is left out
    assert np.abs(depth[known] / truth[known] - 1).max() < 0.03

    info = newest(listener, 'depth/camera_info')
    assert (info.width, info.height) == (112, 84) == depth.shape[::-1]
    assert info.k[0] == pytest.approx(FOCAL * 112 / 64) and info.k[2] == pytest.approx(55.5)

    cloud = newest(listener, 'depth/points')
    assert (cloud.width, cloud.height, cloud.is_dense) == (56, 42, False)
    offsets = {field.name: field.offset for field in cloud.fields}
    rows = np.frombuffer(cloud.data, np.uint8).reshape(42, cloud.row_step)
    places = rows.reshape(42, 56, cloud.point_step)
    x, y, z = (
        places[..., offsets[axis] : offsets[axis] + 4].copy().view('<f4')[..., 0] for axis in 'xyz'
    )
    some = np.isfinite(z)
    assert np.array_equal(some, known[::2, ::2]) and np.isnan(x[~some]).all()
    assert np.allclose(z[some], truth[::2, ::2][some], rtol=0.03)
    u = np.broadcast_to(np.arange(0, 112, 2), z.shape)
    assert np.allclose(x[some], ((u - info.k[2]) / info.k[0] * z)[some], atol=1e-4)
    lowest = some & (truth[::2, ::2] < 4.0)
    assert np.allclose(y[lowest], HEIGHT, rtol=0.03)  # the floor
    assert {'rgb'} < set(offsets)

    wait_for(lambda: listener.value('depth scale from') == 'height', 'diagnostics since then')
    assert float(listener.value('depth scale (m per unit)')) == pytest.approx(UNIT, rel=0.03)
    assert 0 < float(listener.value('depth scale spread (m per unit)')) < UNIT
    assert listener.value('depth') == 'metres'


def test_another_library_reads_the_points():
    pypcd4 = pytest.importorskip('pypcd4')
    rng = np.random.default_rng(0)
    points = rng.normal(size=(5, 7, 3)).astype(np.float32)
    points[2, 3] = np.nan
    rgb = rng.integers(0, 256, (5, 7, 3), np.uint8)
    found = pypcd4.PointCloud.from_msg(to_cloud(points, rgb, Header()))
    assert np.array_equal(found.numpy(('x', 'y', 'z')), points.reshape(-1, 3), equal_nan=True)
    assert np.array_equal(pypcd4.PointCloud.decode_rgb(found.pc_data['rgb']), rgb.reshape(-1, 3))


def test_without_a_lens_depth_is_relative_and_says_so(walking):
    listener = walking(f'camera_height:={HEIGHT}')
    for name in ('depth/image', 'depth/relative', 'depth/confidence'):
        listener.listen(Image, name)
    assert np.allclose(read(newest(listener, 'depth/relative')), room() / UNIT)
    assert read(newest(listener, 'depth/confidence')).min() >= 1
    wait_for(lambda: 'no camera_info' in listener.value('depth'), 'trouble')
    listener.show_lens(width=80)
    wait_for(lambda: '80 x 48' in listener.value('depth'), 'trouble')
    listener.show_lens(distortion=0.1)
    wait_for(lambda: 'rectified' in listener.value('depth'), 'trouble')
    assert not listener.heard['depth/image']
    listener.show_lens()
    assert newest(listener, 'depth/image')


def test_the_debug_image_shows_depth_beside_the_frame(walking):
    listener = walking(f'camera_height:={HEIGHT}')
    listener.listen(Image, 'debug_image')  # and to nothing else

    def beside():
        image = newest(listener, 'debug_image')
        rows = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)
        assert rows.shape == (480 + 116, 2 * 640, 3)
        return rows[:480, 640:]

    beside()
    listener.show_lens()
    wait_for(lambda: listener.value('depth') == 'metres', 'metres')
    picture, truth = beside(), cv2.resize(room(), (640, 480))
    scale = scale_colours(501)[np.rint(truth.clip(0, 5) * 100).astype(int)]
    far_off = np.abs(picture.astype(int) - scale).max(axis=-1) > 40
    assert 0.05 < far_off.mean() < 0.25  # a tenth is striped, and colours change at edges
    assert np.array_equal(picture[:40], stripes(640, 480)[:40])  # the least certain


def test_nothing_known_in_metres_gives_no_metric_topic(walking):
    listener = walking()
    listener.listen(Image, 'depth/image')
    listener.listen(Image, 'depth/relative')
    listener.show_lens()
    newest(listener, 'depth/relative')
    stays(lambda: not listener.heard['depth/image'], 'no metric depth', 1.0)
    assert listener.value('depth') == 'relative'


def test_nobody_listens_and_nothing_is_computed(walking):
    listener = walking(f'camera_height:={HEIGHT}')
    listener.show_lens()
    listener.wait_steps(5)
    assert listener.value('depth scale from') == ''  # it would be known from the second frame on


def test_without_heads_there_are_no_topics(listener, start_navigator):
    start_navigator()
    wait_for(listener.instruction.get_subscription_count, 'subscription')
    topics = {name for name, _ in listener.get_topic_names_and_types()}
    assert '/navigation_action' in topics and not topics & {'/depth/image', '/depth/points'}
