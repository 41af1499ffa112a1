"""
The navigator: a lifecycle node that turns camera frames and an instruction into actions.

configure loads the checkpoint, activate subscribes, deactivate stops the robot, cleanup frees the
memory. One thread runs the policy, always on the newest frame (navigation.worker); everything else
happens in the thread that spins. They meet in navigation.session.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import gc
import sys
import time
import uuid

from janusvln_ros.motion.types import Result
from janusvln_ros.msg import MotionStatus
from janusvln_ros.navigation.decider import Decider
from janusvln_ros.navigation.mission import MissionParameters, MotionReport
from janusvln_ros.navigation.session import Session
from janusvln_ros.navigation.worker import Worker
from janusvln_ros.nodes.common.conversions import nanoseconds
from janusvln_ros.nodes.common.parameters import Declared
from janusvln_ros.nodes.common.process import run
from janusvln_ros.nodes.common.qos import LATEST, RELIABLE, SENSOR
from janusvln_ros.nodes.navigate_server import NavigateServer
from janusvln_ros.nodes.navigator_outputs import NavigatorOutputs
from janusvln_ros.parameters import Changes, group, parameter
from janusvln_ros.policy.interface import Policy
from janusvln_ros.policy.load import load_policy
from janusvln_ros.policy.options import PolicyOptions
from janusvln_ros.policy.settings import settings_of
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from std_srvs.srv import Trigger

_SWITCH_INTERVAL = 1e-3  # s; Python's own 5 ms would delay the hand-over of a frame by that much
_SUCCESS = TransitionCallbackReturn.SUCCESS


@dataclass(frozen=True)
class NodeParameters:
    """What only the node needs."""

    image_transport: str = parameter(
        'raw', 'raw: topic image; compressed: image/compressed.', choices=('raw', 'compressed')
    )
    image_reliability: str = parameter(
        'best_effort',
        'QoS of the image subscription; best_effort hears every publisher.',
        choices=('best_effort', 'reliable'),
    )
    heartbeat_rate: float = parameter(
        5.0, 'navigator_status messages per second, at least.', low=1.0, high=50.0
    )
    autostart: bool = parameter(False, 'Configure and activate on start; end if that fails.')


@dataclass(frozen=True)
class NavigatorParameters:
    """All parameters of the navigator."""

    policy: PolicyOptions = group(PolicyOptions, changes=Changes.WHEN_UNCONFIGURED)
    node: NodeParameters = group(NodeParameters, changes=Changes.WHEN_UNCONFIGURED)
    mission: MissionParameters = group(MissionParameters, changes=Changes.ALWAYS)


class Navigator(LifecycleNode):
    """Image and instruction in, NavigationAction out."""

    def __init__(self, load: Callable[[PolicyOptions], Policy] = load_policy) -> None:
        super().__init__('navigator')
        self._load = load
        self.failure = ''
        self.loading = False  # a checkpoint; may take a minute
        self._policy: Policy | None = None
        self._worker: Worker | None = None
        self._inputs: list = []
        self._declared = Declared(self, NavigatorParameters, refuses=self._refuses_change)
        goals = NavigateServer(
            self,
            refusal=self._refusal,
            begin=self._begin,
            cancel=lambda name: self._session.cancel(name, 'canceled by the client'),
        )
        self._outputs = NavigatorOutputs(self, goals)
        self._session = Session(self._outputs, lambda: self.get_clock().now().nanoseconds)
        self.create_service(Trigger, 'pause', self._on_pause)
        self.create_service(Trigger, 'resume', self._on_resume)
        self.create_service(Trigger, 'reset_memory', self._on_reset_memory)
        # Watchdogs and heartbeat go on while a simulator's clock stands still or runs fast.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        period = 1.0 / self._declared.value.node.heartbeat_rate
        self.create_timer(period, self._on_heartbeat, clock=steady)
        if self.get_parameter('use_sim_time').value:
            self.create_timer(period, self._on_heartbeat)
        self.create_timer(1.0, self._on_diagnostics, clock=steady)
        self._outputs.publish_status(self._session)

    def start(self) -> None:
        """Configure and activate, if that is asked for."""
        if self._declared.value.node.autostart and (
            self.trigger_configure() != _SUCCESS or self.trigger_activate() != _SUCCESS
        ):
            self.failure = self._outputs.last_error or 'cannot activate'

    def stop(self) -> None:
        """Stop the robot and end the policy's thread, in whatever state the node is."""
        if self._session.active:
            self.trigger_deactivate()
        self._unload()

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the checkpoint; fail with the reason in the log."""
        begun = time.monotonic()
        options = self._declared.value.policy
        self.loading = True
        try:
            self._policy = self._load(options)
        except (ValueError, OSError, RuntimeError, ImportError) as error:
            self._outputs.failed(f'cannot configure: {error}')
            return TransitionCallbackReturn.FAILURE
        finally:
            self.loading = False
        self.get_logger().info(f'loaded {options.checkpoint} in {time.monotonic() - begun:.1f} s')
        if self._policy.random_weights:
            self.get_logger().warning(
                'this checkpoint has RANDOM weights: the robot will not follow the instruction'
            )
        self._outputs.loaded(settings_of(options, self._policy))
        self._worker = Worker(self._session, Decider(self._policy), self._outputs.draw)
        return _SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe, and wait for an instruction."""
        super().on_activate(state)
        settings = self._declared.value.node
        qos = LATEST if settings.image_reliability == 'reliable' else SENSOR
        kind, topic = (
            (Image, 'image')
            if settings.image_transport == 'raw'
            else (CompressedImage, 'image/compressed')
        )
        self._inputs = [
            self.create_subscription(kind, topic, self._on_image, qos),
            self.create_subscription(MotionStatus, 'motion_status', self._on_motion, LATEST),
            self.create_subscription(String, 'instruction', self._on_instruction, RELIABLE),
        ]
        self._session.activate()
        topic = self.resolve_topic_name('instruction')
        self.get_logger().info(
            f'ready: send an instruction on {topic}, as by\n  ros2 topic pub --once {topic} '
            'std_msgs/msg/String "{data: \'go to the door\'}"'
        )
        return _SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the robot and unsubscribe."""
        self._session.deactivate('the navigator was deactivated')
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        self._inputs = []
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the policy and its memories."""
        self._unload()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the robot and free everything."""
        if self._session.active:
            self.on_deactivate(state)
        self._unload()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything; the node is unconfigured then."""
        self._session.deactivate('the navigator failed')
        self._unload()
        return super().on_error(state)

    def _unload(self) -> None:
        if self._worker:
            self._worker.stop()
        self._worker = self._policy = None
        gc.collect()
        torch = sys.modules.get('torch')
        if torch and torch.cuda.is_available():
            torch.cuda.empty_cache()

    # Inputs

    def _on_image(self, message: Image | CompressedImage) -> None:
        self._outputs.frames.count()
        self._session.on_frame(message, nanoseconds(message.header.stamp))

    def _on_motion(self, message: MotionStatus) -> None:
        self._session.on_motion(
            MotionReport(
                message.state,
                message.result if message.result in iter(Result) else Result.BAD_INPUT,
                message.instruction_id,
                message.step,
                nanoseconds(message.motion_end),
                message.progress,
                message.open_loop,
                message.message,
            )
        )

    def _on_instruction(self, message: String) -> None:
        if not self._refusal(message.data):
            self._begin(uuid.uuid4().hex, message.data)

    def _refusal(self, instruction: str) -> str:
        """Say why no episode can start with an instruction; empty when it can."""
        problem = ''
        if not self._session.active:
            problem = 'the navigator is not active'
        elif not instruction.strip():
            problem = 'it is empty'
        if problem:
            self.get_logger().warning(f'instruction refused: {problem}')
        return problem

    def _begin(self, name: str, instruction: str) -> None:
        if unknown := self._policy.unknown_words(instruction):
            self.get_logger().warning(
                f'the checkpoint never saw the words: {", ".join(unknown)}; '
                'docs/instructions.md tells which it knows'
            )
        self._session.begin(name, instruction, self._declared.value.mission)

    def _on_pause(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._session.pause()
        response.message = '' if response.success else 'there is no episode to pause'
        return response

    def _on_resume(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._session.resume()
        response.message = '' if response.success else 'no episode is paused'
        return response

    def _on_reset_memory(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        response.success = self._session.forget()
        response.message = (
            'empty before the next decision'
            if response.success
            else 'there is no episode; each begins with empty memory anyway'
        )
        return response

    # Watchdogs, heartbeat, diagnostics, parameters

    def _on_heartbeat(self) -> None:
        with self._session.lock:
            self._session.check()
            self._outputs.publish_status(self._session)

    def _on_diagnostics(self) -> None:
        random = self._policy is not None and self._policy.random_weights
        with self._session.lock:
            self._outputs.publish_diagnostics(
                self._session, self._declared.value.policy.checkpoint, random
            )

    def _refuses_change(self, changes: Changes, name: str) -> str:
        if changes is Changes.WHEN_UNCONFIGURED and self._policy is not None:
            return f'{name} is used by configure: deactivate and clean up first'
        return ''


def main(
    argv: list[str] | None = None, load: Callable[[PolicyOptions], Policy] = load_policy
) -> int:
    """Run the node until SIGINT or SIGTERM; the robot is stopped on the way out."""
    sys.setswitchinterval(_SWITCH_INTERVAL)
    return run('navigator', lambda: Navigator(load), __doc__, (NavigatorParameters,), argv)


if __name__ == '__main__':
    sys.exit(main())
