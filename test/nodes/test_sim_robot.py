"""The simulated robot as a process of its own, over real DDS."""

import math
import os
import signal
import subprocess
import time

import cv2
from geometry_msgs.msg import Twist, TwistStamped
from janusvln_ros.msg import MotionStatus, NavigationAction, NavigatorStatus
from janusvln_ros.nodes.common.conversions import seconds, yaw
from janusvln_ros.nodes.common.qos import LATCHED
from janusvln_ros.nodes.sim_settings import Settings
from janusvln_ros.sim.camera import CameraModel
from janusvln_ros.sim.generator import generate_house
from janusvln_ros.sim.house import clearance, free_start
from janusvln_ros.sim.physics import TIMESTEP
from janusvln_ros.sim.renderer import Renderer
from janusvln_ros.system.processes import ros_arguments
from nav_msgs.msg import Odometry
import numpy as np
import pytest
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data, QoSProfile, ReliabilityPolicy
from ros import spinning
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_srvs.srv import Trigger
from waiting import wait_for

pytestmark = pytest.mark.ros
PATIENCE = 30.0  # s of wall time, on a busy machine
# A queue that outlasts a busy listener: what is missing was lost on the way.
BEST_EFFORT = QoSProfile(depth=30, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=30, reliability=ReliabilityPolicy.RELIABLE)
HOUSE = generate_house(Settings().house_seed, rooms=Settings().rooms)


def yaw_of(odometry: Odometry) -> float:
    return yaw(odometry.pose.pose.orientation)


def place_of(odometry: Odometry) -> tuple[float, float]:
    position = odometry.pose.pose.position
    return position.x, position.y


def pixels_of(image: Image) -> np.ndarray:
    return np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)


class Listener(Node):
    """Hears odometry always and the rest on request; commands a velocity 20 times a second."""

    def __init__(self, context):
        super().__init__('listener', context=context)
        self.odom, self.truth, self.heard = [], [], {}
        self.velocity = None
        self.create_subscription(Odometry, 'odom', self.odom.append, qos_profile_sensor_data)
        self.create_subscription(
            Odometry, 'ground_truth', self.truth.append, qos_profile_sensor_data
        )
        self.twist = None
        self.create_timer(0.05, self.command)

    def command(self):
        if self.velocity:
            self.twist = self.twist or self.create_publisher(Twist, 'cmd_vel', 1)
            message = Twist()
            message.linear.x, message.angular.z = self.velocity
            self.twist.publish(message)

    def hear(self, kind, topic, qos=qos_profile_sensor_data, name=None):
        heard = self.heard[name or topic] = []
        self.create_subscription(kind, topic, heard.append, qos)
        return heard

    def wait(self, condition, what):
        wait_for(condition, what, PATIENCE)

    def wait_simulated(self, duration):
        """Wait until the simulation has gone on by `duration` seconds."""
        self.wait(lambda: self.truth, 'ground truth')
        start = seconds(self.truth[-1].header.stamp)
        self.wait(
            lambda: seconds(self.truth[-1].header.stamp) >= start + duration,
            f'{duration} s of simulation',
        )

    def wait_still(self):
        """Wait until the robot has stood for a second; return how long that took."""
        start = seconds(self.truth[-1].header.stamp)
        while True:
            before = place_of(self.truth[-1]), yaw_of(self.truth[-1])
            self.wait_simulated(1.0)
            after = place_of(self.truth[-1]), yaw_of(self.truth[-1])
            if math.dist(before[0], after[0]) < 1e-3 and abs(before[1] - after[1]) < 2e-3:
                return seconds(self.truth[-1].header.stamp) - 1.0 - start
            assert seconds(self.truth[-1].header.stamp) < start + 10.0, 'the robot drives on'


@pytest.fixture
def listener(ros_domain):
    with spinning(Listener, ros_domain) as node:
        yield node


@pytest.fixture
def start_robot(start_command):
    """Give a function that starts sim_robot with parameters."""

    def start(**parameters):
        return start_command('sim_robot', *ros_arguments(parameters))

    return start


def test_picture_is_that_of_its_stamp(listener, start_robot):
    """While the robot turns, each picture shows the pose that ground_truth has for its stamp."""
    images, infos = listener.hear(Image, 'image'), listener.hear(CameraInfo, 'camera_info')
    listener.velocity = 0.0, 0.6
    start_robot(image_rate=5.0)
    listener.wait(lambda: len(images) >= 6, 'pictures')
    listener.velocity = None
    truth = {seconds(m.header.stamp): m for m in listener.truth}
    info_stamps = [m.header.stamp for m in infos]
    renderer = Renderer(320, 240)
    renderer.load(HOUSE)
    compared = 0
    for image in images[1:6]:
        assert image.header.frame_id == 'camera_optical_frame'
        assert (image.encoding, image.width, image.height, image.step) == ('rgb8', 320, 240, 960)
        assert image.header.stamp in info_stamps
        message = truth.get(seconds(image.header.stamp))
        if message is None:  # a lost sample
            continue
        expected = renderer.render(*place_of(message), yaw_of(message), CameraModel())
        assert np.abs(pixels_of(image).astype(int) - expected).mean() < 0.2
        turned = renderer.render(*place_of(message), yaw_of(message) + 0.03, CameraModel())
        assert np.abs(pixels_of(image).astype(int) - turned).mean() > 0.2
        compared += 1
    renderer.close()
    assert compared >= 3
    info = infos[-1]
    focal = 160 / math.tan(math.radians(79) / 2)
    assert info.k.tolist() == pytest.approx([focal, 0, 160, 0, focal, 120, 0, 0, 1])
    assert (info.width, info.height, info.header.frame_id) == (320, 240, 'camera_optical_frame')
    assert (listener.odom[-1].header.frame_id, listener.odom[-1].child_frame_id) == (
        'odom',
        'base_link',
    )


def test_it_drives_and_stops_by_itself(listener, start_robot):
    start_robot()
    listener.wait(lambda: len(listener.odom) > 5, 'odometry')
    assert place_of(listener.odom[0]) == pytest.approx((0, 0), abs=1e-3)
    assert place_of(listener.truth[0]) == pytest.approx(free_start(HOUSE)[:2], abs=1e-3)
    listener.velocity = 0.2, 0.4
    listener.wait_simulated(1.5)
    assert listener.odom[-1].twist.twist.linear.x == pytest.approx(0.2, abs=0.03)
    assert listener.odom[-1].twist.twist.angular.z == pytest.approx(0.4, abs=0.05)
    assert yaw_of(listener.odom[-1]) > 0.2
    listener.velocity = None
    assert listener.wait_still() < 0.5 + 0.5 + 1.0
    driven = math.dist(place_of(listener.truth[0]), place_of(listener.truth[-1]))
    counted = math.hypot(*place_of(listener.odom[-1]))
    assert counted == pytest.approx(driven, rel=0.1) and driven > 0.15


def test_a_velocity_that_is_no_number_stops_it(listener, start_robot):
    start_robot()
    listener.velocity = 0.1, 1.0
    listener.wait(lambda: listener.odom and yaw_of(listener.odom[-1]) > 0.3, 'a turn')
    listener.velocity = math.nan, 0.0
    assert listener.wait_still() < 2.5
    listener.velocity = 0.0, -1.0
    listener.wait(lambda: listener.odom[-1].twist.twist.angular.z < -0.8, 'the next turn')


def test_simulated_time_runs_by_its_factor(listener, start_robot):
    """At four times real time all stamps are /clock's, and the base's timeout is in them."""
    clocks = listener.hear(Clock, '/clock', RELIABLE)
    start_robot(real_time_factor=4.0)
    listener.wait(lambda: len(listener.odom) > 5 and clocks, 'odometry')
    assert seconds(listener.odom[0].header.stamp) < 1000.0
    wall, simulated = time.monotonic(), seconds(listener.truth[-1].header.stamp)
    listener.velocity = 0.0, 0.5
    listener.wait_simulated(8.0)
    listener.velocity = None
    ratio = (seconds(listener.truth[-1].header.stamp) - simulated) / (time.monotonic() - wall)
    assert 2.0 < ratio < 4.4
    assert listener.wait_still() < 3.0
    stamps = [round(seconds(m.header.stamp), 3) for m in listener.odom]
    steps = np.diff(stamps)
    assert np.median(steps) == pytest.approx(0.02) and steps.min() > 0
    assert abs(seconds(clocks[-1].clock) - stamps[-1]) < 0.5
    assert (np.diff([seconds(m.clock) for m in clocks]) > 0).all()


def test_odometry_does_not_wait_for_pictures(listener, start_robot):
    """A picture that takes too long is left out; the base goes on at its rate."""
    images = listener.hear(Image, 'image')
    start_robot(image_width=1600, image_height=1080, image_rate=60.0)
    listener.wait(lambda: images, 'pictures')
    first = len(listener.truth)
    begin = time.monotonic()
    listener.wait_simulated(4.0)
    wall = time.monotonic() - begin
    heard = listener.truth[first:]
    gaps = np.diff([seconds(m.header.stamp) for m in heard])
    assert len(images) < 0.8 * 60 * 4.0
    assert wall < 3 * 4.0  # a stall longer than 0.1 s is not made up for
    assert np.median(gaps) == pytest.approx(0.02, abs=0.005)


def test_large_pictures_arrive(listener, start_robot):
    """640 x 480 raw: all of them reliably, many by best effort, however busy the computer is."""
    sure = listener.hear(Image, 'image', RELIABLE, 'sure')
    quick = listener.hear(Image, 'image', BEST_EFFORT, 'quick')
    start_robot(image_width=640, image_height=480, image_rate=30.0)
    listener.wait(lambda: len(sure) >= 60 and quick, 'pictures')
    stamps = [seconds(m.header.stamp) for m in sure]
    since, until = max(stamps[3], seconds(quick[0].header.stamp)), stamps[-5]
    published = {stamp for stamp in stamps if since <= stamp <= until}
    arrived = {seconds(m.header.stamp) for m in quick} & published
    assert len(published) > 30
    assert len(arrived) >= 0.3 * len(published)  # a busy reader loses parts of the large ones
    assert all(len(m.data) == 640 * 480 * 3 for m in sure)
    # No faster than asked for, even after a delay: to within two steps of physics.
    assert np.diff(stamps).min() > 1 / 30 - 2 * TIMESTEP


def test_compressed_pictures_show_the_same(listener, start_robot):
    jpegs = listener.hear(CompressedImage, 'image/compressed')
    images = listener.hear(Image, 'image')
    start_robot(image_noise=0.0)
    listener.wait(lambda: len(jpegs) >= 3 and len(images) >= 3, 'pictures')
    decoded = cv2.imdecode(np.frombuffer(jpegs[-1].data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(decoded.astype(int) - pixels_of(images[-1])).mean() < 5


def test_stamped_velocities_and_reset(listener, start_robot):
    start_robot(stamped_cmd_vel='true', start_pose='"1.0 1.0 0.5"', house_seed=3, rooms=1)
    house = generate_house(3, rooms=1)
    assert clearance(house.obstacles(), np.array([1.0, 1.0])) > 0.2
    publisher = listener.create_publisher(TwistStamped, 'cmd_vel', 1)
    message = TwistStamped()
    message.twist.angular.z = 1.0

    def turned():
        publisher.publish(message)
        time.sleep(0.05)
        return listener.odom and yaw_of(listener.odom[-1]) > 0.5

    listener.wait(turned, 'a turn')
    client = listener.create_client(Trigger, 'reset')
    assert client.wait_for_service(PATIENCE)
    assert client.call(Trigger.Request()).success
    listener.wait_simulated(0.5)
    assert place_of(listener.truth[-1]) == pytest.approx((1.0, 1.0), abs=1e-3)
    assert yaw_of(listener.truth[-1]) == pytest.approx(0.5, abs=1e-3)
    assert yaw_of(listener.odom[-1]) == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly(listener, start_robot, number):
    images = listener.hear(Image, 'image')
    process = start_robot()
    listener.wait(lambda: images, 'pictures')
    process.send_signal(number)

    def ended() -> bool:  # launch repeats Ctrl-C
        process.send_signal(signal.SIGINT)
        return process.poll() is not None

    wait_for(ended, 'its end')
    assert process.returncode == 0
    with pytest.raises(ProcessLookupError):  # nothing of its process group is left
        os.killpg(process.pid, 0)


@pytest.mark.parametrize(
    ('parameters', 'words'),
    [
        ({'start_pose': '"0 0"'}, 'x y yaw'),
        ({'start_pose': '"99.0 0.0 0.0"'}, 'is not in the house'),
        ({'scene': 'mp3d/17DRP5sb8fy'}, 'mp3d/17DRP5sb8fy'),
        ({'image_width': 5}, 'image_width'),
    ],
)
def test_bad_parameters_are_named(start_command, parameters, words):
    given = ros_arguments(parameters)
    process = start_command('sim_robot', *given, stderr=subprocess.PIPE, text=True)
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert words in error.splitlines()[-1]


def test_it_says_what_to_ask_for_and_what_is_not_there(listener, start_command):
    process = start_command('sim_robot', stderr=subprocess.PIPE, text=True)
    publisher = listener.create_publisher(NavigatorStatus, 'navigator_status', LATCHED)
    wait_for(publisher.get_subscription_count, 'the connection', PATIENCE)
    for number, text in enumerate(
        ('Go to the pink ball.', 'Go past the pink ball to a red chair')
    ):
        publisher.publish(NavigatorStatus(instruction_id=str(number), instruction=text))
    said = ''
    while 'there is no' not in said:
        said += process.stderr.readline()
        assert process.poll() is None, said
    assert 'pink ball, yellow plant' in said
    assert said.count('ros2 topic pub --once /instruction') == 3
    assert said.endswith('to a red chair": in this house there is no red chair\n')


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGSTOP], ids=['killed', 'frozen'])
def test_it_stops_when_the_executor_dies(listener, start_robot, start_command, number):
    start_robot(house_seed=3, rooms=1)
    executor = start_command(
        'motion_executor', '--ros-args', '-p', 'step_length:=1.5', '-p', 'max_linear_speed:=0.2'
    )
    statuses = listener.hear(MotionStatus, 'motion_status', RELIABLE)
    publisher = listener.create_publisher(NavigationAction, 'navigation_action', 1)
    listener.wait(
        lambda: statuses and statuses[-1].state == MotionStatus.STATE_IDLE and listener.odom,
        'the executor',
    )
    action = NavigationAction(
        instruction_id='1',
        action=NavigationAction.MOVE_FORWARD,
        probabilities=[0.0, 1.0, 0.0, 0.0],
    )
    action.header.stamp = listener.odom[-1].header.stamp
    listener.wait(lambda: publisher.get_subscription_count() > 0, 'the connection')
    publisher.publish(action)
    listener.wait(lambda: listener.odom[-1].twist.twist.linear.x > 0.1, 'motion')
    executor.send_signal(number)
    assert listener.wait_still() < 0.5 + 0.3 + 1.0
    assert abs(listener.odom[-1].twist.twist.linear.x) < 0.01
