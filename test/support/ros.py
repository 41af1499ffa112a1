"""What plays a part over ROS beside the nodes that are tested."""

import array
from contextlib import contextmanager
import threading

from diagnostic_msgs.msg import DiagnosticArray
from janusvln_ros.action import Navigate
from janusvln_ros.msg import MotionStatus, NavigationAction, NavigatorStatus
from janusvln_ros.nodes.common.conversions import seconds, to_stamp
from janusvln_ros.nodes.common.qos import LATCHED, LATEST
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
import numpy as np
import quiet  # noqa: F401
import rclpy
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import String
from waiting import wait_for


@contextmanager
def spinning(kind, domain):
    """Give a node, made from its context, that a thread of its own spins."""
    context = rclpy.Context()
    rclpy.init(args=[], context=context, domain_id=domain)
    node = kind(context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin)
    thread.start()
    try:
        yield node
    finally:
        executor.shutdown()
        thread.join()
        node.destroy_node()
        context.try_shutdown()


class Peers(Node):
    """Camera, executor and user of a navigator; what the navigator says is written down."""

    def __init__(self, context, namespace=''):
        super().__init__('peers', context=context, namespace=namespace)
        self.actions, self.statuses, self.diagnostics, self.debug = [], [], [], []
        self.ends = []  # motion_end as it stood when each action came
        self.motion_time = 0.1
        self.message = ''  # of each motion's end
        self.outcome = MotionStatus.RESULT_SUCCEEDED  # of each motion
        self.camera_on = self.executor_on = True
        self.report = MotionStatus(state=MotionStatus.STATE_IDLE)
        self.session, self.mode = 'executor', MotionStatus.MODE_UNKNOWN
        self.repeats = False  # the camera's driver, its last picture
        self.stamp_offset = 0.0  # s that the camera's clock is ahead
        self.pixels = array.array('B', np.zeros((48, 64, 3), np.uint8).tobytes())
        self.images = self.create_publisher(Image, 'image', qos_profile_sensor_data)
        self.motion = self.create_publisher(MotionStatus, 'motion_status', LATEST)
        self.instruction = self.create_publisher(String, 'instruction', 10)
        self.create_subscription(NavigationAction, 'navigation_action', self.on_action, LATEST)
        self.create_subscription(
            NavigatorStatus, 'navigator_status', self.statuses.append, LATCHED
        )
        self.create_subscription(
            DiagnosticArray, '/diagnostics', lambda m: self.diagnostics.append(m.status[0]), 10
        )
        self.create_timer(1 / 30, self.take_picture)
        self.create_timer(0.1, self.publish_report)
        self.client = ActionClient(self, Navigate, 'navigate')
        self.moving = None

    def on_action(self, action):
        self.actions.append(action)
        self.ends.append(seconds(self.report.motion_end))
        if not self.executor_on:
            return
        if self.moving:
            self.moving.cancel()
        done = action.action == action.STOP
        self.report = MotionStatus(
            state=MotionStatus.STATE_IDLE if done else MotionStatus.STATE_MOVING,
            result=MotionStatus.RESULT_CANCELED if done else MotionStatus.RESULT_NONE,
            instruction_id=action.instruction_id,
            step=action.step,
            action=action.action,
            motion_end=self.report.motion_end,
        )
        self.publish_report()
        if not done:
            self.moving = self.create_timer(self.motion_time, self.arrive)

    def arrive(self):
        self.moving.cancel()
        self.report.state, self.report.result = MotionStatus.STATE_IDLE, self.outcome
        self.report.progress, self.report.message = 0.25, self.message
        self.report.motion_end = self.get_clock().now().to_msg()
        self.publish_report()

    def publish_report(self):
        if self.executor_on:
            self.report.session_id, self.report.execution_mode = self.session, self.mode
            self.report.header.stamp = self.get_clock().now().to_msg()
            self.motion.publish(self.report)

    def picture(self):
        if not self.repeats:
            self.pixels[0] = (self.pixels[0] + 1) % 256
        image = Image(height=48, width=64, step=192, encoding='rgb8', data=self.pixels)
        now = self.get_clock().now().nanoseconds * 1e-9
        image.header.stamp = to_stamp(now + self.stamp_offset)
        image.header.frame_id = 'camera_optical_frame'
        return image

    def take_picture(self):
        if self.camera_on:
            self.images.publish(self.picture())

    def say(self, words):
        self.instruction.publish(String(data=words))

    def status(self):
        """Return the newest status; one that says nothing before the first."""
        return self.statuses[-1] if self.statuses else NavigatorStatus()

    def idle(self):
        return self.status().state == NavigatorStatus.STATE_IDLE

    def wait_end(self, reason):
        """Wait for the end of the episode; return its last status."""
        wait_for(lambda: self.status().reason == reason and self.idle(), f'reason {reason}')
        return self.status()

    def wait_steps(self, count):
        wait_for(lambda: len(self.actions) >= count, f'{count} actions')

    def call(self, kind, name, **fields):
        client = self.create_client(kind, name)
        assert client.wait_for_service(20.0), name
        future = client.call_async(kind.Request(**fields))
        wait_for(future.done, name)
        return future.result()

    def change(self, transition):
        return self.call(
            ChangeState, 'navigator/change_state', transition=Transition(id=transition)
        ).success

    def begin_change(self, transition):
        """Ask for a transition; return the future of the answer."""
        client = self.create_client(ChangeState, 'navigator/change_state')
        assert client.wait_for_service(20.0)
        return client.call_async(ChangeState.Request(transition=Transition(id=transition)))

    def lifecycle_state(self):
        return self.call(GetState, 'navigator/get_state').current_state.label

    def ask(self, function, *arguments):
        """Ask in the spinning thread: rclpy's action client loses answers that are too quick."""
        task = self.executor.create_task(function, *arguments)
        wait_for(lambda: task.done() and task.result().done(), 'answer')
        return task.result().result()

    def send_goal(self, words, feedback=None):
        assert self.client.wait_for_server(20.0)
        return self.ask(self.client.send_goal_async, Navigate.Goal(instruction=words), feedback)

    def result(self, goal):
        return self.ask(goal.get_result_async)

    def value(self, key):
        diagnostics = wait_for(lambda: self.diagnostics, 'diagnostics')
        return {pair.key: pair.value for pair in diagnostics[-1].values}[key]
