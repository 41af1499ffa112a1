"""
The link between a robot and a workstation, as a process: what is cut when it is frozen or killed.

    python link.py ROBOT_DOMAIN WORKSTATION_DOMAIN

The two are DDS domains that know nothing of each other. Camera, motion status and instructions go
one way, actions and the heartbeat the other, as they are. A topic is taken up once somebody
listens on the other side, so that what hears the link is heard through it.
"""

import signal
import sys
import threading
import time

from janusvln_ros.msg import MotionStatus, NavigationAction, NavigatorStatus
from janusvln_ros.nodes.common.qos import LATCHED, LATEST
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
from std_msgs.msg import String

TO_WORKSTATION = (
    (Image, 'image', LATEST),
    (MotionStatus, 'motion_status', LATEST),
    (String, 'instruction', LATEST),
)
TO_ROBOT = (
    (NavigationAction, 'navigation_action', LATEST),
    (NavigatorStatus, 'navigator_status', LATCHED),
)


def main() -> None:
    nodes = []
    for side, domain in zip(('robot', 'workstation'), sys.argv[1:3]):
        context = rclpy.Context()
        rclpy.init(args=[], context=context, domain_id=int(domain))
        nodes.append(rclpy.create_node(f'link_{side}', context=context))
    robot, workstation = nodes
    for source, target, topics in (
        (robot, workstation, TO_WORKSTATION),
        (workstation, robot, TO_ROBOT),
    ):
        for kind, topic, qos in topics:
            publisher = target.create_publisher(kind, topic, qos)
            while not publisher.get_subscription_count():
                time.sleep(0.05)
            source.create_subscription(kind, topic, publisher.publish, qos, raw=True)
    executors = [SingleThreadedExecutor(context=node.context) for node in nodes]
    threads = [threading.Thread(target=executor.spin) for executor in executors]
    for executor, node, thread in zip(executors, nodes, threads):
        executor.add_node(node)
        thread.start()
    try:
        signal.pause()
    except KeyboardInterrupt:
        pass
    for executor, node, thread in zip(executors, nodes, threads):
        executor.shutdown()
        thread.join()
        node.context.try_shutdown()


if __name__ == '__main__':
    main()
