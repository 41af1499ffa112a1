"""
The navigator: a lifecycle node that turns camera frames and an instruction into actions.

configure loads the checkpoint, activate subscribes, deactivate stops the robot, cleanup frees the
memory. One thread runs the policy, always on the newest frame (navigation.worker); everything else
happens in the thread that spins. They meet in navigation.session.

With the parameter robots one process serves several, each by a navigator in a namespace of its
own: they share the checkpoint's weights, and their policies take turns.
"""

from __future__ import annotations

from collections.abc import Callable
import gc
import os
import sys
import threading
import time
import uuid

from janusvln_ros.motion.types import Mode, Result
from janusvln_ros.msg import MotionStatus, NavigationAction, NavigatorStatus
from janusvln_ros.navigation.decider import Decider
from janusvln_ros.navigation.mission import MotionReport, Reason
from janusvln_ros.navigation.peers import Rivals
from janusvln_ros.navigation.session import Session
from janusvln_ros.navigation.worker import POLICY, Worker
from janusvln_ros.nodes.common.conversions import nanoseconds
from janusvln_ros.nodes.common.lifecycle import ManagedNode
from janusvln_ros.nodes.common.parameters import Declared
from janusvln_ros.nodes.common.process import run
from janusvln_ros.nodes.common.qos import LATEST, RELIABLE, SENSOR
from janusvln_ros.nodes.depth_outputs import DepthOutputs
from janusvln_ros.nodes.navigate_server import NavigateServer
from janusvln_ros.nodes.navigator_outputs import NavigatorOutputs
from janusvln_ros.nodes.navigator_settings import (
    check_room,
    NavigatorParameters,
    ProcessParameters,
)
from janusvln_ros.parameters import Changes
from janusvln_ros.policy.interface import Policy
from janusvln_ros.policy.load import Loader
from janusvln_ros.policy.options import PolicyOptions
from janusvln_ros.policy.settings import settings_of
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.task import Future
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from std_srvs.srv import Trigger

_SWITCH_INTERVAL = 1e-3  # s; Python's own 5 ms would delay the hand-over of a frame by that much
_LAST_WORDS = 1.0  # s that goals have to be answered at the end
_ARRIVES = 0.5  # s that the last status may take to arrive
_LAST_STEP = 2.0  # s that the policy has to end its step
_LONGEST_NAME = 256  # characters of a frame id
_CONFIGURE = Transition.TRANSITION_CONFIGURE
_MODES = {MotionStatus.MODE_STEP: Mode.STEP, MotionStatus.MODE_CONTINUOUS: Mode.CONTINUOUS}
_NO_CLOCK = (
    'use_sim_time is set, but nothing has come on /clock: start what publishes it, or set '
    'use_sim_time to false'
)
LOADING = 'loading'  # name of the thread that loads a checkpoint
_one_loads = threading.Lock()  # the others then share its network, and imports of torch
_SUCCESS = TransitionCallbackReturn.SUCCESS


class Navigator(ManagedNode):
    """Image and instruction in, NavigationAction out."""

    def __init__(
        self, load: Callable[[PolicyOptions], Policy], namespace: str, crew: list[Navigator]
    ) -> None:
        """crew: all navigators of this process; the new one joins them."""
        super().__init__('navigator', namespace=namespace)
        self._load, self._crew = load, crew
        self.failure = ''
        self._loading: threading.Thread | None = None
        self._policy: Policy | None = None
        self._worker: Worker | None = None
        self._inputs: list = []
        self._declared = Declared(self, NavigatorParameters, refuses=self._refuses_change)
        goals = NavigateServer(
            self,
            refusal=self._refusal,
            begin=self._begin,
            cancel=lambda name: self._session.end(Reason.CANCELED, 'canceled by the client', name),
        )
        self._depth = DepthOutputs(
            self, lambda: self._declared.value.depth, lambda: self._declared.value.node.level_frame
        )
        self._outputs = NavigatorOutputs(self, goals, self._depth)
        self._goals = goals
        self._rivals = Rivals(self._outputs.session_id)
        self._configure_in_background()
        self._session = Session(self._outputs, self._now)
        for service, act, done, otherwise in (
            ('pause', self._session.pause, '', 'there is no episode to pause'),
            ('resume', self._session.resume, '', 'no episode is paused'),
            (
                'reset_memory',
                self._session.forget,
                'empty before the next decision',
                'there is no episode; each begins with empty memory anyway',
            ),
        ):
            self.create_service(Trigger, service, _answering(act, done, otherwise))
        # Watchdogs and heartbeat go on while a simulator's clock stands still or runs fast.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        period = 1.0 / self._declared.value.node.heartbeat_rate
        self.create_timer(period, self._on_heartbeat, clock=steady)
        if self.get_parameter('use_sim_time').value:
            self.create_timer(period, self._on_heartbeat)
        self.create_timer(1.0, self._on_diagnostics, clock=steady)
        self._outputs.publish_status(self._session)
        crew.append(self)

    def start(self) -> None:
        """Configure and activate, if that is asked for."""
        if not self._declared.value.node.autostart:
            name = self.get_fully_qualified_name()
            self.get_logger().info(
                f'waits for ros2 lifecycle set {name} configure, then activate; it does both by '
                'itself with --ros-args -p autostart:=true -p checkpoint:=FOLDER'
            )
            return
        self._loading = threading.Thread(target=self.trigger_configure, name=LOADING, daemon=True)
        self._loading.start()

    def stop(self) -> None:
        """Stop the robot, answer all goals and end the policy's thread, as far as it ends."""
        for one in self._crew:  # no robot drives on while another's goals are answered
            one._session.deactivate('the navigator ends')
        end = time.monotonic() + _LAST_WORDS
        try:
            while self._goals.answering and self.executor and time.monotonic() < end:
                self.executor.spin_once(timeout_sec=0.05)
        except Exception as error:  # perhaps the one that ends the node
            self.get_logger().error(f'a goal may have no answer: {error}')
        if self._loading:
            self._loading.join(_LAST_WORDS)
        if self._worker and not self._worker.stop(_LAST_STEP):
            self.get_logger().error('the policy does not end by itself')
        end = time.monotonic() + _ARRIVES
        for one in self._crew:
            one._hear_nothing()  # its own status too, which it would never confirm any more
        for one in self._crew:  # together: a listener that hangs delays the end but once
            one._outputs.wait(max(0.0, end - time.monotonic()))

    def _configure_in_background(self) -> None:
        """Let a checkpoint be loaded by a thread, so that the other services answer meanwhile."""
        service = self._service_change_state
        change_state = service.callback

        async def on_change_state(
            request: ChangeState.Request, response: ChangeState.Response
        ) -> ChangeState.Response:
            transition = request.transition
            if transition.label != 'configure' and transition.id != _CONFIGURE:
                return change_state(request, response)
            done = Future(executor=self.executor)

            def configure() -> None:
                try:
                    done.set_result(change_state(request, response))
                except Exception as error:  # of the state machine: not now
                    done.set_exception(error)

            threading.Thread(target=configure, name=LOADING, daemon=True).start()
            return await done

        service.callback = on_change_state  # type: ignore[assignment]  # rclpy awaits coroutines
        service.callback_group = MutuallyExclusiveCallbackGroup()
        service.callback_group.add_entity(service)

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the checkpoint; fail with the reason in the log."""
        begun = time.monotonic()
        options = self._declared.value.policy
        try:
            with _one_loads:
                check_room(one._declared.value for one in self._crew)
                policy = self._load(options)
            loaded = f'loaded {options.checkpoint} in {time.monotonic() - begun:.1f} s'
            prepared = policy.warm_up(self._declared.value.node.frame_size)
        except Exception as error:  # whatever a checkpoint's files make torch raise
            self._outputs.failed(f'cannot configure: {error}')
            return TransitionCallbackReturn.FAILURE
        self._policy = policy
        gc.freeze()  # what compiling leaves behind would cost a step some 100 ms at times
        self.get_logger().info(f'{loaded}; {prepared}')
        if self._policy.random_weights:
            self.get_logger().warning(
                'this checkpoint has RANDOM weights: the robot will not follow the instruction'
            )
        self._outputs.loaded(settings_of(options, self._policy))
        decider = Decider(self._policy, self._outputs.wants_depth)
        self._worker = Worker(self._session, decider, self._outputs.draw)
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
            self.create_subscription(
                NavigatorStatus, 'navigator_status', self._on_navigator, RELIABLE
            ),
            self.create_subscription(
                NavigationAction, 'navigation_action', self._on_action, RELIABLE
            ),
        ]
        heads = self._declared.value.policy.geometry_heads
        if heads != 'none':
            self._depth.open(heads == 'points')
        self._session.activate()
        topic = self.resolve_topic_name('instruction')
        self.get_logger().info(
            f'ready: send an instruction on {topic}, as by\n  ros2 topic pub --once {topic} '
            'std_msgs/msg/String "{data: \'go to the pink ball\'}"'
        )
        return _SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the robot and unsubscribe."""
        self._session.deactivate('the navigator was deactivated')
        self._hear_nothing()
        self._depth.close()
        return super().on_deactivate(state)

    def _hear_nothing(self) -> None:
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        self._inputs = []

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
        if self._worker and not self._worker.stop(_LAST_STEP):
            self.failure = 'the policy does not end by itself'
        self._worker = self._policy = None
        gc.unfreeze()
        gc.collect()
        gc.freeze()  # what the other robots' policies left
        torch = sys.modules.get('torch')
        if torch and torch.cuda.is_available():
            torch.cuda.empty_cache()

    # Inputs

    def _on_image(self, message: Image | CompressedImage) -> None:
        self._outputs.frames.count()
        message.header.frame_id = message.header.frame_id[:_LONGEST_NAME]
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
                message.session_id,
                _MODES.get(message.execution_mode),
            )
        )

    def _on_navigator(self, message: NavigatorStatus) -> None:
        if message.state != NavigatorStatus.STATE_INACTIVE:
            self._rivals.hear(message.session_id, self._now())

    def _on_action(self, message: NavigationAction) -> None:
        now = self._now()
        if self._rivals.hear(message.session_id, now):
            self._session.end(Reason.MOTION_FAILED, self._rivals.trouble(now))

    def _on_instruction(self, message: String) -> None:
        if not self._refusal(message.data):
            self._begin(uuid.uuid4().hex, message.data)

    def _refusal(self, instruction: str) -> str:
        """Say why no episode can start with an instruction; empty when it can."""
        now = self._now()
        problem = self._session.refusal(instruction, self._declared.value.mission)
        if not problem:
            problem = self._rivals.trouble(now) if now else _NO_CLOCK
        if problem:
            self._outputs.last_error = f'instruction refused: {problem}'
            self.get_logger().warning(self._outputs.last_error)
        return problem

    def _begin(self, name: str, instruction: str) -> None:
        doubt = ''
        if self._policy and (unknown := self._policy.unknown_words(instruction)):
            doubt = f'words this checkpoint does not know: {", ".join(unknown)}'
            self.get_logger().warning(f'{doubt}; docs/instructions.md tells which it knows')
        self._session.begin(name, instruction, self._declared.value.mission, doubt)

    # Watchdogs, heartbeat, diagnostics, parameters

    def _now(self) -> int:
        return self.get_clock().now().nanoseconds

    def _on_heartbeat(self) -> None:
        if self._loading and not self._loading.is_alive():
            self._loading = None
            if self._policy is None or self.trigger_activate() != _SUCCESS:
                self.failure = self._outputs.last_error or 'cannot activate'
        if self._worker:
            self._guard(self._worker)
        with self._session.lock:
            self._session.check()
            self._outputs.publish_status(self._session)

    def _guard(self, worker: Worker) -> None:
        """End the mission and the process when the policy's thread hangs or has ended."""
        limit = self._declared.value.watchdog.decision_timeout
        trouble = worker.failure or worker.watchdog.overdue(limit)
        if trouble:
            self._outputs.failed(trouble)
            self._session.end(Reason.POLICY_ERROR, trouble)
            self.failure = trouble

    def _on_diagnostics(self) -> None:
        with self._session.lock:
            self._outputs.publish_diagnostics(
                self._session, self._declared.value.policy.checkpoint, self._policy
            )

    def _refuses_change(self, changes: Changes, name: str) -> str:
        if changes is Changes.WHEN_UNCONFIGURED and self._policy is not None:
            return f'{name} is used by configure: deactivate and clean up first'
        return ''


def _answering(
    act: Callable[[], bool], done: str, otherwise: str
) -> Callable[[Trigger.Request, Trigger.Response], Trigger.Response]:
    """Make a service's callback that does something and says whether that was possible."""

    def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = act()
        response.message = done if response.success else otherwise
        return response

    return answer


def navigators(load: Callable[[PolicyOptions], Policy]) -> list[Navigator]:
    """Make the navigator, or one for each of the robots; ValueError for bad parameters."""
    probe = Node('navigator', start_parameter_services=False)
    try:
        robots = Declared(probe, ProcessParameters).value.robots
        if robots and probe.get_namespace() != '/':
            raise ValueError(
                f'robots are namespaces themselves: give {probe.get_namespace()} in robots, and '
                'no other namespace'
            )
    finally:
        probe.destroy_node()
    crew: list[Navigator] = []
    for robot in robots or ('',):
        Navigator(load, robot, crew)
    return crew


def main(
    argv: list[str] | None = None, load: Callable[[PolicyOptions], Policy] | None = None
) -> int:
    """Run the node until SIGINT or SIGTERM; the robot is stopped on the way out."""
    sys.setswitchinterval(_SWITCH_INTERVAL)
    load = load or Loader()
    code = run('navigator', lambda: navigators(load), __doc__, (NavigatorParameters,), argv)
    if any(thread.name in (LOADING, POLICY) for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # what hangs in there would hang the interpreter's end as well
    return code
