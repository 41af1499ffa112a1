"""
The navigator: a lifecycle node that turns camera frames and an instruction into actions.

configure loads the checkpoint, activate subscribes, deactivate stops the robot, cleanup frees the
memory. One thread runs the policy, always on the newest frame; everything else happens in the
thread that spins. All they share is guarded by one lock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
import gc
import sys
import threading
import time
from typing import Any
import uuid

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from janusvln_ros.action import Navigate
from janusvln_ros.actions import Action, ACTION_NAMES
from janusvln_ros.imaging.encodings import ImageError, to_rgb
from janusvln_ros.imaging.overlay import annotate
from janusvln_ros.msg import MotionStatus, NavigationAction, NavigatorStatus
from janusvln_ros.navigation.mission import Episode, MotionReport, Reason, Result, State
from janusvln_ros.nodes.common.conversions import nanoseconds, to_image
from janusvln_ros.nodes.common.diagnostics import diagnostics, Latencies, Rate
from janusvln_ros.nodes.common.process import run
from janusvln_ros.nodes.common.qos import LATCHED, LATEST, RELIABLE, SENSOR
from janusvln_ros.nodes.navigate_server import NavigateServer
from janusvln_ros.nodes.navigator_parameters import EpisodeParameters, NavigatorParameters
from janusvln_ros.nodes.parameters import check_choice, declare, read
from janusvln_ros.policy.load import load_policy
from rcl_interfaces.msg import SetParametersResult
from rclpy.action.server import ServerGoalHandle
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header, String
from std_srvs.srv import Trigger

_MODES = {'step': NavigatorStatus.MODE_STEP, 'continuous': NavigatorStatus.MODE_CONTINUOUS}
_SWITCH_INTERVAL = 1e-3  # s; Python's own 5 ms would delay the hand-over of a frame by that much


@dataclass(frozen=True)
class _Frame:
    message: Image | CompressedImage
    stamp: int  # ns, when it was taken
    arrived: int  # ns


class Navigator(LifecycleNode):
    """Image and instruction in, NavigationAction out."""

    def __init__(self, load: Callable[[NavigatorParameters], Any] = load_policy) -> None:
        super().__init__('navigator')
        self._load = load
        self._session_id = uuid.uuid4().hex
        self.failure = ''
        self.loading = False  # a checkpoint; may take a minute
        self.parameters = declare(self, NavigatorParameters)
        declare(self, EpisodeParameters)
        self.add_on_set_parameters_callback(self._check_parameters)
        self._changed = threading.Condition()  # guards all that follows
        self._policy: Any = None
        self._thread: threading.Thread | None = None
        self._closing = False
        self._active = False
        self._episode: Episode | None = None
        self._settled = True  # the outcome of _episode has been told
        self._goal: ServerGoalHandle | None = None
        self._remembered: Episode | None = None  # whose frames the policy's memory holds
        self._frame: _Frame | None = None
        self._frame_id = ''
        self._frame_shape: tuple[int, ...] | None = None  # of the episode's first frame
        self._report: MotionReport | None = None
        self._memory = (0, 0, 0)  # frames, capacity, bytes
        self._told: tuple = ()
        self._last_error = ''
        self._frames, self._bad_frames, self._decisions = Rate(), Rate(), Rate()
        self._latencies, self._times = Latencies(), Latencies()

        self._inputs: list = []
        self._action_publisher = self.create_lifecycle_publisher(
            NavigationAction, 'navigation_action', LATEST
        )
        self._debug_publisher = self.create_lifecycle_publisher(Image, 'debug_image', SENSOR)
        self._status_publisher = self.create_publisher(
            NavigatorStatus, 'navigator_status', LATCHED
        )
        self._diagnostics_publisher = self.create_publisher(
            DiagnosticArray, '/diagnostics', RELIABLE
        )
        self._goals = NavigateServer(
            self, accepts=self._refusal, starts=self._on_goal, cancels=self._on_cancel
        )
        self.create_service(Trigger, 'pause', self._on_pause)
        self.create_service(Trigger, 'resume', self._on_resume)
        self.create_service(Trigger, 'reset_memory', self._on_reset_memory)
        # Watchdogs and heartbeat go on while a simulator's clock stands still or runs fast.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        period = 1.0 / self.parameters.heartbeat_rate
        self.create_timer(period, self._on_heartbeat, clock=steady)
        if self.get_parameter('use_sim_time').value:
            self.create_timer(period, self._on_heartbeat)
        self.create_timer(1.0, self._on_diagnostics, clock=steady)
        self._publish_status()

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the checkpoint; fail with the reason in the log."""
        begun = time.monotonic()
        self.loading = True
        try:
            self.parameters = read(self, NavigatorParameters)
            self._policy = self._load(self.parameters)
        except (ValueError, OSError, RuntimeError, ImportError) as error:
            self._fail(f'cannot configure: {error}')
            return TransitionCallbackReturn.FAILURE
        finally:
            self.loading = False
        self.get_logger().info(
            f'loaded {self.parameters.checkpoint} in {time.monotonic() - begun:.1f} s'
        )
        if self._policy.random_weights:
            self.get_logger().warning(
                'this checkpoint has RANDOM weights: the robot will not follow the instruction'
            )
        self._closing = False
        self._thread = threading.Thread(target=self._think, name='policy', daemon=True)
        self._thread.start()
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe, and wait for an instruction."""
        super().on_activate(state)
        qos = LATEST if self.parameters.image_reliability == 'reliable' else SENSOR
        kind, topic = (
            (Image, 'image')
            if self.parameters.image_transport == 'raw'
            else (CompressedImage, 'image/compressed')
        )
        self._inputs = [
            self.create_subscription(kind, topic, self._on_image, qos),
            self.create_subscription(MotionStatus, 'motion_status', self._on_motion, LATEST),
            self.create_subscription(String, 'instruction', self._on_instruction, RELIABLE),
        ]
        with self._changed:
            self._frame = self._report = None
            self._active = True
            self._update()
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the robot and unsubscribe."""
        self.halt('the navigator was deactivated')
        with self._changed:
            self._active = False
            self._update()
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
        if self._active:
            self.on_deactivate(state)
        self._unload()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything; the node is unconfigured then."""
        self._active = False
        self._unload()
        return super().on_error(state)

    def halt(self, message: str) -> None:
        """End the episode, if there is one; the executor is told to stop."""
        with self._changed:
            if self._episode:
                self._episode.end(Reason.CANCELED, message)
            self._update()

    def start(self) -> None:
        """Configure and activate, if that is asked for."""
        success = TransitionCallbackReturn.SUCCESS
        if self.parameters.autostart and (
            self.trigger_configure() != success or self.trigger_activate() != success
        ):
            self.failure = self._last_error or 'cannot activate'

    def stop(self) -> None:
        """Stop the robot and end the policy's thread, in whatever state the node is."""
        if self._active:
            self.trigger_deactivate()
        self._end_thread()

    def _end_thread(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join()

    def _unload(self) -> None:
        self._end_thread()
        self._thread = self._policy = self._remembered = self._frame = None
        self._memory = (0, 0, 0)
        gc.collect()
        torch = sys.modules.get('torch')
        if torch and torch.cuda.is_available():
            torch.cuda.empty_cache()

    # Inputs

    def _on_image(self, message: Image | CompressedImage) -> None:
        self._frames.count()
        with self._changed:
            self._frame = _Frame(message, nanoseconds(message.header.stamp), self._now())
            self._changed.notify_all()

    def _on_motion(self, message: MotionStatus) -> None:
        report = MotionReport(
            message.state,
            message.result if message.result in iter(Result) else Result.BAD_INPUT,
            message.instruction_id,
            message.step,
            nanoseconds(message.motion_end),
            message.progress,
            message.open_loop,
            message.message,
        )
        with self._changed:
            self._report = report
            if self._episode:
                self._episode.reported(report, self._now())
            self._update()

    def _on_instruction(self, message: String) -> None:
        refusal = self._refusal(message.data)
        if not refusal:
            self._begin(uuid.uuid4().hex, message.data, None)

    def _on_goal(self, handle: ServerGoalHandle) -> None:
        self._begin(bytes(handle.goal_id.uuid).hex(), handle.request.instruction, handle)

    def _refusal(self, instruction: str) -> str:
        """Say why no episode can start with an instruction; empty when it can."""
        problem = ''
        if not self._active:
            problem = 'the navigator is not active'
        elif not instruction.strip():
            problem = 'it is empty'
        if problem:
            self.get_logger().warning(f'instruction refused: {problem}')
        return problem

    def _begin(self, name: str, instruction: str, goal: ServerGoalHandle | None) -> None:
        limits = read(self, EpisodeParameters).limits()
        with self._changed:
            awaiting = None
            if self._episode:
                self._episode.end(Reason.PREEMPTED, 'a newer instruction replaced this one')
                self._settle()
                awaiting = self._episode.awaiting
            self._episode = Episode(
                name, instruction.strip(), limits, self._now(), self._report, awaiting
            )
            self._settled, self._goal, self._frame_shape = False, goal, None
            self.get_logger().info(f'episode {name[:8]}: {instruction.strip()!r}')
            self._update()

    def _on_cancel(self, handle: ServerGoalHandle) -> None:
        with self._changed:
            if self._goal is handle:
                self._episode.end(Reason.CANCELED, 'canceled by the client')
                self._update()

    def _on_pause(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._changed:
            if self._running:
                self._episode.pause(self._now())
                self._update()
            response.success = self._running
        response.message = '' if response.success else 'there is no episode to pause'
        return response

    def _on_resume(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._changed:
            response.success = self._running and self._episode.state == State.PAUSED
            if response.success:
                self._episode.resume(self._now())
                self._update()
        response.message = '' if response.success else 'no episode is paused'
        return response

    def _on_reset_memory(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        with self._changed:
            self._remembered = None
            response.success = self._running
            self._changed.notify_all()
        response.message = (
            'empty before the next decision'
            if response.success
            else 'there is no episode; each begins with empty memory anyway'
        )
        return response

    # Decisions, in a thread of their own

    def _think(self) -> None:
        while True:
            with self._changed:
                while not self._closing and not self._has_work():
                    self._changed.wait()
                if self._closing:
                    return
                episode, frame = self._episode, self._frame
                forget = self._remembered is not episode
            if forget:
                self._forget(episode)
            else:
                self._look(episode, frame)

    @property
    def _running(self) -> bool:
        return self._episode is not None and not self._episode.ended

    def _has_work(self) -> bool:
        if not self._running:
            return False
        return self._remembered is not self._episode or (
            self._frame is not None and self._episode.takes_frame(self._frame.stamp, self._now())
        )

    def _forget(self, episode: Episode) -> None:
        """Empty the policy's memory for an episode."""
        try:
            self._policy.reset(episode.instruction)
        except Exception as error:  # whatever a policy raises must not end the thread
            self._policy_failed(episode, error)
        with self._changed:
            self._remembered = episode
            self._note_memory()
            self._update()

    def _look(self, episode: Episode, frame: _Frame) -> None:
        """Take one decision from a frame, unless things have changed in the meantime."""
        try:
            rgb = to_rgb(frame.message)
            if rgb.shape != (self._frame_shape or rgb.shape):
                raise ImageError(
                    f'frame of {rgb.shape[1]}x{rgb.shape[0]} pixels in an episode of '
                    f'{self._frame_shape[1]}x{self._frame_shape[0]}'
                )
        except ImageError as error:
            self._refuse(episode, frame, str(error))
            return
        with self._changed:
            if (
                episode is not self._episode
                or episode is not self._remembered
                or (not episode.takes_frame(frame.stamp, self._now()))
            ):
                return
            episode.begin_decision(frame.stamp, self._now())
            self._frame_shape = rgb.shape
            self._update()
        begun = time.perf_counter()
        try:
            decision = self._policy.step(rgb)
            probabilities = [
                float(decision.probabilities[action]) for action in sorted(decision.probabilities)
            ]
        except Exception as error:  # whatever a policy raises must not end the thread
            self._policy_failed(episode, error)
            return
        seconds = time.perf_counter() - begun
        with self._changed:
            self._note_memory()
            step = episode.step
            action = None
            if episode is self._episode:
                action = episode.decided(int(decision.action), probabilities, self._now())
            latency = (self._now() - frame.stamp) / 1e9
            if action is not None:
                self._publish_action(
                    frame.message.header,
                    episode.instruction_id,
                    step,
                    action,
                    probabilities,
                    seconds,
                )
                self._decisions.count()
                self._latencies.add(latency)
                self._times.add(seconds)
                if self._goal:
                    self._goal.publish_feedback(
                        Navigate.Feedback(
                            step=step, action=action, probabilities=probabilities, latency=latency
                        )
                    )
            self._update()
        if action is not None and self._debug_publisher.get_subscription_count():
            drawn = annotate(
                rgb,
                instruction=episode.instruction,
                step=step,
                action_name=ACTION_NAMES[action],
                probabilities=probabilities,
                latency=latency,
                memory=self._memory[:2],
            )
            self._debug_publisher.publish(to_image(drawn, frame.message.header))

    def _refuse(self, episode: Episode, frame: _Frame, why: str) -> None:
        self._bad_frames.count()
        with self._changed:
            episode.frame_refused(why)
            if self._frame is frame:
                self._frame = None
            self._last_error = why
        self.get_logger().warning(f'frame refused: {why}', throttle_duration_sec=5.0)

    def _policy_failed(self, episode: Episode, error: Exception) -> None:
        self._fail(f'policy: {type(error).__name__}: {error}')
        with self._changed:
            episode.end(Reason.POLICY_ERROR, f'{type(error).__name__}: {error}')
            self._update()

    def _note_memory(self) -> None:
        usage = self._policy.memory_usage()
        self._memory = (usage.frames, usage.capacity, usage.bytes)

    # Outputs; called with the lock held

    def _update(self) -> None:
        """Follow up on any change of state."""
        self._settle()
        self._publish_status(only_news=True)
        self._changed.notify_all()

    def _settle(self) -> None:
        """Tell the outcome of an episode that has ended."""
        episode = self._episode
        if self._settled or not episode.ended:
            return
        self._settled = True
        if episode.reason not in (Reason.SUCCEEDED, Reason.PREEMPTED):
            self._publish_action(
                Header(stamp=self.get_clock().now().to_msg(), frame_id=self._frame_id),
                episode.instruction_id,
                episode.step,
                Action.STOP,
                (1.0, 0.0, 0.0, 0.0),
                0.0,
            )
            episode.awaiting = (episode.instruction_id, episode.step)
        self.get_logger().info(
            f'episode {episode.instruction_id[:8]}: {episode.reason.name} '
            f'after {episode.step} steps: {episode.message}'
        )
        if self._goal:
            self._goals.settle(self._goal, episode.reason, episode.message, episode.step)
            self._goal = None

    def _publish_action(
        self,
        header: Header,
        instruction_id: str,
        step: int,
        action: int,
        probabilities: Any,
        seconds: float,
    ) -> None:
        self._frame_id = header.frame_id
        self._action_publisher.publish(
            NavigationAction(
                header=header,
                instruction_id=instruction_id,
                step=step,
                action=action,
                probabilities=probabilities,
                decision_time=seconds,
                session_id=self._session_id,
            )
        )

    def _publish_status(self, only_news: bool = False) -> None:
        episode = self._episode
        state = State.INACTIVE
        if self._active:
            state = episode.state if episode else State.IDLE
        news = (state, episode, episode and (episode.reason, episode.step))
        if only_news and news == self._told:
            return
        self._told = news
        status = NavigatorStatus(
            state=int(state),
            memory_frames=self._memory[0],
            memory_bytes=self._memory[2],
            session_id=self._session_id,
            execution_mode=_MODES[self.get_parameter('execution_mode').value],
        )
        status.header.stamp = self.get_clock().now().to_msg()
        if episode:
            status.reason = int(episode.reason)
            status.instruction_id, status.instruction = episode.instruction_id, episode.instruction
            status.step, status.message = episode.step, episode.message
        self._status_publisher.publish(status)

    # Watchdogs, heartbeat, diagnostics, parameters

    def _now(self) -> int:
        return self.get_clock().now().nanoseconds

    def _on_heartbeat(self) -> None:
        with self._changed:
            if self._episode:
                self._episode.check(self._now())
            self._update()
            self._publish_status()

    def _on_diagnostics(self) -> None:
        now = self._now()
        with self._changed:
            frame, episode = self._frame, self._episode
            level, message = DiagnosticStatus.OK, 'inactive'
            if self._active:
                message = (episode.state if episode else State.IDLE).name.lower()
                if episode and episode.ended and episode.reason != Reason.SUCCEEDED:
                    message += f'; last episode: {episode.reason.name}: {episode.message}'
                if frame is None or now - frame.arrived > 2e9:
                    level, message = DiagnosticStatus.WARN, f'{message}; no camera frames'
            values = {
                'frames': self._frames.total,
                'frames per second': self._frames.hertz,
                'refused frames': self._bad_frames.total,
                'decisions per second': self._decisions.hertz,
                'decision time p50 (s)': self._times.percentile(50),
                'decision time p95 (s)': self._times.percentile(95),
                'latency from image stamp p50 (s)': self._latencies.percentile(50),
                'latency from image stamp p95 (s)': self._latencies.percentile(95),
                'age of newest image (s)': (now - frame.stamp) / 1e9 if frame else float('nan'),
                'memory frames': self._memory[0],
                'memory capacity': self._memory[1],
                'memory bytes': self._memory[2],
                'GPU bytes': _gpu_bytes(),
                'checkpoint': self.parameters.checkpoint,
                'random weights': bool(self._policy and self._policy.random_weights),
                'last error': self._last_error,
            }
        self._diagnostics_publisher.publish(
            diagnostics(
                f'{self.get_fully_qualified_name()}: navigation',
                level,
                message,
                values,
                self.get_clock().now().to_msg(),
            )
        )

    def _fail(self, message: str) -> None:
        self._last_error = message
        self.get_logger().error(message)

    def _check_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        fixed = {entry.name for entry in fields(NavigatorParameters)}
        for change in changes:
            if change.name in fixed and self._policy is not None:
                return SetParametersResult(
                    successful=False,
                    reason=(f'{change.name} is used by configure: deactivate and clean up first'),
                )
            for kind in (NavigatorParameters, EpisodeParameters):
                problem = check_choice(kind, change.name, change.value)
                if problem:
                    return SetParametersResult(successful=False, reason=problem)
        return SetParametersResult(successful=True)


def _gpu_bytes() -> int:
    torch = sys.modules.get('torch')
    return torch.cuda.memory_allocated() if torch and torch.cuda.is_available() else 0


def main(
    argv: list[str] | None = None, load: Callable[[NavigatorParameters], Any] = load_policy
) -> int:
    """Run the node until SIGINT or SIGTERM; the robot is stopped on the way out."""
    sys.setswitchinterval(_SWITCH_INTERVAL)
    kinds = (NavigatorParameters, EpisodeParameters)
    return run('navigator', lambda: Navigator(load), __doc__, kinds, argv)


if __name__ == '__main__':
    sys.exit(main())
