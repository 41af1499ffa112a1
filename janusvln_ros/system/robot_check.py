"""A robot looked at from outside, over DDS: its camera, odometry, velocities and button."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
import math
import os
import statistics
import time
from typing import Any

from janusvln_ros.imaging.encodings import ImageError, to_rgb
from janusvln_ros.measurement.findings import FAIL, Finding, OK, WARN
from janusvln_ros.nodes.common.conversions import seconds
from janusvln_ros.system.host_check import check_transport, environment
from nav_msgs.msg import Odometry
import rclpy
from rclpy.exceptions import NameValidationException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

DISCOVERY = 4.0  # s that a robot has to be found
LEAST_CAMERA, LEAST_ODOMETRY = 5.0, 10.0  # Hz
MOST_DELAY = 0.3  # s between stamp and arrival; motion_executor stops at its odometry_delay
MOST_AHEAD = 0.1  # s that a stamp may lie in the future
CLOCKS = 2.0  # s: what is off by more is a matter of clocks, not of delays
_FRESH = QoSProfile(depth=20, reliability=ReliabilityPolicy.BEST_EFFORT)
_SYNCHRONISE = 'synchronise the clocks (chrony), or let the driver stamp with the ROS clock'


@dataclass(frozen=True)
class RobotTopics:
    """Where the robot is looked for; names as in a node's own namespace."""

    namespace: str = '/'
    image: str = 'image'
    odometry: str = 'odom'
    velocity: str = 'cmd_vel'
    e_stop: str = 'e_stop'


@dataclass
class Stream:
    """What came on a topic: s of arrival and of the stamps, by the ROS clock."""

    arrivals: list[float] = field(default_factory=list)
    stamps: list[float] = field(default_factory=list)
    first: Any = None

    def add(self, message: Any, now: float) -> None:
        """Take in a message."""
        self.first = self.first or message
        self.arrivals.append(now)
        self.stamps.append(seconds(message.header.stamp))

    @property
    def rate(self) -> float:
        """Hz by the stamps, whatever was lost on the way; 0 for fewer than 2 messages."""
        steps = [b - a for a, b in zip(self.stamps, self.stamps[1:])]
        period = statistics.median(steps) if steps else 0.0
        if period > 0:
            return 1.0 / period
        span = self.arrivals[-1] - self.arrivals[0] if steps else 0.0
        return len(steps) / span if span > 0 else 0.0

    @property
    def delay(self) -> float:
        """Median of the s from stamp to arrival."""
        return statistics.median(a - s for a, s in zip(self.arrivals, self.stamps))


class Doctor(Node):
    """Listens to a robot and says nothing."""

    def __init__(self, topics: RobotTopics, context: rclpy.Context) -> None:
        super().__init__(f'doctor_{os.getpid()}', context=context, namespace=topics.namespace)
        self.camera, self.odometry = Stream(), Stream()
        self.image = self.resolve_topic_name(topics.image)
        self.odom = self.resolve_topic_name(topics.odometry)
        self.velocity = self.resolve_topic_name(topics.velocity)
        self.e_stop = self.resolve_topic_name(topics.e_stop)

    def types(self, topic: str) -> list[str]:
        """List the types under which a topic is known."""
        return dict(self.get_topic_names_and_types()).get(topic, [])

    def found(self) -> bool:
        """Tell whether camera and odometry have somebody who publishes them."""
        camera = self.count_publishers(self.image) or self.count_publishers(self._compressed)
        return bool(camera and self.count_publishers(self.odom))

    @property
    def _compressed(self) -> str:
        return f'{self.image}/compressed'

    def listen(self) -> None:
        """Subscribe, by the robot's time where it has one of its own."""
        if self.count_publishers('/clock'):
            self.set_parameters([Parameter('use_sim_time', value=True)])
        if not self.count_publishers(self.image) and self.count_publishers(self._compressed):
            self.image = self._compressed
        compressed = 'sensor_msgs/msg/CompressedImage' in self.types(self.image)
        self._hear(CompressedImage if compressed else Image, self.image, self.camera)
        self._hear(Odometry, self.odom, self.odometry)

    def _hear(self, kind: type, topic: str, stream: Stream) -> None:
        def add(message: Any) -> None:
            stream.add(message, self.get_clock().now().nanoseconds * 1e-9)

        self.create_subscription(kind, topic, add, _FRESH)

    def others(self, kind: str) -> str:
        """Name the topics of a type that somebody publishes."""
        found = [
            name
            for name, types in self.get_topic_names_and_types()
            if kind in types and self.count_publishers(name)
        ]
        return ', '.join(found)

    def senders(self, topic: str) -> list[str]:
        """Name the nodes that publish a topic."""
        infos = self.get_publishers_info_by_topic(topic)
        return sorted(f'{i.node_namespace.rstrip("/")}/{i.node_name}' for i in infos)


def check_robot(topics: RobotTopics, listening: float, e_stop_required: bool) -> Iterator[Finding]:
    """
    Listen for so many seconds, then tell; the context and node are this function's own.

    Raises ValueError for a namespace or a topic that ROS does not allow.
    """
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    executor = SingleThreadedExecutor(context=context)
    try:
        node = Doctor(topics, context)
    except (NameValidationException, RuntimeError) as error:  # RCLError is private
        context.try_shutdown()
        raise ValueError(str(error).splitlines()[0]) from None
    executor.add_node(node)

    def spin(until: float) -> None:
        executor.spin_once(timeout_sec=max(0.0, min(0.1, until - time.monotonic())))

    try:
        end = time.monotonic() + DISCOVERY
        while time.monotonic() < end and not node.found():
            spin(end)
        node.listen()
        end = time.monotonic() + listening
        while time.monotonic() < end:
            spin(end)
        yield from _camera(node, listening)
        yield from _odometry(node)
        yield _velocity(node)
        yield _e_stop(node, e_stop_required)
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


def _camera(node: Doctor, listening: float) -> Iterator[Finding]:
    stream, image = node.camera, node.camera.first
    senders = node.count_publishers(node.image)
    raw = 'sensor_msgs/msg/Image' in node.types(node.image) and senders > 0
    size = len(image.data) if image is not None and raw else int(raw)
    expected = max(1.0, stream.rate * listening)
    transport = check_transport(
        rclpy.get_rmw_implementation_identifier(),
        environment(),
        size,
        min(1.0, len(stream.stamps) / expected) if stream.stamps else 0.0,
    )
    if image is None:
        kinds = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
        yield _silent('camera', node, node.image, kinds, '--image-topic')
        yield transport
        return
    try:
        height, width = to_rgb(image).shape[:2]
    except ImageError as error:
        yield Finding(
            FAIL, 'camera picture', str(error), "set the camera driver's format to rgb8 or bgr8"
        )
    else:
        kind = getattr(image, 'encoding', '') or getattr(image, 'format', '')
        yield Finding(OK, 'camera picture', f'{width}x{height} {kind} on {node.image}')
    yield _rate('camera', stream, LEAST_CAMERA)
    yield _delay('camera', stream)
    yield transport


def _odometry(node: Doctor) -> Iterator[Finding]:
    stream = node.odometry
    if stream.first is None:
        yield _silent('odometry', node, node.odom, ('nav_msgs/msg/Odometry',), '--odom-topic')
        return
    pose = stream.first.pose.pose
    numbers = [pose.position.x, pose.position.y, pose.orientation.z, pose.orientation.w]
    if not all(map(math.isfinite, numbers)) or not any(numbers[2:]):
        yield Finding(FAIL, 'odometry pose', f'it is no pose: {numbers}', 'look at its driver')
    else:
        frame = stream.first.header.frame_id
        yield Finding(OK, 'odometry pose', f'in frame {frame!r} on {node.odom}')
    yield _rate('odometry', stream, LEAST_ODOMETRY)
    yield _delay('odometry', stream)


def _silent(about: str, node: Doctor, topic: str, kinds: tuple[str, ...], option: str) -> Finding:
    if not node.count_publishers(topic):
        others = ', '.join(filter(None, map(node.others, kinds)))
        do = f'start its driver, or name another topic by {option}'
        text = f'nobody publishes {topic}'
        here = ' '.join(f'{name}={value}' for name, value in environment().items())
        return Finding(
            FAIL, about, f'{text}; published are {others}' if others else text,
            do if others else f'{do}; is ROS_DOMAIN_ID the same there? Here: {here or "not set"}',
        )  # fmt: skip
    types = set(node.types(topic))
    if not types & set(kinds):
        return Finding(FAIL, about, f'{topic} is of type {", ".join(types)}', f'another {option}')
    return Finding(
        FAIL, about, f'{", ".join(node.senders(topic))} publishes {topic}, but nothing comes',
        'is it just starting? Else look at the transport profile on both ends and at a firewall',
    )  # fmt: skip


def _rate(about: str, stream: Stream, least: float) -> Finding:
    name, text = f'{about} rate', f'{stream.rate:.2f} Hz'
    if stream.rate < least:
        text += f', needed are {least:g} or more'
        return Finding(FAIL, name, text, "raise the driver's rate")
    return Finding(OK, name, text)


def _delay(about: str, stream: Stream) -> Finding:
    name, delay = f'{about} stamps', stream.delay
    if abs(delay) > CLOCKS or delay < -MOST_AHEAD:
        side = 'behind' if delay > 0 else 'ahead of'
        text = f"{abs(delay):.1f} s {side} this computer's clock"
        return Finding(FAIL, name, text, _SYNCHRONISE)
    text = f'{1000 * delay:.0f} ms before they arrive'
    if delay > MOST_DELAY:
        do = 'stamp when it is measured and send at once: look for a queue, a filter, slow Wi-Fi'
        return Finding(FAIL, name, f'{text}, at most {1000 * MOST_DELAY:.0f} will do', do)
    return Finding(OK, name, text)


def _velocity(node: Doctor) -> Finding:
    about, topic = 'velocities', node.velocity
    publishers = node.senders(topic)
    if len(publishers) > 1:
        return Finding(
            FAIL, about, f'{len(publishers)} publish {topic}: {", ".join(publishers)}',
            'let one drive at a time: stop the others, or twist_mux (docs/robots.md)',
        )  # fmt: skip
    if not node.count_subscribers(topic):
        text = f'nobody listens to {topic}'
        return Finding(FAIL, about, text, 'start the base, or name its topic by --cmd-vel-topic')
    types = node.types(topic)
    if len(types) > 1:
        text = f'{topic} has two types: {", ".join(types)}'
        return Finding(FAIL, about, text, 'stamped_cmd_vel of motion_executor, as the base has it')
    who = f'{publishers[0]} drives' if publishers else 'motion_executor is not there yet'
    return Finding(OK, about, f'a base listens to {topic} ({types[0]}); {who}')


def _e_stop(node: Doctor, required: bool) -> Finding:
    publishers = node.senders(node.e_stop)
    if publishers:
        return Finding(OK, 'e-stop', f'{", ".join(publishers)} publishes {node.e_stop}')
    return Finding(
        FAIL if required else WARN, 'e-stop', f'nobody publishes {node.e_stop}',
        'a button within reach that publishes it (docs/safety.md); e_stop_required:=true makes '
        'the robot stand without one',
    )  # fmt: skip
