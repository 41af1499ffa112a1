"""
A base as a process: cmd_vel in, odom out, with the dynamics of motion.testing.

Run as a script by tests and by benchmarks/. A string on the topic `base_fault` makes its odometry
misbehave: silent, nan, jump, frames, variance, rotation, ok; with --speed also clock_freeze,
clock_back, clock_ahead; or "NAME SHARE", a fault of faults.py. What it really does is always told
on `base_truth`.
"""

import argparse
import math
import signal
import sys
import time

from faults import FAULTS, Odometer, true
from geometry_msgs.msg import Twist, TwistStamped
from janusvln_ros.motion.testing import BaseConfig, BaseModel
from nav_msgs.msg import Odometry
import quiet  # noqa: F401
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from std_msgs.msg import String

DT = 0.005  # s, of the model
STEPS = 4  # of the model between two messages: 50 Hz of odometry and clock
MOST_BEHIND = 0.1  # s of wall time that are made up for on a busy machine; the rest is lost


class KinematicBase(Node):
    """speed: simulated seconds per second, with /clock; 0: real time without /clock."""

    def __init__(self, speed: float, stamped: bool, config: BaseConfig) -> None:
        super().__init__('kinematic_base')
        self.base = self._model = BaseModel(config)
        self.odometer = Odometer()
        self._speed = speed
        self._fault = 'ok'
        self._offset = 1000.0 if speed else 0.0  # s between the model's time and ROS time
        self._odometry = self.create_publisher(Odometry, 'odom', qos_profile_sensor_data)
        self._truth = self.create_publisher(Odometry, 'base_truth', 10)
        reliable = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
        self._clock_publisher = self.create_publisher(Clock, '/clock', reliable)
        self.create_subscription(
            TwistStamped if stamped else Twist, 'cmd_vel', self._on_command, reliable
        )
        self.create_subscription(String, 'base_fault', self._on_fault, 10)

    def _on_command(self, message):
        twist = getattr(message, 'twist', message)
        self._model.command(twist.linear.x, twist.angular.z)

    def _on_fault(self, message):
        name, _, share = message.data.rpartition(' ')
        if name in FAULTS:
            FAULTS[name].begin(self, float(share))
            return
        self._fault = message.data
        if self._fault == 'ok':
            self.odometer.lie = true
            self.base.wheels = lambda linear, angular: (linear, angular)
        if self._fault == 'clock_back':
            self._offset -= 100.0
        elif self._fault == 'clock_ahead':
            self._offset += 100.0

    def run(self) -> None:
        """Go on until the process is told to end."""
        executor = SingleThreadedExecutor()
        executor.add_node(self)
        period = STEPS * DT / (self._speed or 1.0)
        due = time.monotonic()
        while rclpy.ok():
            executor.spin_once(timeout_sec=max(0.0, due - time.monotonic()))
            now = time.monotonic()
            if now < due:
                continue
            due = max(due, now - MOST_BEHIND) + period
            if self._speed and self._fault == 'clock_freeze':
                continue
            for _ in range(STEPS):
                self._model.advance(DT)
            if self._speed:
                self._clock_publisher.publish(Clock(clock=self._stamp(self._model.time)))
            self._truth.publish(self._odometry_message(self._model.time, self._model.pose))
            if self._fault != 'silent':
                self._publish_odometry()

    def _stamp(self, model_time):
        if self._speed:
            nanoseconds = round((model_time + self._offset) * 1e9)
        else:
            nanoseconds = time.time_ns() - round((self._model.time - model_time) * 1e9)
        return rclpy.time.Time(nanoseconds=nanoseconds).to_msg()

    def _publish_odometry(self):
        told = self.odometer.tell(*self._model.odometry())
        if told is None:
            return
        message = self._odometry_message(*told)
        if self._fault == 'nan':
            message.pose.pose.position.x = math.nan
        elif self._fault == 'jump':
            message.pose.pose.position.y += 5.0
        elif self._fault == 'frames':
            message.child_frame_id = 'elsewhere'
        elif self._fault == 'variance':
            message.pose.covariance[0] = -1.0
        elif self._fault == 'rotation':
            message.pose.pose.orientation.w = message.pose.pose.orientation.z = 0.0
        self._odometry.publish(message)

    def _odometry_message(self, model_time, pose):
        message = Odometry()
        message.header.stamp = self._stamp(model_time)
        message.header.frame_id = 'odom'
        message.child_frame_id = 'base_link'
        message.pose.pose.position.x = pose.x
        message.pose.pose.position.y = pose.y
        message.pose.pose.orientation.z = math.sin(pose.yaw / 2.0)
        message.pose.pose.orientation.w = math.cos(pose.yaw / 2.0)
        message.twist.twist.linear.x = self._model.linear
        message.twist.twist.angular.z = self._model.angular
        return message


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--speed',
        type=float,
        default=0.0,
        help='simulated seconds per second, with /clock; 0: real time',
    )
    parser.add_argument('--stamped', action='store_true', help='take TwistStamped')
    parser.add_argument('--delay', type=float, default=0.05, help='s, command to effect')
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    rclpy.init(args=[])
    try:
        KinematicBase(arguments.speed, arguments.stamped, BaseConfig(delay=arguments.delay)).run()
    except (KeyboardInterrupt, SystemExit):
        pass


if __name__ == '__main__':
    main()
