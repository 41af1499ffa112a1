"""
What stands between a simulated robot and the nodes that drive it, and breaks what goes through.

sim_robot runs in the namespace `simulator`. Its odometry and pictures are passed on to `odom` and
`image`, `cmd_vel` to its wheels, and a scan of its house is added. What the robot really does is
measured here, and how long motion is commanded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
import math
from pathlib import Path
import sys
from types import SimpleNamespace

from geometry_msgs.msg import TwistStamped
from janusvln_ros.motion.geometry import Pose
from janusvln_ros.msg import MotionStatus, NavigatorStatus
from janusvln_ros.nodes.common.conversions import seconds, to_quaternion, to_stamp, yaw
from janusvln_ros.nodes.common.qos import LATCHED, LATEST
from janusvln_ros.sim.house import clearance, House
from nav_msgs.msg import Odometry
import numpy as np
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, LaserScan

sys.path.insert(0, str(Path(__file__).parents[1] / 'test' / 'support'))

from faults import Odometer, true

BEAMS = 72
SCAN_PERIOD = 0.1  # simulated s
NEAREST, FARTHEST = 0.1, 8.0  # m
TURNS = 0.3  # rad/s, more than what keeps a drive straight
SILENT = 0.2  # s without a command, after which the base's rest is what counts


class FaultyLink(Node):
    """
    Passes on what it should, or a lie.

    camera: what becomes of a picture's stamp (s), None for no picture; scanner: of the ranges.
    odometer, base: as faults.py breaks them. now: simulated s; way, turned: m and rad that the
    base really did since `begin`; moved: the longest that motion went on since, s.
    """

    def __init__(self, house: House) -> None:
        super().__init__('faulty_link')
        self._obstacles = house.obstacles()
        self.counts: Counter[str] = Counter()
        self.now = self.way = self.turned = self.moved = 0.0
        self.moves = False  # the base
        self.driven_at = -math.inf  # when motion was last commanded
        self.motion = MotionStatus(message='none yet')
        self.navigator = NavigatorStatus()
        self.mend()
        self.forget()
        self._yaw, self._last = 0.0, Pose()
        self._least = 0.0, 0.0  # m/s and rad/s, above which a command is motion
        self._since: float | None = None  # when the motion that is commanded began
        self._commanded_at = self._scanned_at = -math.inf
        self._odom = self.create_publisher(Odometry, 'odom', qos_profile_sensor_data)
        self._image = self.create_publisher(Image, 'image', LATEST)
        self._scan = self.create_publisher(LaserScan, 'scan', qos_profile_sensor_data)
        self._wheels = self.create_publisher(TwistStamped, 'simulator/cmd_vel', LATEST)
        for kind, topic, take, quality in (
            (Odometry, 'simulator/odom', self._on_odometry, 20),
            (Odometry, 'simulator/ground_truth', self._on_truth, 20),
            (Image, 'simulator/image', self._on_image, LATEST),
            (TwistStamped, 'cmd_vel', self._on_velocity, 20),
            (MotionStatus, 'motion_status', lambda status: setattr(self, 'motion', status), 20),
            (NavigatorStatus, 'navigator_status', self._on_navigator, LATCHED),
        ):
            self.create_subscription(kind, topic, take, quality)

    def forget(self) -> None:
        """Take up odometry anew: the robot was put elsewhere."""
        self.odometer = Odometer()

    def mend(self) -> None:
        """Pass on the truth."""
        if hasattr(self, 'odometer'):
            self.odometer.lie = true
        self.base = SimpleNamespace(wheels=lambda linear, angular: (linear, angular))
        self.camera: Callable[[float], float | None] = lambda stamp: stamp
        self.scanner: Callable[[np.ndarray], np.ndarray | None] = lambda ranges: ranges

    def begin(self, driving: bool, turning: bool, least: tuple[float, float]) -> None:
        """Measure from now on; what of the commands is motion, and at least how fast it is."""
        linear, angular = least
        self._least = (
            linear if driving else math.inf,
            (angular if driving else TURNS) if turning else math.inf,
        )
        self.way = self._yaw = self.turned = self.moved = 0.0
        self._since = None if self._since is None else self.now

    def end(self) -> tuple[float, float, float]:
        """Return m, rad and s since the begin."""
        self._rest(self.now)
        return self.way, self.turned, self.moved

    def _rest(self, now: float) -> None:
        if self._since is not None:
            self.moved, self._since = max(self.moved, now - self._since), None

    def _on_navigator(self, status: NavigatorStatus) -> None:
        self.navigator = status

    def _on_odometry(self, message: Odometry) -> None:
        place = message.pose.pose
        told = self.odometer.tell(
            seconds(message.header.stamp),
            Pose(place.position.x, place.position.y, yaw(place.orientation)),
        )
        if told is None:
            return
        stamp, pose = told
        message.header.stamp = to_stamp(max(0.0, stamp))
        place.position.x, place.position.y = pose.x, pose.y
        place.orientation = to_quaternion(pose.yaw)
        self._odom.publish(message)

    def _on_truth(self, message: Odometry) -> None:
        place, twist = message.pose.pose, message.twist.twist
        pose = Pose(place.position.x, place.position.y, yaw(place.orientation))
        self.counts['odometry'] += 1
        self.now = seconds(message.header.stamp)
        self.way += math.hypot(pose.x - self._last.x, pose.y - self._last.y)
        self._yaw += math.remainder(pose.yaw - self._last.yaw, math.tau)
        self.turned = max(self.turned, abs(self._yaw))
        self._last = pose
        self.moves = abs(twist.linear.x) > 0.005 or abs(twist.angular.z) > 0.02
        if not self.moves and self.now > self._commanded_at + SILENT:
            self._rest(self.now)
        if self.now >= self._scanned_at + SCAN_PERIOD - 1e-3:
            self._scanned_at = self.now
            self._look(message.header.stamp, pose)

    def _look(self, stamp: object, pose: Pose) -> None:
        angles = np.linspace(-math.pi, math.pi, BEAMS, endpoint=False)
        ranges = self.scanner(ray_lengths(self._obstacles, pose, angles))
        if ranges is None:
            return
        scan = LaserScan(
            angle_min=-math.pi,
            angle_max=float(angles[-1]),
            angle_increment=math.tau / BEAMS,
            range_min=NEAREST,
            range_max=FARTHEST,
            ranges=ranges.astype(np.float32).tolist(),
        )
        scan.header.stamp, scan.header.frame_id = stamp, 'laser'
        self._scan.publish(scan)

    def _on_image(self, message: Image) -> None:
        self.counts['camera'] += 1
        stamp = self.camera(seconds(message.header.stamp))
        if stamp is not None:
            message.header.stamp = to_stamp(max(0.0, stamp))
            self._image.publish(message)

    def _on_velocity(self, message: TwistStamped) -> None:
        twist, stamp = message.twist, seconds(message.header.stamp)
        gap = stamp - self._commanded_at
        if 0.0 < gap < SILENT:
            self.counts['commands'] += 1
            self.counts['us of commands'] += round(gap * 1e6)
        self._commanded_at = stamp
        if twist.linear.x or twist.angular.z:
            self.driven_at = stamp
        linear, angular = self._least
        if abs(twist.linear.x) > linear or abs(twist.angular.z) > angular:
            self._since = stamp if self._since is None else self._since
        else:
            self._rest(stamp)
        twist.linear.x, twist.angular.z = self.base.wheels(twist.linear.x, twist.angular.z)
        self._wheels.publish(message)


def ray_lengths(obstacles: np.ndarray, pose: Pose, angles: np.ndarray) -> np.ndarray:
    """Return how far (m, inf beyond FARTHEST) it is from a pose to the obstacles of a house."""
    towards = np.stack([np.cos(angles + pose.yaw), np.sin(angles + pose.yaw)], axis=-1)
    lengths = np.zeros(len(angles))
    for _ in range(20):  # goes on by what is free all around
        lengths += clearance(obstacles, (pose.x, pose.y) + lengths[:, None] * towards)
    return np.where(lengths > FARTHEST, math.inf, np.maximum(lengths, NEAREST))
