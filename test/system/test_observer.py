"""When the demo takes its robot for ready; what it resets of it, what it leaves to a person."""

from contextlib import contextmanager

from janusvln_ros.msg import MotionStatus, NavigatorStatus
from janusvln_ros.nodes.common.qos import LATCHED, LATEST
from janusvln_ros.recordings.writer import BagWriter
from janusvln_ros.system.bag_recording import record_topics
from janusvln_ros.system.observer import Observer
from nav_msgs.msg import Odometry
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from ros import spinning
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger
from waiting import wait_for

pytestmark = pytest.mark.ros


class Robot(Node):
    def __init__(self, context):
        super().__init__('robot', context=context)
        self.resets = 0
        self.says = self.create_publisher(MotionStatus, 'motion_status', LATEST)
        self.create_service(Trigger, 'reset_e_stop', self._on_reset)

    def _on_reset(self, request, response):
        self.resets += 1
        return response


@contextmanager
def observing(tmp_path, domain):
    """Give an observer that spins when `look` is called."""
    rclpy.init(args=[], domain_id=domain)
    observer = Observer(tmp_path / 'video.mp4', False)
    executor = SingleThreadedExecutor()
    executor.add_node(observer)
    try:
        yield observer, executor
    finally:
        observer.destroy_node()
        rclpy.shutdown()


def test_nobody_is_ready_whom_the_instruction_would_not_reach(tmp_path, ros_domain):
    """What records the demo's bag hears instructions, too."""
    with observing(tmp_path, ros_domain) as (observer, executor):
        bag = BagWriter(tmp_path / 'bag')
        record_topics(observer, bag)
        with spinning(Robot, ros_domain) as robot:
            image = robot.create_publisher(Image, 'image', 10)
            pose = robot.create_publisher(Odometry, 'ground_truth', 10)
            status = robot.create_publisher(NavigatorStatus, 'navigator_status', LATCHED)
            status.publish(NavigatorStatus(state=NavigatorStatus.STATE_IDLE))

            def ready():
                robot.says.publish(MotionStatus(state=MotionStatus.STATE_IDLE))
                image.publish(Image())
                pose.publish(Odometry())
                for _ in range(10):  # messages that have come
                    executor.spin_once(0.01)
                return observer.ready

            def all_but_the_instruction():
                assert not ready()
                return observer.pose and observer.frames and observer.motion and observer.status

            wait_for(all_but_the_instruction, 'robot', 30)
            for _ in range(40):
                assert not ready()
            robot.create_subscription(String, 'instruction', lambda _: None, 10)
            wait_for(ready, 'a listener', 30)
        bag.close()


def test_a_fault_is_reset_an_e_stop_and_another_robot_are_not(tmp_path, ros_domain):
    with observing(tmp_path, ros_domain) as (observer, executor):

        def look(state):
            robot.says.publish(MotionStatus(state=state))
            executor.spin_once(0.05)
            observer.release()
            return observer.motion is not None and observer.motion.state == state

        with spinning(Robot, ros_domain) as robot:
            wait_for(lambda: look(MotionStatus.STATE_ESTOPPED), 'the e-stop', 30)
            for _ in range(20):
                look(MotionStatus.STATE_ESTOPPED)
            assert not robot.resets
            with spinning(Robot, ros_domain) as other:
                wait_for(lambda: observer.count_publishers('motion_status') == 2, 'another', 30)
                for _ in range(20):
                    look(MotionStatus.STATE_FAULT)
                assert not robot.resets and not other.resets
            wait_for(lambda: look(MotionStatus.STATE_FAULT) and robot.resets, 'a reset', 30)
