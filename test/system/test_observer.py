"""What the demo resets of its simulated robot, and what it leaves to a person."""

from janusvln_ros.msg import MotionStatus
from janusvln_ros.nodes.common.qos import LATEST
from janusvln_ros.system.observer import Observer
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from ros import spinning
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


def test_a_fault_is_reset_an_e_stop_and_another_robot_are_not(tmp_path, ros_domain):
    rclpy.init(args=[], domain_id=ros_domain)
    observer = Observer(tmp_path / 'video.mp4', False)
    executor = SingleThreadedExecutor()
    executor.add_node(observer)

    def look(state):
        robot.says.publish(MotionStatus(state=state))
        executor.spin_once(0.05)
        observer.release()
        return observer.motion is not None and observer.motion.state == state

    try:
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
    finally:
        observer.destroy_node()
        rclpy.shutdown()
