"""One robot of the console: its topics, services and actions."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
import time
from typing import Any
import zlib

from action_msgs.srv import CancelGoal
import cv2
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from janusvln_ros.action import Navigate
from janusvln_ros.console.facts import Facts
from janusvln_ros.imaging.encodings import to_rgb
from janusvln_ros.motion.types import Result
from janusvln_ros.motion.types import State as MotionState
from janusvln_ros.msg import MotionStatus, NavigationAction, NavigatorStatus
from janusvln_ros.navigation.mission import Reason, State
from janusvln_ros.nodes.common.conversions import seconds, yaw
from janusvln_ros.nodes.common.qos import LATCHED, LATEST, RELIABLE, SENSOR
from nav_msgs.msg import OccupancyGrid, Odometry
import numpy as np
from rclpy.action import ActionClient
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from rclpy.time import Time
from sensor_msgs.msg import BatteryState, CompressedImage, Image
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

_PRESS = 0.05  # s between two messages of a pressed button
_LEAST = 3  # messages of a press
_REFUSED = 1.5  # s that the reason of a refusal may come later
_SHADES = (52, 20, 165)  # free, unknown, occupied


class _Hand:
    """
    Sends velocities (m/s, rad/s) by hand from when the episode is paused until it is given.

    One earlier, even zero, would have the executor refuse the navigator's steps, and a few refused
    end the episode.
    """

    def __init__(self, node: Node, topic: str) -> None:
        self._node, self._topic = node, topic
        self._paused: Future[str] | None = None
        self._publisher: Publisher | None = None
        self._stamp = 0  # ns, of the newest

    def take(self, paused: Future[str]) -> None:
        """Begin when the future is done, unless it is an error."""
        self._paused = paused
        paused.add_done_callback(self._begin)

    def _begin(self, paused: Future[str]) -> None:
        if paused is self._paused and paused.exception() is None and self._publisher is None:
            self._publisher = self._node.create_publisher(TwistStamped, self._topic, SENSOR)

    def send(self, linear: float, angular: float) -> None:
        """Send a velocity, if somebody may drive."""
        if self._publisher is None:
            return
        # A simulated time can come twice, and the executor takes only what is newer.
        self._stamp = max(self._stamp + 1, self._node.get_clock().now().nanoseconds)
        message = TwistStamped()
        message.header.stamp = Time(nanoseconds=self._stamp).to_msg()
        message.twist.linear.x, message.twist.angular.z = linear, angular
        self._publisher.publish(message)

    def give(self) -> None:
        """End."""
        self._paused, publisher, self._publisher = None, self._publisher, None
        if publisher is not None and self._node.executor is not None:
            self._node.executor.create_task(self._node.destroy_publisher, publisher)


class ConsoleRobot(Facts):
    """
    A console.robot.Robot over ROS.

    Stop and drive publish at once, in the thread of the caller; all else is done by the thread
    that spins the node.
    """

    def __init__(self, node: Node, space: str, compressed: bool, news: Callable[[], None]) -> None:
        """space: the namespace, '' for the node's own; news: called when a picture has come."""
        name = space.strip('/') or node.get_namespace().strip('/') or 'robot'
        super().__init__(name, lambda: node.get_clock().now().nanoseconds * 1e-9)
        self._node, self._news, self._compressed = node, news, compressed
        self._root = f'/{space.strip("/")}/' if space.strip('/') else ''
        self._images: Subscription | None = None
        self._hand = _Hand(node, f'{self._root}manual_velocity')
        self._map: tuple[dict[str, Any], bytes] | None = None
        self._pressed: int | None = None  # messages of the press that goes on
        self._refused: tuple[Future[str], float] | None = None
        for kind, topic, listener, quality in (
            (NavigatorStatus, 'navigator_status', self._on_navigator, LATEST),
            (NavigationAction, 'navigation_action', self._on_action, RELIABLE),
            (MotionStatus, 'motion_status', self._on_motion, LATEST),
            (Odometry, 'odom', partial(self._on_pose, 'odometry'), SENSOR),
            (Odometry, 'ground_truth', partial(self._on_pose, 'truth'), SENSOR),
            (BatteryState, 'battery_state', self._on_battery, SENSOR),
            (DiagnosticStatus, 'policy_settings', self._on_settings, LATCHED),
            (OccupancyGrid, 'map', self._on_map, LATCHED),
        ):
            node.create_subscription(kind, self._root + topic, listener, quality)
        node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, RELIABLE)
        self._e_stop = node.create_publisher(Bool, f'{self._root}e_stop', RELIABLE)
        self._services = {
            verb: node.create_client(Trigger, self._root + verb)
            for verb in ('pause', 'resume', 'reset_memory', 'reset_e_stop')
        }
        self._goals = ActionClient(node, Navigate, f'{self._root}navigate')
        self._cancel = node.create_client(CancelGoal, f'{self._root}navigate/_action/cancel_goal')
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(_PRESS, self._press, clock=steady)

    # ---- what comes ----

    def _on_navigator(self, message: NavigatorStatus) -> None:
        self.on_navigator(
            state=_name(State, message.state),
            reason=_name(Reason, message.reason),
            instruction_id=message.instruction_id,
            instruction=message.instruction,
            step=message.step,
            frames=message.memory_frames,
            bytes=message.memory_bytes,
            message=message.message,
        )

    def _on_action(self, message: NavigationAction) -> None:
        if message.instruction_id:
            self.on_decision(
                seconds(message.header.stamp),
                message.instruction_id,
                step=message.step,
                action=message.action,
                probabilities=[float(share) for share in message.probabilities],
                seconds=message.decision_time,
            )

    def _on_motion(self, message: MotionStatus) -> None:
        self.hear(
            'motion',
            state=_name(MotionState, message.state),
            result=_name(Result, message.result),
            message=message.message,
            open_loop=message.open_loop,
        )

    def _on_pose(self, kind: str, message: Odometry) -> None:
        pose, twist = message.pose.pose, message.twist.twist
        place = round(pose.position.x, 4), round(pose.position.y, 4)
        self.on_pose(
            kind,
            *place,
            round(yaw(pose.orientation), 4),
            linear=round(twist.linear.x, 3),
            angular=round(twist.angular.z, 3),
        )

    def _on_battery(self, message: BatteryState) -> None:
        if 0.0 <= message.percentage <= 1.0:
            self.hear('battery', percent=round(100.0 * message.percentage))

    def _on_settings(self, message: DiagnosticStatus) -> None:
        self.on_settings({pair.key: pair.value for pair in message.values})

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if not status.name.startswith(self._root or ''):
                continue
            self.on_light(status.name, min(3, ord(status.level)), status.message)
            said = next((one.value for one in status.values if one.key == 'last error'), '')
            if self._refused and said.startswith('instruction refused: '):
                self._answer_refused(said)

    def _on_image(self, message: Image | CompressedImage) -> None:
        def rgb() -> np.ndarray:
            return to_rgb(message)

        self.on_picture(seconds(message.header.stamp), zlib.crc32(message.data), rgb)
        self._news()

    def _on_map(self, message: OccupancyGrid) -> None:
        info, origin = message.info, message.info.origin
        if not info.width * info.height or info.width * info.height > 1 << 24:
            return
        cells = np.asarray(message.data, np.int8).reshape(info.height, info.width)
        free, unknown, occupied = _SHADES
        shades = np.where(cells < 0, unknown, np.where(cells > 50, occupied, free))
        _, png = cv2.imencode('.png', shades[::-1].astype(np.uint8))
        place = {
            'x': origin.position.x,
            'y': origin.position.y,
            'width': info.width * info.resolution,
            'height': info.height * info.resolution,
            'version': (self._map[0]['version'] if self._map else 0) + 1,
        }
        self._map = (place, png.tobytes())
        self.hear('map', **place)

    # ---- what is asked for ----

    def chart(self) -> tuple[dict[str, Any], bytes] | None:
        """Return the map: its place, and its picture as PNG."""
        return self._map

    def state(self) -> dict[str, Any]:
        """Return all that is known; stop: none, pressed (not acknowledged) or stopped."""
        stopped = self.motion == 'ESTOPPED'
        pressed = 'stopped' if stopped else 'none' if self._pressed is None else 'pressed'
        return {**super().state(), 'stop': pressed}

    def watch(self, looks: bool) -> None:
        """Subscribe to the pictures for as long as somebody looks."""
        self._later(self._watch, looks)

    def _watch(self, looks: bool) -> None:
        if looks and self._images is None:
            kind, topic = (
                (CompressedImage, 'image/compressed') if self._compressed else (Image, 'image')
            )
            self._images = self._node.create_subscription(
                kind, self._root + topic, self._on_image, SENSOR
            )
        elif not looks and self._images is not None:
            self._node.destroy_subscription(self._images)
            self._images = None

    def stop(self) -> None:
        """Press the button; it is released when the executor says that it has stopped."""
        self._e_stop.publish(Bool(data=True))
        self._pressed = 1

    def _press(self) -> None:
        """Say again what has not been acknowledged."""
        if self._refused and time.monotonic() > self._refused[1]:
            self._answer_refused('the navigator refuses it; its log tells why')
        if self._pressed is None:
            return
        if self.motion == 'ESTOPPED' and self._pressed >= _LEAST:
            self._pressed = None
            self._e_stop.publish(Bool(data=False))
            return
        self._pressed += 1
        self._e_stop.publish(Bool(data=True))

    def act(self, verb: str, text: str) -> Future[str]:
        """Do what is asked for; the answer comes later."""
        answer: Future[str] = Future()
        answer.set_running_or_notify_cancel()
        if verb == 'send':
            self._later(self._send, text, answer)
        elif verb == 'cancel':
            self._later(self._cancel_all, answer)
        else:
            self._later(self._call, verb, answer)
        return answer

    def take(self) -> Future[str]:
        """Pause the episode; velocities by hand are sent once it is paused."""
        answer: Future[str] = Future()
        if self.at_work:
            answer = self.act('pause', '')
        else:
            answer.set_result('')
        self._hand.take(answer)
        return answer

    def drive(self, linear: float, angular: float) -> None:
        """Send a velocity; the executor has the last word."""
        self._hand.send(linear, angular)

    def give(self) -> None:
        """Say zero, and let go."""
        self._hand.send(0.0, 0.0)
        self._hand.give()

    def _later(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Have the thread that spins the node call something."""
        executor = self._node.executor
        if executor is not None:
            executor.create_task(function, *arguments)

    def _call(self, verb: str, answer: Future[str]) -> None:
        client = self._services[verb]
        if not client.service_is_ready():
            answer.set_exception(
                ValueError(f'{client.srv_name} is not there: is its node running?')
            )
            return

        def done(future: Any) -> None:
            response = future.result()
            if response.success:
                answer.set_result(response.message)
            else:
                answer.set_exception(ValueError(response.message))

        client.call_async(Trigger.Request()).add_done_callback(done)

    def _send(self, text: str, answer: Future[str]) -> None:
        if not self._goals.server_is_ready():
            answer.set_exception(ValueError('navigate is not there: is the navigator running?'))
            return

        def asked(future: Any) -> None:
            handle = future.result()
            if handle.accepted:
                answer.set_result('accepted')
                handle.get_result_async().add_done_callback(ended)
            else:
                self._refused = (answer, time.monotonic() + _REFUSED)

        def ended(future: Any) -> None:
            result = future.result().result
            self.hear(
                'result', code=_name(Reason, result.code), text=result.message, steps=result.steps
            )

        self._goals.send_goal_async(Navigate.Goal(instruction=text)).add_done_callback(asked)

    def _answer_refused(self, why: str) -> None:
        if self._refused:
            self._refused[0].set_exception(ValueError(why))
            self._refused = None

    def _cancel_all(self, answer: Future[str]) -> None:
        """Cancel every goal; an instruction that came by the topic is none, and is paused."""
        if not self._cancel.service_is_ready():
            answer.set_exception(ValueError('navigate is not there: is the navigator running?'))
            return

        def done(future: Any) -> None:
            if future.result().goals_canceling:
                answer.set_result('canceled')
            elif self.at_work:
                self._call('pause', answer)
            else:
                answer.set_exception(ValueError('there is nothing to cancel'))

        self._cancel.call_async(CancelGoal.Request()).add_done_callback(done)


def _name(kind: Any, value: int) -> str:
    return kind(value).name if value in iter(kind) else str(value)
