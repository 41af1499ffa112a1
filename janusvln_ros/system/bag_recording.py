"""Record what the nodes say to each other into a bag that `janusvln replay` takes."""

from __future__ import annotations

from importlib import import_module

from janusvln_ros.recordings.topics import RecordedTopic, TOPICS
from janusvln_ros.recordings.writer import BagWriter
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy


def record_topics(node: Node, bag: BagWriter) -> None:
    """
    Subscribe to every topic worth recording; the bytes go to the bag as they came.

    Types that this installation does not have (tf2_msgs in ROS 2 from wheels) are left out.
    """
    for topic in TOPICS:
        package, _, name = topic.msgtype.split('/')
        try:
            kind = getattr(import_module(f'{package}.msg'), name)
        except ImportError:
            continue
        _record(node, bag, topic, kind)


def _record(node: Node, bag: BagWriter, topic: RecordedTopic, kind: type) -> None:
    # Deep and reliable: no frame that a decision was taken from may be missing.
    qos = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
    if topic.latched:
        qos.durability = DurabilityPolicy.TRANSIENT_LOCAL
    full_name = node.resolve_topic_name(topic.name)

    def write(data: bytes) -> None:
        bag.write(full_name, topic.msgtype, data, node.get_clock().now().nanoseconds)

    node.create_subscription(kind, topic.name, write, qos, raw=True)
