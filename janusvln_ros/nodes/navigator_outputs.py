"""What the navigator publishes: actions, status, debug image, diagnostics."""

from __future__ import annotations

from collections.abc import Mapping
import sys
import uuid

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from janusvln_ros.actions import ACTION_NAMES
from janusvln_ros.imaging.overlay import annotate
from janusvln_ros.msg import NavigationAction, NavigatorStatus
from janusvln_ros.navigation.mission import Mission, Reason
from janusvln_ros.navigation.session import Order, Session
from janusvln_ros.nodes.common.conversions import to_image
from janusvln_ros.nodes.common.diagnostics import diagnostics, Latencies, Rate
from janusvln_ros.nodes.common.qos import LATCHED, LATEST, RELIABLE, SENSOR
from janusvln_ros.nodes.depth_outputs import DepthOutputs
from janusvln_ros.nodes.navigate_server import NavigateServer
from janusvln_ros.policy.interface import Policy
import numpy as np
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image
from std_msgs.msg import Header

_MODES = {'step': NavigatorStatus.MODE_STEP, 'continuous': NavigatorStatus.MODE_CONTINUOUS}
_OLD = 2.0  # s that a camera may be silent before the diagnostics warn


class NavigatorOutputs:
    """The outlet of a session, and what else the node tells."""

    def __init__(self, node: LifecycleNode, goals: NavigateServer, depth: DepthOutputs) -> None:
        self._node, self._goals, self._depth = node, goals, depth
        self.session_id = uuid.uuid4().hex  # of this run
        self.frames = Rate()
        self.last_error = ''
        self._bad_frames, self._decisions = Rate(), Rate()
        self._latencies, self._times = Latencies(), Latencies()
        self._frame_id = ''
        self._told: tuple = ()
        self._action = node.create_lifecycle_publisher(
            NavigationAction, 'navigation_action', LATEST
        )
        self._debug = node.create_lifecycle_publisher(Image, 'debug_image', SENSOR)
        self._status = node.create_publisher(NavigatorStatus, 'navigator_status', LATCHED)
        self._settings = node.create_publisher(DiagnosticStatus, 'policy_settings', LATCHED)
        self._diagnostics = node.create_publisher(DiagnosticArray, '/diagnostics', RELIABLE)

    def wait(self, seconds: float) -> None:
        """Wait until the last status has arrived, or for some time: the process ends now."""
        self._status.wait_for_all_acked(Duration(seconds=seconds))

    def began(self, mission: Mission) -> None:
        """Log a new instruction."""
        self._node.get_logger().info(
            f'episode {mission.instruction_id[:8]}: {mission.instruction!r}'
        )

    def send(self, order: Order) -> None:
        """Publish an action, stamped as the picture it was decided from."""
        stamp = self._node.get_clock().now().to_msg()
        header = Header(stamp=stamp, frame_id=self._frame_id)
        if order.frame:
            header = order.frame.message.header
            self._frame_id = header.frame_id
            self._decisions.count()
            self._latencies.add(order.latency)
            self._times.add(order.seconds)
            self._goals.tell(order)
        self._action.publish(
            NavigationAction(
                header=header,
                instruction_id=order.mission.instruction_id,
                step=order.step,
                action=order.action,
                probabilities=order.probabilities,
                decision_time=order.seconds,
                session_id=self.session_id,
            )
        )

    def loaded(self, settings: Mapping[str, str]) -> None:
        """Publish what the policy runs with, for recordings."""
        values = [KeyValue(key=key, value=value) for key, value in settings.items()]
        self._settings.publish(DiagnosticStatus(name='policy', values=values))

    def settled(self, mission: Mission) -> None:
        """Tell how a mission ended."""
        # Whether the policy stopped at the right place, nobody here knows.
        how = 'ended' if mission.reason == Reason.SUCCEEDED else mission.reason.name
        self._node.get_logger().info(
            f'episode {mission.instruction_id[:8]}: {how} after {mission.step} steps: '
            f'{mission.message}'
        )
        self._goals.settle(mission)

    def refused(self, why: str) -> None:
        """Log why a frame cannot be used."""
        self._bad_frames.count()
        self.last_error = why
        self._node.get_logger().warning(f'frame refused: {why}', throttle_duration_sec=5.0)

    def failed(self, why: str) -> None:
        """Log an error."""
        self.last_error = why
        self._node.get_logger().error(why)

    def changed(self, session: Session) -> None:
        """Publish the status, if there is something new in it."""
        mission = session.mission
        news = (session.state, mission, mission and (mission.reason, mission.step))
        if news != self._told:
            self.publish_status(session)

    def publish_status(self, session: Session) -> None:
        """Publish the status, news or not."""
        state, mission = session.state, session.mission
        self._told = (state, mission, mission and (mission.reason, mission.step))
        status = NavigatorStatus(
            state=int(state),
            memory_frames=session.memory.frames,
            memory_bytes=session.memory.bytes,
            session_id=self.session_id,
            execution_mode=_MODES[self._node.get_parameter('execution_mode').value],
        )
        status.header.stamp = self._node.get_clock().now().to_msg()
        if mission:
            status.reason = int(mission.reason)
            status.instruction_id, status.instruction = mission.instruction_id, mission.instruction
            status.step, status.message = mission.step, mission.message
        self._status.publish(status)

    def wants_depth(self) -> bool:
        """Whether somebody listens to depth, or looks at the debug image, which shows it."""
        return self._depth.wanted() or (self._depth.offered and self._looked_at())

    def draw(self, order: Order, rgb: np.ndarray) -> None:
        """Publish depth and the debug image of a decision, if somebody looks."""
        depth = self._depth.publish(order, rgb)
        if order.frame is None or not self._looked_at():
            return
        if depth is None and self._depth.offered:
            return  # who looks since a moment ago gets pictures of one size
        picture = annotate(
            rgb,
            instruction=order.mission.instruction,
            step=order.step,
            action_name=ACTION_NAMES[order.action],
            probabilities=order.probabilities,
            latency=order.latency,
            memory=(order.memory.frames, order.memory.capacity),
            depth=depth,
        )
        self._debug.publish(to_image(picture, order.frame.message.header))

    def _looked_at(self) -> bool:
        return self._debug.get_subscription_count() > 0

    def publish_diagnostics(
        self, session: Session, checkpoint: str, policy: Policy | None
    ) -> None:
        """Publish the diagnostics; policy: the loaded one."""
        now = self._node.get_clock().now()
        frame, mission, memory = session.frame, session.mission, session.memory
        level, message = DiagnosticStatus.OK, 'inactive'
        if session.active:
            message = session.state.name.lower()
            if mission and mission.ended and mission.reason != Reason.SUCCEEDED:
                message += f'; last episode: {mission.reason.name}: {mission.message}'
            if frame is None or now.nanoseconds - frame.arrived > _OLD * 1e9:
                level, message = DiagnosticStatus.WARN, f'{message}; no camera frames'
        age = (now.nanoseconds - frame.stamp) / 1e9 if frame else float('nan')
        values = {
            'frames': self.frames.total,
            'frames per second': self.frames.hertz,
            'refused frames': self._bad_frames.total,
            'decisions per second': self._decisions.hertz,
            'decision time p50 (s)': self._times.percentile(50),
            'decision time p95 (s)': self._times.percentile(95),
            'latency from image stamp p50 (s)': self._latencies.percentile(50),
            'latency from image stamp p95 (s)': self._latencies.percentile(95),
            'age of newest image (s)': age,
            'memory frames': memory.frames,
            'memory capacity': memory.capacity,
            'memory bytes': memory.bytes,
            'GPU bytes': _gpu_bytes() if policy else 0,  # torch may still be half imported before
            **self._depth.values(),
            'checkpoint': checkpoint,
            'random weights': policy is not None and policy.random_weights,
            'last error': self.last_error,
        }
        name = f'{self._node.get_fully_qualified_name()}: navigation'
        self._diagnostics.publish(diagnostics(name, level, message, values, now.to_msg()))


def _gpu_bytes() -> int:
    torch = sys.modules.get('torch')
    return torch.cuda.memory_allocated() if torch and torch.cuda.is_available() else 0
