"""Who else is there: masters of the base, executors, navigators, an e-stop that latches."""

from __future__ import annotations

import time
from typing import Any

from geometry_msgs.msg import Twist
from janusvln_ros.motion.bases import Output
from janusvln_ros.motion.executor import Executor
from janusvln_ros.msg import MidLevelCommand
from janusvln_ros.nodes.executor_outputs import ExecutorOutputs
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, qos_profile_sensor_data
from rclpy.subscription import Subscription

_PERIOD = 0.2  # s of wall time between two looks at the graph: one takes 0.3 ms


class ExecutorNeighbours:
    """
    Looks at the graph and tells the executor.

    Where our commands go it also listens, but only while somebody else publishes there: who
    shares the topic and is silent may be allowed to (exclusive_command).
    """

    def __init__(self, node: LifecycleNode, core: Executor, outputs: ExecutorOutputs) -> None:
        self._node, self._core, self._outputs = node, core, outputs
        commands = core.config.output.output is Output.COMMAND
        self._topic = 'mid_level_command' if commands else 'cmd_vel'
        self._listener: Subscription | None = None
        node.create_timer(_PERIOD, self.look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def look(self) -> None:
        """Look who is there."""
        commanders = self._others(self._topic)
        self._core.masters.see(commanders, self._others('motion_status'))
        self._outputs.navigators = self._publishers('navigation_action')
        if commanders and self._listener is None:
            self._listener = self._node.create_subscription(
                self._outputs.commands.msg_type,
                self._topic,
                self._on_command,
                qos_profile_sensor_data,
            )
        elif not commanders and self._listener is not None:
            self._node.destroy_subscription(self._listener)
            self._listener = None

    def listen(self) -> None:
        """Look whether somebody latches an e_stop that has not arrived yet."""
        button = self._core.e_stop
        latches = not button.heard and any(
            publisher.qos_profile.durability is DurabilityPolicy.TRANSIENT_LOCAL
            for publisher in self._node.get_publishers_info_by_topic('e_stop')
        )
        button.listen(latches, time.monotonic())

    def _publishers(self, topic: str) -> list[str]:
        return sorted(
            f'{one.node_namespace.rstrip("/")}/{one.node_name}'
            for one in self._node.get_publishers_info_by_topic(topic)
        )

    def _others(self, topic: str) -> list[str]:
        names = self._publishers(topic)
        own = self._node.get_fully_qualified_name()
        if own in names:  # once: a second executor may have our name
            names.remove(own)
        return names

    def _on_command(self, message: Any) -> None:
        if not self._outputs.was_sent(message) and _moves(message):
            self._core.masters.hear(self._node.get_clock().now().nanoseconds * 1e-9)


def _moves(message: Any) -> bool:
    """Tell whether a command asks for motion; zero is what everybody may say."""
    if isinstance(message, MidLevelCommand):
        return bool(message.type != MidLevelCommand.STOP)
    twist = getattr(message, 'twist', message)
    return bool(twist != Twist())
