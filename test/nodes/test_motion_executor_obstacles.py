"""Obstacle sensors over DDS: what their messages do to a robot that wants to drive."""

import array
import math
import time

from hypothesis import given
from hypothesis import strategies as st
from janusvln_ros.msg import MotionStatus
from janusvln_ros.nodes.obstacle_sensors import cloud_points, depth_metres
import numpy as np
from obstacle_messages import ahead, cloud, depth_image, room, scan
import pytest
import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, LaserScan, PointCloud2, PointField
from waiting import wait_for


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


# ---- clouds ----


@pytest.mark.parametrize('rows', [1, 2])
@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('big', [False, True])
@pytest.mark.parametrize('kind', [PointField.FLOAT32, PointField.FLOAT64])
def test_points_in_metres(kind, big, padding, rows):
    points = np.arange(18.0).reshape(6, 3) / 8.0
    np.testing.assert_array_equal(cloud_points(cloud(points, kind, padding, big, rows)), points)


def broken_cloud(fields=None, **values):
    message = cloud(np.ones((4, 3)))
    for name, value in values.items():
        setattr(message, name, value)
    for index, (name, value) in (fields or {}).items():
        setattr(message.fields[index], name, value)
    return message


@pytest.mark.parametrize(
    ('message', 'word'),
    [
        (broken_cloud(fields={0: ('name', 'intensity')}), 'field x'),
        (broken_cloud(fields={1: ('name', 'x')}), 'field x'),
        (broken_cloud(fields={2: ('datatype', PointField.INT16)}), 'field z'),
        (broken_cloud(fields={1: ('count', 3)}), 'field y'),
        (broken_cloud(fields={1: ('offset', 1000)}), 'bytes'),
        (broken_cloud(point_step=8), 'bytes'),
        (broken_cloud(point_step=0), 'bytes'),
        (broken_cloud(row_step=1), 'bytes'),
        (broken_cloud(row_step=10**6), 'bytes'),
        (broken_cloud(width=10**6), 'bytes'),
        (broken_cloud(height=3), 'bytes'),
        (broken_cloud(data=array.array('B')), 'bytes'),
        (broken_cloud(width=0), 'no points'),
        (broken_cloud(height=0), 'no points'),
    ],
)
def test_what_is_no_cloud_is_refused(message, word):
    with pytest.raises(ValueError, match=word):
        cloud_points(message)


SIZES = st.sampled_from([0, 1, 3, 4, 8, 12, 16, 2**31, 2**32 - 1])


@given(*[SIZES] * 7, st.integers(0, 9), st.binary(max_size=64), st.booleans())
def test_whatever_a_layout_says_it_is_read_or_refused(
    height, width, x, y, z, row, point, kind, data, big
):
    data = array.array('B', data)
    fields = [
        PointField(name=name, offset=offset, datatype=kind, count=1)
        for name, offset in zip('xyz', (x, y, z))
    ]
    sizes = {'height': height, 'width': width, 'is_bigendian': big, 'data': data}
    image = Image(**sizes, step=row, encoding='32FC1')
    points = PointCloud2(**sizes, row_step=row, point_step=point, fields=fields)
    for read, message in ((depth_metres, image), (cloud_points, points)):
        try:
            assert read(message).size
        except ValueError:
            pass


# ---- the robot ----


class Sensors:
    """Publishes messages at 20 Hz, each stamped now, or as much later as `late` says (s)."""

    def __init__(self, bench, **messages):
        self.bench, self.messages, self.late, self.hold = bench, messages, {}, set()
        kinds = {'scan': LaserScan, 'scan2': LaserScan, 'depth': Image, 'points': PointCloud2}
        node = bench.node
        self.publishers = {
            name: node.create_publisher(kinds.get(name, CameraInfo), name, qos_profile_sensor_data)
            for name in messages
        }
        wait_for(
            lambda: all(one.get_subscription_count() for one in self.publishers.values()),
            'the sensors to be heard',
        )
        node.create_timer(0.05, self.publish)

    def publish(self):
        for name, message in self.messages.items():
            if name in self.hold:
                continue
            now = self.bench.node.get_clock().now().nanoseconds
            stamp = rclpy.time.Time(nanoseconds=now + round(self.late.get(name, 0.0) * 1e9))
            message.header.stamp = stamp.to_msg()
            self.publishers[name].publish(message)


TIMEOUT = 0.25  # s


def start(robot, *parameters, **messages):
    parameters = (
        'stop_distance:=0.3',
        f'obstacle_timeout:={TIMEOUT}',
        'sensor_mounts:=parameters',
        *parameters,
    )
    bench = robot(*(word for one in parameters for word in ('-p', one)))
    sensors = Sensors(bench, **messages)
    settle()
    return bench, sensors


def settle():
    """Wait until what the sensors said before is too old."""
    time.sleep(TIMEOUT + 0.15)


def assert_drives(bench):
    status = bench.do(1)
    assert status.result == MotionStatus.RESULT_SUCCEEDED, status.message


def assert_refused(bench, result, word):
    """Assert that an action forward leaves the robot where it is, and that it says why."""
    x, y, _ = bench.pose
    status = bench.do(1)
    assert (status.result, word in status.message) == (result, True), status.message
    assert math.hypot(bench.pose[0] - x, bench.pose[1] - y) < 0.02
    assert bench.commands[-1][1:] == (0.0, 0.0)


LOST, BLOCKED = MotionStatus.RESULT_INPUT_LOST, MotionStatus.RESULT_BLOCKED


def test_scans_that_a_robot_must_not_drive_on(robot):
    bench, sensors = start(robot, scan=scan())
    good = sensors.messages['scan']
    for message, result, word in [
        (scan(ranges=ahead(-math.inf)), BLOCKED, 'too near'),
        (scan(ranges=ahead(0.4)), BLOCKED, 'an obstacle ahead'),
        (scan(ranges=[0.0] * 360), LOST, 'blind'),
        (scan(ranges=[1.0] + [math.nan] * 359), LOST, 'beams measured'),
        (scan(ranges=[1.0], angle_min=math.pi, angle_max=math.pi), LOST, 'mount'),
        (scan(angle_increment=math.nan), LOST, 'angle_increment'),
        (scan(angle_max=1.0), LOST, 'angle_max'),
    ]:
        sensors.messages['scan'] = message
        settle()
        assert_refused(bench, result, word)
    sensors.messages['scan'] = good
    for late in (-60.0, 5.0):
        sensors.late['scan'] = late
        settle()
        assert_refused(bench, LOST, 'clocks')
    sensors.late.clear()
    good.header.frame_id = 'elsewhere'
    settle()
    assert_refused(bench, LOST, '"elsewhere"')
    good.header.frame_id = 'laser'
    settle()
    assert_drives(bench)
    x = bench.pose[0]
    bench.start_moving()
    sensors.messages['scan'] = scan(ranges=[0.0] * 360)
    wait_for(lambda: bench.status.result == LOST, 'the result')
    assert bench.pose[0] - x < 0.24
    bench.assert_stands()


def test_one_of_two_lasers_dies(robot):
    bench, sensors = start(
        robot, 'obstacle_sensor:=scan,scan2', 'scan2_roll:=3.14159', scan=scan(), scan2=scan()
    )
    assert_drives(bench)
    sensors.hold.add('scan2')
    settle()
    assert_refused(bench, LOST, 'scan2 silent')
    wait_for(
        lambda: 'scan2 silent' in bench.heard['/diagnostics'].status[0].message, 'diagnostics'
    )


def test_depth_images_and_their_camera_info(robot):
    metres = np.full((60, 80), 3.0)
    hollow = metres.copy()
    hollow[22:38, 30:50] = 0.0
    info = CameraInfo(width=80, height=60, k=[50.0, 0.0, 40.0, 0.0, 50.0, 30.0, 0.0, 0.0, 1.0])
    good = depth_image(metres)
    bench, sensors = start(
        robot, 'obstacle_sensor:=depth', 'depth_hfov:=0.0', depth=good, depth_camera_info=info
    )
    assert_drives(bench)
    for image, result, word in [
        (depth_image(hollow), LOST, 'beams measured'),
        (depth_image(hollow, '32FC1'), LOST, 'beams measured'),
        (depth_image(np.full((60, 80), 0.4), '32FC1'), BLOCKED, 'an obstacle ahead'),
        (depth_image(np.full((60, 80), -math.inf), '32FC1'), BLOCKED, 'too near'),
        (broken(encoding='rgb8'), LOST, 'encoding'),
    ]:
        sensors.messages['depth'] = image
        settle()
        assert_refused(bench, result, word)
    sensors.messages['depth'] = good
    info.width = 160
    settle()
    assert_refused(bench, LOST, 'camera_info is for 160 x 60')


def test_depth_image_that_needs_a_camera_info(robot):
    image = depth_image(np.full((60, 80), 3.0))
    bench, _ = start(robot, 'obstacle_sensor:=depth', 'depth_hfov:=0.0', depth=image)
    assert_refused(bench, LOST, 'depth_camera_info')


def test_clouds_that_a_robot_drives_on_or_not(robot):
    bench, sensors = start(robot, 'obstacle_sensor:=points', points=cloud(room(2.0), big=True))
    assert_drives(bench)
    nameless = cloud(room(2.0))
    nameless.fields[0].name = 'u'
    for message, result, word in [
        (cloud(room(0.3)), BLOCKED, 'an obstacle ahead'),
        (cloud(np.full((500, 3), math.nan)), LOST, 'blind'),
        (cloud(np.zeros((0, 3))), LOST, 'no points'),
        (nameless, LOST, 'field x'),
    ]:
        sensors.messages['points'] = message
        settle()
        assert_refused(bench, result, word)


@pytest.mark.parametrize('turn', [(1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0)])
def test_laser_whose_mount_tf_tells(robot, turn):
    tf2_ros = pytest.importorskip('tf2_ros', reason='tf2_ros is not among the wheels of ROS')
    from geometry_msgs.msg import TransformStamped

    bench, sensors = start(robot, 'sensor_mounts:=tf', scan=scan(ranges=ahead(0.0)))
    assert_refused(bench, LOST, 'tf has no way from base_link to its frame "laser"')
    transform = TransformStamped(child_frame_id='laser')
    transform.header.frame_id = 'base_link'
    transform.transform.translation.z = 0.2
    rotation = transform.transform.rotation
    rotation.x, rotation.y, rotation.z, rotation.w = turn
    tf2_ros.StaticTransformBroadcaster(bench.node).sendTransform(transform)
    settle()
    if turn[2]:  # it looks backward: what is blind there does not matter
        assert_drives(bench)
    else:
        assert_refused(bench, LOST, 'beams measured')
