"""Talks to a motion_executor and a kinematic base, both processes, and remembers what they say."""

from collections import deque
import math
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist, TwistStamped
from janusvln_ros.msg import MidLevelCommand, MotionStatus, NavigationAction
from janusvln_ros.nodes.common.qos import LATCHED
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from nav_msgs.msg import Odometry, Path
import quiet  # noqa: F401
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import LaserScan
from std_msgs.msg import Bool, String
from waiting import stays, wait_for

PATIENCE = 30.0  # s of wall time for what takes a moment on an idle machine


class Bench:
    """Talks to executor and base, and remembers what they say."""

    def __init__(self, domain, stamped=False):
        self.context = rclpy.Context()
        rclpy.init(args=[], context=self.context, domain_id=domain)
        self.node = rclpy.create_node('bench', context=self.context)
        self.commands = deque()  # (wall time, linear, angular)
        self.truth = None
        self.truth_at = 0.0
        self.statuses = deque()
        self.heard = {}
        self._step = 0
        node = self.node
        node.create_subscription(
            TwistStamped if stamped else Twist, 'cmd_vel', self._on_command, 100
        )
        node.create_subscription(Odometry, 'base_truth', self._on_truth, 10)
        node.create_subscription(
            MotionStatus, 'motion_status', lambda message: self.statuses.append(message), 10
        )
        for kind, topic, qos in (
            (DiagnosticArray, '/diagnostics', 10),
            (Path, 'executed_path', LATCHED),
            (MidLevelCommand, 'mid_level_command', 10),
        ):
            node.create_subscription(
                kind, topic, lambda message, topic=topic: self.heard.update({topic: message}), qos
            )
        self.actions = node.create_publisher(NavigationAction, 'navigation_action', 1)
        self.sentences = node.create_publisher(String, 'sentence', 10)
        self.done = node.create_publisher(MidLevelCommand, 'mid_level_done', 10)
        self.e_stop = node.create_publisher(Bool, 'e_stop', 10)
        self.faults = node.create_publisher(String, 'base_fault', 10)
        self.scans = node.create_publisher(LaserScan, 'scan', qos_profile_sensor_data)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(node)
        self._thread = threading.Thread(target=self.executor.spin)
        self._thread.start()

    def close(self):
        self.executor.shutdown()
        self._thread.join()
        self.context.shutdown()

    def _on_command(self, message):
        twist = getattr(message, 'twist', message)
        self.heard['cmd_vel'] = message
        self.commands.append((time.monotonic(), twist.linear.x, twist.angular.z))

    def _on_truth(self, message):
        self.truth, self.truth_at = message, time.monotonic()

    @property
    def status(self):
        return self.statuses[-1] if self.statuses else MotionStatus(message='none yet')

    @property
    def diagnosis(self):
        return {pair.key: pair.value for pair in self.heard['/diagnostics'].status[0].values}

    @property
    def pose(self):
        """Where the base really is: x, y (m), yaw (rad)."""
        pose = self.truth.pose.pose
        return (
            pose.position.x,
            pose.position.y,
            2.0 * math.atan2(pose.orientation.z, pose.orientation.w),
        )

    @property
    def base_moves(self):
        twist = self.truth.twist.twist
        return twist.linear.x != 0.0 or twist.angular.z != 0.0

    @property
    def commands_move(self):
        """Tell whether the last command, if one came just now, asks for motion."""
        at, *velocity = self.commands[-1] if self.commands else (0.0, 0.0)
        return any(velocity) and time.monotonic() < at + 0.3

    def ready(self):
        """Wait until all have found each other and the robot takes actions."""
        wait_for(
            lambda: all(
                publisher.get_subscription_count()
                for publisher in (
                    self.actions,
                    self.sentences,
                    self.done,
                    self.e_stop,
                    self.faults,
                )
            ),
            'executor and base',
        )
        wait_for(
            lambda: (
                self.truth
                and self.status.state == MotionStatus.STATE_IDLE
                and not self.status.message
            ),
            'odometry to arrive',
        )

    def act(self, action, **fields):
        fields = {'instruction_id': 'test', 'step': self._step, **fields}
        self._step += 1
        message = NavigationAction(action=action, **fields)
        message.header.stamp = self.node.get_clock().now().to_msg()
        self.actions.publish(message)
        return message

    def ended(self, step):
        return (
            self.status.step == step
            and self.status.result != MotionStatus.RESULT_NONE
            and self.status.state not in (MotionStatus.STATE_MOVING, MotionStatus.STATE_SETTLING)
        )

    def do(self, action, **fields):
        """Execute an action; return its last status."""
        step = self.act(action, **fields).step
        wait_for(lambda: self.ended(step), f'the end of step {step}')
        return self.status

    def start_moving(self, action=1):
        self.act(action)
        wait_for(
            lambda: self.base_moves and self.commands and self.commands[-1][1] > 0.1,
            'the base to move',
        )

    def wait_for_zero(self, within):
        """Wait until zero is commanded; within: s of wall time on a machine that keeps up."""
        wait_for(
            lambda: self.commands and self.commands[-1][1:] == (0.0, 0.0),
            'a zero command',
            within + 2.0,
        )

    def assert_stands(self, seconds=0.6):
        """Assert that no motion is commanded any more, and that the base is at rest."""
        wait_for(lambda: not self.base_moves, 'the base to rest', 5.0)
        wait_for(lambda: not self.commands_move, 'the last command', 5.0)  # truth may overtake it
        self.commands.clear()
        stays(lambda: not self.base_moves, 'the base at rest', seconds)
        assert all(command[1:] == (0.0, 0.0) for command in self.commands)

    def call(self, kind, name, request):
        client = self.node.create_client(kind, name)
        assert client.wait_for_service(PATIENCE)
        future = client.call_async(request)
        wait_for(future.done, f'an answer of {name}')
        return future.result()

    def change(self, transition):
        """Ask for a transition of the executor's lifecycle; tell whether it succeeded."""
        request = ChangeState.Request(transition=Transition(id=transition))
        return self.call(ChangeState, 'motion_executor/change_state', request).success

    def lifecycle_state(self):
        answer = self.call(GetState, 'motion_executor/get_state', GetState.Request())
        return answer.current_state.label

    def set_parameter(self, name, value):
        if isinstance(value, str):
            value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)
        elif isinstance(value, bool):
            value = ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=value)
        else:
            value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
        request = SetParameters.Request(parameters=[Parameter(name=name, value=value)])
        return self.call(SetParameters, 'motion_executor/set_parameters', request).results[0]
