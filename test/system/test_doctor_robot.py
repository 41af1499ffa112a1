"""`janusvln doctor` finds what is wrong with a robot over DDS, and nothing with a sound one."""

from __future__ import annotations

import array
from collections.abc import Callable, Iterator
import json

from geometry_msgs.msg import Twist, TwistStamped
from janusvln_ros.nodes.common.conversions import to_stamp
from janusvln_ros.nodes.common.qos import LATCHED, LATEST
from janusvln_ros.system.doctor import main
from nav_msgs.msg import Odometry
import pytest
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from ros import spinning
from sensor_msgs.msg import Image
from std_msgs.msg import Bool
from waiting import wait_for

pytestmark = pytest.mark.ros
HOST = {'shared memory', 'time synchronisation', 'real-time priority'}  # not the robot's


class Robot(Node):
    """A camera, odometry, a base and a button; its attributes make it ill."""

    def __init__(self, context):
        super().__init__('robot', context=context)
        self.camera_late = self.odometry_late = 0.0  # s that stamps lie in the past
        self.encoding = 'rgb8'
        self.turn = 1.0  # w of the quaternion
        self._images = self.create_publisher(Image, 'image', qos_profile_sensor_data)
        self._odometry = None
        self.create_subscription(Twist, 'cmd_vel', lambda message: None, LATEST)
        self.pixels = array.array('B', bytes(48 * 64 * 3))
        self.taking = self.create_timer(0.05, self.take_picture)

    def start_odometry(self):
        self._odometry = self.create_publisher(Odometry, 'odom', qos_profile_sensor_data)
        self.create_timer(0.02, self.tell_pose)

    def start_button(self):
        self.create_publisher(Bool, 'e_stop', LATCHED).publish(Bool(data=False))

    def slow_camera(self, rate):
        self.taking.cancel()
        self.create_timer(1 / rate, self.take_picture)

    def stamp(self, late):
        return to_stamp(self.get_clock().now().nanoseconds * 1e-9 - late)

    def take_picture(self):
        image = Image(height=48, width=64, step=192, encoding=self.encoding, data=self.pixels)
        image.header.stamp = self.stamp(self.camera_late)
        self._images.publish(image)

    def tell_pose(self):
        message = Odometry()
        message.header.frame_id = 'odom'
        message.header.stamp = self.stamp(self.odometry_late)
        message.pose.pose.orientation.w = self.turn
        self._odometry.publish(message)


@pytest.fixture
def robot(ros_domain) -> Iterator[Robot]:
    with spinning(Robot, ros_domain) as node:
        yield node


@pytest.fixture
def look(capsys) -> Callable[..., dict[str, dict[str, str]]]:
    """Give a function that runs the doctor; it returns what it found about the robot."""

    def look(*options: str) -> dict[str, dict[str, str]]:
        main(['--json', '--seconds', '2', *options])
        found = json.loads(capsys.readouterr().out)['findings']
        assert all(finding['do'] for finding in found if finding['mark'] != 'ok')
        return {f['about']: f for f in found if f['about'] not in HOST}

    return look


def slow(robot):
    robot.slow_camera(3.0)


def late_odometry(robot):
    robot.odometry_late = 0.5


def other_clock(robot):
    robot.camera_late = robot.odometry_late = 5.0


def clock_ahead(robot):
    robot.camera_late = robot.odometry_late = -5.0


def two_drivers(robot):
    for _ in range(2):
        robot.create_publisher(Twist, 'cmd_vel', LATEST)


def strange_pictures(robot):
    robot.encoding = '32FC1'


def no_heading(robot):
    robot.turn = 0.0


@pytest.mark.parametrize(
    'fall_ill, words',
    [
        (slow, {'camera rate': 'Hz, needed are 5 or more'}),
        (late_odometry, {'odometry stamps': 'ms before they arrive, at most 300 will do'}),
        (
            other_clock,
            {
                'camera stamps': "5.0 s behind this computer's clock",
                'odometry stamps': "5.0 s behind this computer's clock",
            },
        ),
        (
            clock_ahead,
            {
                'camera stamps': "5.0 s ahead of this computer's clock",
                'odometry stamps': "5.0 s ahead of this computer's clock",
            },
        ),
        (two_drivers, {'velocities': '2 publish /cmd_vel: /robot, /robot'}),
        (strange_pictures, {'camera picture': "image encoding '32FC1' is not a picture"}),
        (no_heading, {'odometry pose': 'it is no pose'}),
    ],
    ids=lambda value: getattr(value, '__name__', ''),
)
def test_an_illness_is_found_and_nothing_else(robot, look, fall_ill, words):
    robot.start_odometry()
    robot.start_button()
    fall_ill(robot)
    found = look('--e-stop-required')
    assert {name for name, finding in found.items() if finding['mark'] != 'ok'} == words.keys()
    for about, text in words.items():
        assert found[about]['mark'] == 'fail' and text in found[about]['text']


def test_velocities_of_another_type_are_found(robot, ros_domain, look):
    with spinning(lambda context: Node('driver', context=context), ros_domain) as driver:
        driver.create_publisher(TwistStamped, 'cmd_vel', LATEST)
        found = look()['velocities']
    assert found['mark'] == 'fail' and '/cmd_vel has two types' in found['text']


def test_what_is_missing_is_found_with_what_is_there_instead(robot, look):
    found = look('--image-topic', 'camera/image', '--e-stop-required', '--cmd-vel-topic', 'go')
    ill = {name: f['text'] for name, f in found.items() if f['mark'] == 'fail'}
    assert ill == {
        'camera': 'nobody publishes /camera/image; published are /image',
        'odometry': 'nobody publishes /odom',
        'velocities': 'nobody listens to /go',
        'e-stop': 'nobody publishes /e_stop',
    }
    assert 'Here: ' in found['odometry']['do'] and '{' not in found['odometry']['do']
    assert look()['e-stop']['mark'] == 'warn', 'without --e-stop-required it may do'


def test_nothing_is_found_on_a_sound_robot(ros_domain, start_command, look):
    start_command('sim_robot', '--ros-args', '-p', 'image_width:=160', '-p', 'image_height:=120')
    images = []
    with spinning(lambda context: Node('watch', context=context), ros_domain) as button:
        button.create_publisher(Bool, 'e_stop', LATCHED)
        button.create_subscription(Image, 'image', images.append, qos_profile_sensor_data)
        wait_for(lambda: len(images) > 5, 'the simulator', 60.0)
        found = {}

        def well():
            found.update(look('--e-stop-required'))
            return {finding['mark'] for finding in found.values()} == {'ok'}

        wait_for(well, 'nothing to find', 60.0)  # a busy machine makes it ill for a while
    assert found['camera picture']['text'] == '160x120 rgb8 on /image'
    assert len(found) == 9


def test_raw_images_without_the_transport_profile_are_found(
    ros_domain, start_command, monkeypatch, look
):
    monkeypatch.delenv('FASTRTPS_DEFAULT_PROFILES_FILE')
    monkeypatch.delenv('FASTDDS_DEFAULT_PROFILES_FILE', raising=False)
    start_command('sim_robot', '--ros-args', '-p', 'image_width:=1280', '-p', 'image_height:=960')
    with spinning(lambda context: Node('watch', context=context), ros_domain) as watch:
        wait_for(lambda: watch.count_publishers('image'), 'the simulator', 60.0)
        found = look()
    profile = found['transport profile']
    assert profile['mark'] != 'ok' and 'Fast DDS without a profile' in profile['text']
    assert 'fastdds.xml' in profile['do']
    monkeypatch.setenv('FASTRTPS_DEFAULT_PROFILES_FILE', '/nowhere.xml')
    assert 'cannot be read' in look()['transport profile']['text']


@pytest.mark.parametrize('option', ['--namespace', '--image-topic', '--e-stop-topic'])
def test_a_name_that_ros_does_not_allow_is_status_2(ros_domain, capsys, option):
    assert main([option, 'a b']) == 2
    error = capsys.readouterr().err
    assert error.startswith('janusvln doctor: ') and error.count('\n') == 1
