"""
motion_executor: actions in, velocities out, and zero velocity on every way out.

This node only wires topics to janusvln_ros.motion.executor.Executor, which holds all behaviour.
"""

from __future__ import annotations

from dataclasses import replace
import math
import signal
import sys
import time
from types import FrameType

from builtin_interfaces.msg import Time as TimeMessage
from geometry_msgs.msg import PoseStamped, Quaternion, Twist, TwistStamped
from nav_msgs.msg import Odometry, Path
from rcl_interfaces.msg import SetParametersResult
import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, qos_profile_sensor_data, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from janusvln_ros.motion.commands import Command, Kind
from janusvln_ros.motion.executor import Executor, Request, State, Status
from janusvln_ros.motion.tracking import Velocity
from janusvln_ros.msg import MotionStatus, NavigationAction, NavigatorStatus
from janusvln_ros.nodes import executor_parameters

_RELIABLE = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
_RELIABLE_10 = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
_LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE,
                      durability=DurabilityPolicy.TRANSIENT_LOCAL)
_GUARD_PERIOD = 0.05  # s of wall time
_LONGEST_PATH = 10000  # poses


class MotionExecutor(Node):
    """The ROS side of the executor; see docs/motion.md for topics and parameters."""

    def __init__(self) -> None:
        super().__init__('motion_executor')
        executor_parameters.declare(self)
        self._values = executor_parameters.values(self)
        config, self._options = executor_parameters.read(self._values)
        self._core = Executor(config)
        self._odometry_frame = 'odom'
        self._published: Status | None = None
        self._published_at = -math.inf
        self._path = Path()
        self._updated_at = time.monotonic()  # when ROS time last went on

        self._velocity = self.create_publisher(
            TwistStamped if self._options.stamped_cmd_vel else Twist, 'cmd_vel', _RELIABLE)
        self._status = self.create_publisher(MotionStatus, 'motion_status', _RELIABLE)
        self._path_publisher = self.create_publisher(Path, 'executed_path', _LATCHED)
        self.create_subscription(Odometry, 'odom', self._on_odometry, qos_profile_sensor_data)
        self.create_subscription(NavigationAction, 'navigation_action', self._on_action,
                                 _RELIABLE)
        self.create_subscription(NavigatorStatus, 'navigator_status', self._on_navigator,
                                 _RELIABLE)
        self.create_subscription(Bool, 'e_stop', self._on_e_stop, _RELIABLE_10)
        self.create_service(Trigger, 'reset_e_stop', self._on_reset)
        self.add_on_set_parameters_callback(self._on_parameters)
        self.create_timer(1.0 / self._options.control_rate, self._update)
        self.create_timer(_GUARD_PERIOD, self._guard,
                          clock=Clock(clock_type=ClockType.STEADY_TIME))

    # ---- inputs ----

    def _now(self) -> float:
        return self.get_clock().now().nanoseconds * 1e-9

    def _on_odometry(self, message: Odometry) -> None:
        position, q = message.pose.pose.position, message.pose.pose.orientation
        self._odometry_frame = message.header.frame_id or self._odometry_frame
        self._core.on_odometry(_seconds(message.header.stamp), position.x, position.y,
                               _yaw(q.x, q.y, q.z, q.w), self._now())

    def _on_action(self, message: NavigationAction) -> None:
        options = self._options
        request = Request(Command(Kind.STOP), _seconds(message.header.stamp),
                          message.instruction_id, message.step, message.action)
        try:
            command = Command.from_action(message.action, options.step_length,
                                          options.step_angle)
            if not all(map(math.isfinite, message.probabilities)):
                raise ValueError('a probability of the action is not finite')
        except ValueError as error:
            self.get_logger().error(f'step {message.step}: {error}')
            self._core.on_invalid(request, str(error))
            return
        reason = self._core.on_request(replace(request, command=command), self._now())
        if reason:
            self.get_logger().warning(f'step {message.step} is not executed: {reason}')
        self._publish_status()

    def _on_navigator(self, _: NavigatorStatus) -> None:
        self._core.on_navigator(self._now())

    def _on_e_stop(self, message: Bool) -> None:
        self._core.on_e_stop(message.data, self._now())
        if message.data:
            self._publish_velocity(Velocity())
        self._publish_status()

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = self._core.reset_e_stop()
        return response

    def _on_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        values = executor_parameters.changed(self._values, parameters)
        try:
            config, options = executor_parameters.read(values)
            self._core.configure(config)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._values, self._options = values, options
        return SetParametersResult(successful=True)

    # ---- output ----

    def _update(self) -> None:
        self._updated_at = time.monotonic()
        velocity = self._core.update(self._now())
        if velocity is not None:
            self._publish_velocity(velocity)
        self._publish_status()

    def _guard(self) -> None:
        """Stop the robot when ROS time stands still: then no control timer fires."""
        silent = time.monotonic() - self._updated_at
        if silent <= self._options.clock_timeout or self._core.stands:
            return
        if self._core.state in (State.MOVING, State.SETTLING):
            self.get_logger().error('ROS time stands still: the robot is stopped')
            self._core.fail('ROS time stands still')
        if silent <= self._options.clock_timeout + self._core.config.zero_hold:
            self._publish_velocity(Velocity())
        self._publish_status()

    def _publish_velocity(self, velocity: Velocity) -> None:
        twist = Twist()
        twist.linear.x = velocity.linear
        twist.angular.z = velocity.angular
        if not self._options.stamped_cmd_vel:
            self._velocity.publish(twist)
            return
        stamped = TwistStamped(twist=twist)
        stamped.header.stamp = self.get_clock().now().to_msg()
        stamped.header.frame_id = self._options.cmd_vel_frame
        self._velocity.publish(stamped)

    def _publish_status(self) -> None:
        status, wall = self._core.status, time.monotonic()
        old = self._published
        if old is not None and replace(old, progress=status.progress) == status \
                and wall - self._published_at < 1.0 / self._options.status_rate:
            return
        message = MotionStatus(
            state=int(status.state), result=int(status.result),
            instruction_id=status.request.instruction_id, step=status.request.step,
            action=status.request.action, motion_end=_stamp(status.motion_end),
            progress=status.progress, open_loop=status.open_loop, message=status.message)
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = self._odometry_frame
        self._status.publish(message)
        if old is None or status.motion_end != old.motion_end \
                or status.request.instruction_id != old.request.instruction_id:
            self._extend_path(status, old)
        self._published, self._published_at = status, wall

    def _extend_path(self, status: Status, old: Status | None) -> None:
        """Add where a motion ended; a new instruction starts a new path."""
        if old is None or status.request.instruction_id != old.request.instruction_id:
            self._path.poses = []
        pose = self._core.pose
        if pose is None:
            return
        self._path.header.frame_id = self._odometry_frame
        self._path.header.stamp = self.get_clock().now().to_msg()
        point = PoseStamped(header=self._path.header)
        point.pose.position.x, point.pose.position.y = pose.x, pose.y
        point.pose.orientation = Quaternion(z=math.sin(pose.yaw / 2.0),
                                            w=math.cos(pose.yaw / 2.0))
        if len(self._path.poses) < _LONGEST_PATH:
            self._path.poses.append(point)
        self._path_publisher.publish(self._path)

    def stop_robot(self) -> None:
        """Command zero until it has surely left this process."""
        for _ in range(5):
            self._publish_velocity(Velocity())
            self._velocity.wait_for_all_acked(Duration(seconds=0.02))
            time.sleep(0.02)


def _seconds(stamp: TimeMessage) -> float:
    return stamp.sec + stamp.nanosec * 1e-9


def _stamp(seconds: float) -> TimeMessage:
    nanoseconds = round(seconds * 1e9)
    return TimeMessage(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def _yaw(x: float, y: float, z: float, w: float) -> float:
    """Return the yaw (rad) of a quaternion; NaN for one that is no rotation."""
    norm = x * x + y * y + z * z + w * w
    if not 0.5 < norm < 2.0:
        return math.nan
    return math.atan2(2.0 * (w * z + x * y), norm - 2.0 * (y * y + z * z))


def main(argv: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; whatever ends it, zero velocity goes out first."""
    # rclpy's own handlers would shut the context down before a last command could leave
    rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
    ending = []

    def end(number: int, _: FrameType | None) -> None:
        ending.append(number)

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    try:
        node = MotionExecutor()
    except (InvalidParameterTypeException, InvalidParameterValueException, ValueError) as error:
        print(f'motion_executor: {error}', file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while not ending and rclpy.ok():
            executor.spin_once(timeout_sec=0.1)
    finally:
        node.stop_robot()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
