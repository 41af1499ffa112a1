"""
What the executor hears of a navigator, as a process: a heartbeat, and one action after another.

    python action_source.py step|continuous
"""

import sys

from janusvln_ros.msg import MotionStatus, NavigationAction, NavigatorStatus
from janusvln_ros.nodes.common.qos import LATCHED, LATEST
import rclpy


def main() -> None:
    rclpy.init(args=[])
    node = rclpy.create_node('action_source')
    actions = node.create_publisher(NavigationAction, 'navigation_action', LATEST)
    heartbeat = node.create_publisher(NavigatorStatus, 'navigator_status', LATCHED)
    step = 0

    def act():
        nonlocal step
        action = NavigationAction(instruction_id='source', step=step, action=1)
        action.header.stamp = node.get_clock().now().to_msg()
        actions.publish(action)
        step += 1

    def on_status(status):
        if status.state == MotionStatus.STATE_IDLE and (step == 0 or status.step == step - 1):
            act()

    if sys.argv[1] == 'continuous':
        node.create_timer(0.3, act)
    else:
        node.create_subscription(MotionStatus, 'motion_status', on_status, LATEST)
    node.create_timer(0.2, lambda: heartbeat.publish(NavigatorStatus()))
    rclpy.spin(node)


if __name__ == '__main__':
    main()
