"""A user who sees what a robot, its navigator and its executor really do, and what they say."""

import math
import time

from geometry_msgs.msg import Twist
from janusvln_ros.msg import MotionStatus, NavigationAction, NavigatorStatus
from janusvln_ros.nodes.common.conversions import yaw
from janusvln_ros.nodes.common.qos import LATCHED, LATEST
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from std_msgs.msg import Bool, String
from waiting import wait_for

PATIENCE = 60.0  # s of wall time, on a busy machine


class Watcher(Node):
    """Knows where the robot truly is, how fast it moves, and what the nodes say."""

    def __init__(self, context, namespace=''):
        super().__init__('watcher', context=context, namespace=namespace)
        self.poses, self.speeds, self.actions = [], [], []
        self.driven_at = 0.0  # s of wall time, when motion was last commanded
        self.status = self.motion = None
        self.instruction = self.create_publisher(String, 'instruction', 10)
        self.e_stop = self.create_publisher(Bool, 'e_stop', 10)
        self.create_subscription(Odometry, 'ground_truth', self.on_pose, qos_profile_sensor_data)
        self.create_subscription(Twist, 'cmd_vel', self.on_command, 10)
        self.create_subscription(
            NavigationAction, 'navigation_action', self.actions.append, LATEST
        )
        self.create_subscription(NavigatorStatus, 'navigator_status', self.on_status, LATCHED)
        self.create_subscription(MotionStatus, 'motion_status', self.on_motion, LATEST)

    def on_pose(self, message):
        position = message.pose.pose.position
        self.poses.append((position.x, position.y, yaw(message.pose.pose.orientation)))
        self.speeds.append((abs(message.twist.twist.linear.x), abs(message.twist.twist.angular.z)))

    def on_command(self, message):
        if message.linear.x or message.angular.z:
            self.driven_at = time.monotonic()

    def on_status(self, message):
        self.status = message

    def on_motion(self, message):
        self.motion = message

    def wait(self, condition, what, patience=PATIENCE):
        wait_for(condition, what, patience)

    def ready(self):
        return (
            self.poses
            and self.motion
            and self.status
            and self.motion.state == MotionStatus.STATE_IDLE
            and self.status.state == NavigatorStatus.STATE_IDLE
            and self.status.header.stamp.sec  # the navigator has a clock
            and self.instruction.get_subscription_count()
        )

    def say(self, words):
        self.instruction.publish(String(data=words))

    def wait_end(self, reason):
        self.wait(
            lambda: (
                self.status.reason == reason and self.status.state == NavigatorStatus.STATE_IDLE
            ),
            f'reason {reason}',
        )

    def wait_speed(self):
        self.wait(lambda: self.speeds and self.speeds[-1][0] > 0.05, 'motion')

    def distance(self, start):
        x, y, _ = self.poses[-1]
        return math.hypot(x - start[0], y - start[1])

    def assert_stands(self, seconds=1.5):
        """Check that the robot brakes, stands, and stays so."""
        count = len(self.speeds)
        self.wait(
            lambda: (
                len(self.speeds) > count + 3
                and self.speeds[-1][0] < 0.005
                and self.speeds[-1][1] < 0.02
            ),
            'standstill',
            5.0,
        )
        count = len(self.speeds)
        time.sleep(seconds)
        assert len(self.speeds) > count + 10
        assert max(speed for speed, _ in self.speeds[count:]) < 0.005
        assert max(turn for _, turn in self.speeds[count:]) < 0.02
