"""
motion_executor: actions in, velocities out, and zero velocity on every way out.

A lifecycle node: only while it is active can it move the robot. It hears and tells everything in
every state, the e-stop as well; deactivate brakes, and what brakes goes on to zero in every state.
This node only wires topics to janusvln_ros.motion.executor.Executor, which holds all behaviour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
import gc
import math
import os
from pathlib import Path
import sys
import time
from typing import Any

from geometry_msgs.msg import TwistStamped
from janusvln_ros.motion.commands import Command, Kind
from janusvln_ros.motion.config import ExecutorConfig
from janusvln_ros.motion.executor import Executor
from janusvln_ros.motion.safety.e_stop import Origin
from janusvln_ros.motion.safety.rays import Rays
from janusvln_ros.motion.sentences import parse_steps, SentenceError
from janusvln_ros.motion.sequence import Sequence
from janusvln_ros.motion.types import Request, State, Velocity
from janusvln_ros.msg import MidLevelCommand, NavigationAction, NavigatorStatus
from janusvln_ros.navigation.mission import shortened
from janusvln_ros.nodes.common.conversions import seconds, yaw
from janusvln_ros.nodes.common.lifecycle import ManagedNode
from janusvln_ros.nodes.common.parameters import Declared
from janusvln_ros.nodes.common.process import run
from janusvln_ros.nodes.common.qos import (
    BUTTON,
    button_warnings,
    LATCHED,
    LATEST,
    RELIABLE,
    SENSOR,
)
from janusvln_ros.nodes.executor_neighbours import ExecutorNeighbours
from janusvln_ros.nodes.executor_outputs import ExecutorOutputs, MessageParameters
from janusvln_ros.nodes.guessed_depth import GuessedDepth
from janusvln_ros.nodes.mounts import Mounts
from janusvln_ros.nodes.obstacle_sensors import ObstacleSensors
from janusvln_ros.parameters import Changes, group, parameter
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.logging import get_logger
from rclpy.qos import qos_profile_sensor_data
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger

try:
    from nav2_msgs.msg import CollisionMonitorState
except ImportError:  # no Nav2 here
    CollisionMonitorState = None

_GUARD_PERIOD = 0.05  # s of wall time
_LONGEST_NAME = 256  # characters of a polygon's, a frame's, an instruction's


@dataclass(frozen=True)
class NodeParameters:
    """What only the node needs."""

    control_rate: float = parameter(
        50.0, 'Velocity commands per second of ROS time.', unit='1/s', low=10.0, high=500.0
    )
    realtime_priority: int = parameter(
        5,
        'SCHED_FIFO priority that this process gives itself if it has the right to (rtprio,'
        ' CAP_SYS_NICE), so that other programs do not delay a stop; 0: none.',
        low=0,
        high=98,
    )
    autostart: bool = parameter(
        True, 'Configure and activate on start; false: a lifecycle manager does.'
    )


@dataclass(frozen=True)
class Parameters:
    """All parameters of the node."""

    node: NodeParameters = group(NodeParameters)
    messages: MessageParameters = group(MessageParameters)
    executor: ExecutorConfig = group(ExecutorConfig)


class MotionExecutor(ManagedNode):
    """The ROS side of the executor; see docs/motion.md for topics and parameters."""

    failure = ''

    def __init__(self, **options: Any) -> None:
        super().__init__('motion_executor', **options)
        parameters = Declared(
            self,
            Parameters,
            refuses=self._refuses_change,
            apply=lambda value: self._core.configure(value.executor),
        ).value
        self._fixed = parameters.node
        self._core = Executor(parameters.executor)
        self._core.activity.active = False
        self._sequence = Sequence()
        self._outputs = ExecutorOutputs(self, self._core, parameters.messages)
        self._neighbours = ExecutorNeighbours(self, self._core, self._outputs)
        self._updated_at = time.monotonic()  # when ROS time last went on
        self._core.e_stop.start(self._updated_at)
        self.create_subscription(Odometry, 'odom', self._on_odometry, qos_profile_sensor_data)
        self.create_subscription(NavigationAction, 'navigation_action', self._on_action, LATEST)
        self.create_subscription(NavigatorStatus, 'navigator_status', self._on_navigator, LATCHED)
        for quality in BUTTON:
            self.create_subscription(
                Bool,
                'e_stop',
                self._on_e_stop,  # type: ignore[arg-type]  # rclpy's hint knows no message info
                quality,
                event_callbacks=button_warnings(quality),
            )
        self.create_subscription(String, 'sentence', self._on_sentence, RELIABLE)
        self.create_subscription(TwistStamped, 'manual_velocity', self._on_manual, SENSOR)
        self.create_subscription(MidLevelCommand, 'mid_level_done', self._on_done, RELIABLE)
        sensors = parameters.executor.sensors
        mounts = Mounts(self, sensors)
        self._obstacles = ObstacleSensors(
            self, sensors, mounts, lambda: self._core.obstacles.in_use, self._on_obstacles
        )
        self._guess = GuessedDepth(self, sensors.guessed_depth, mounts, self._core.guess)
        if CollisionMonitorState:
            self.create_subscription(
                CollisionMonitorState, 'collision_monitor_state', self._on_monitor, RELIABLE
            )
        self.create_service(Trigger, 'reset_e_stop', self._on_reset)
        self.create_timer(1.0 / self._fixed.control_rate, self._update)
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_GUARD_PERIOD, self._guard, clock=wall)
        self.create_timer(1.0, self._outputs.publish_diagnostics, clock=wall)

    # ---- inputs ----

    def _now(self) -> float:
        return self.get_clock().now().nanoseconds * 1e-9

    def _on_odometry(self, message: Odometry) -> None:
        self._outputs.rates['odometry'].count()
        position, q = message.pose.pose.position, message.pose.pose.orientation
        stamp, now = seconds(message.header.stamp), self._now()
        if not now:  # with use_sim_time: before the first /clock
            return
        frame, child = message.header.frame_id[:_LONGEST_NAME], message.child_frame_id
        self._outputs.odometry_frame = frame or self._outputs.odometry_frame
        problem = self._core.odometry.on_frames(
            frame, child[:_LONGEST_NAME], [message.pose.covariance[7 * axis] for axis in (0, 1, 5)]
        )
        self._core.on_odometry(stamp, position.x, position.y, yaw(q), now, problem)

    def _on_action(self, message: NavigationAction) -> None:
        self._outputs.rates['action'].count()
        request = Request(
            Command(Kind.STOP),
            seconds(message.header.stamp),
            message.instruction_id[:_LONGEST_NAME],
            message.step,
            message.action,
        )
        step = self._core.config.step
        try:
            command = Command.from_action(message.action, step.step_length, step.step_angle)
            stop = command.kind is Kind.STOP  # stopping is right whatever else is wrong
            if not stop and not all(map(math.isfinite, message.probabilities)):
                raise ValueError('a probability of the action is not finite')
        except ValueError as error:
            self._refuse(request, error)
        else:
            if not stop:
                self._core.navigators.hear(message.session_id, True, self._now())
            self._take(replace(request, command=command), message.session_id)

    def _on_sentence(self, message: String) -> None:
        self._outputs.rates['action'].count()
        step = self._core.config.step
        try:
            commands = parse_steps(message.data, step.step_length, step.step_angle)
        except SentenceError as error:
            self._sequence.drop()
            stop = Command(Kind.STOP)
            self._core.on_request(Request(stop), self._now())  # it may have been a cry to stop
            self._refuse(Request(stop), error)
        else:
            requests = [Request(each, action=int(each.action)) for each in commands]
            self._take(self._sequence.begin(requests))

    def _on_manual(self, message: TwistStamped) -> None:
        twist = message.twist
        others = (twist.linear.y, twist.linear.z, twist.angular.x, twist.angular.y)
        velocity = Velocity(twist.linear.x, twist.angular.z)
        try:
            if any(others):
                raise ValueError('only linear.x and angular.z can be driven by hand')
            if self.count_publishers('manual_velocity') > 1:
                raise ValueError('two publish manual_velocity: one person drives at a time')
            request = self._core.manual.request(
                velocity, seconds(message.header.stamp), self._now()
            )
        except ValueError as error:
            self._outputs.last_error = str(error)
            self.get_logger().warning(f'manual_velocity: {error}', throttle_duration_sec=1.0)
        else:
            self._take(request)

    def _take(self, request: Request, session: str | None = None) -> None:
        """Take a request; session: of the navigator that sent it."""
        reason = self._core.on_request(request, self._now())
        if reason:
            if request.by_hand is None or reason != self._outputs.last_error:  # they come 20 a s
                self._note_refusal(request, reason)
        else:
            self._core.owner.session = session
        self._outputs.publish_status()

    def _refuse(self, request: Request, error: ValueError) -> None:
        self._core.on_invalid(request, str(error))
        self._note_refusal(request, str(error))
        self._outputs.publish_status()

    def _note_refusal(self, request: Request, reason: str) -> None:
        self._outputs.refused += 1
        self._outputs.last_error = reason = shortened(reason)
        self.get_logger().warning(f'step {request.step} is not executed: {reason}')

    def _on_done(self, message: MidLevelCommand) -> None:
        reason = self._core.on_done(
            message.instruction_id[:_LONGEST_NAME], message.step, message.amount, self._now()
        )
        if reason:
            self.get_logger().warning(f'mid_level_done is ignored: {reason}')

    def _on_obstacles(self, name: str, frame: str, stamp: float, rays: Callable[[], Rays]) -> str:
        self._outputs.rates['obstacle'].count()
        return self._core.obstacles.on_message(
            name, frame[:_LONGEST_NAME], stamp, self._now(), rays
        )

    def _on_monitor(self, message: CollisionMonitorState) -> None:
        stops = message.action_type == CollisionMonitorState.STOP
        self._core.monitor.on_state(stops, message.polygon_name[:_LONGEST_NAME], self._now())

    def _on_navigator(self, message: NavigatorStatus) -> None:
        now, active = self._now(), message.state != NavigatorStatus.STATE_INACTIVE
        self._core.link.on_navigator(now)
        self._core.navigators.hear(message.session_id, active, now)

    def _on_e_stop(self, message: Bool, info: dict[str, int]) -> None:
        origin = Origin(
            info['source_timestamp'] * 1e-9,
            info.get('publication_sequence_number'),
            self.count_publishers('e_stop'),
        )
        self._core.on_e_stop(message.data, self._now(), origin)
        if message.data:
            self._outputs.publish_velocity(Velocity())
            self._outputs.publish_command()
        self._outputs.publish_status()

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = self._core.reset()
        return response

    def start(self) -> None:
        """Let nothing delay a stop, as far as that can be done; activate, if that is asked for."""
        self._outputs.priority = take_priority(self._fixed.realtime_priority)
        gc.collect()
        gc.freeze()  # a search through all that the start has made takes 8 ms, 100 when busy
        name = self.resolve_topic_name
        self.get_logger().info(
            f'takes actions from {name("navigation_action")} and odometry from {name("odom")}, '
            f'commands {name("cmd_vel")}'
        )
        if self._fixed.autostart:
            self.trigger_configure()
            self.trigger_activate()

    def stop(self) -> None:
        """Command zero until it has surely left this process."""
        self._core.fail('motion_executor ends')
        self._outputs.publish_zeros()

    # ---- lifecycle ----

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Say zero: whatever drove the robot before, it stands."""
        self._outputs.publish_rest()
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let the robot move on request."""
        self._neighbours.look()
        self._core.activity.active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Brake, and stand whatever comes."""
        self._core.activity.active = False
        self._outputs.publish_rest()
        return super().on_deactivate(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Brake, and stand for good."""
        self._core.activity.active = False
        self._outputs.publish_rest()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Halt: a transition has failed, and nobody knows how far it came."""
        self._core.activity.active = False
        self._core.fail('a lifecycle transition has failed')
        return super().on_error(state)

    def _refuses_change(self, changes: Changes, name: str) -> str:
        if changes is Changes.WHEN_STANDING and not self._core.stands:
            return f'{name} can be changed only while the robot stands'
        return ''

    # ---- output ----

    def _update(self) -> None:
        self._updated_at = time.monotonic()
        self._outputs.rates['control'].count()
        now = self._now()
        if not now:
            return
        velocity = self._core.update(now)
        following = self._sequence.advance(self._core.status)
        if following is not None:
            self._take(following)
        if velocity is not None:
            self._outputs.publish_velocity(velocity)
        self._outputs.publish_command()
        self._outputs.publish_status()

    def _guard(self) -> None:
        """Stop the robot when ROS time stands still: then no control timer fires."""
        self._neighbours.listen()
        silent = time.monotonic() - self._updated_at
        longest = self._core.config.clock.clock_timeout
        if silent <= longest:
            return
        if not self._core.stands:
            if self._core.state in (State.MOVING, State.SETTLING):
                self.get_logger().error('ROS time stands still: the robot is stopped')
                self._core.fail('ROS time stands still')
            if silent <= longest + self._core.config.supervisor.zero_hold:
                self._outputs.publish_velocity(Velocity())
        self._outputs.publish_status()


def take_priority(priority: int) -> str:
    """Let no ordinary program delay this process (SCHED_FIFO); return what came of it."""
    if not priority:
        return 'none'
    try:
        for thread in Path('/proc/self/task').iterdir():  # the middleware's as well
            os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(priority))
    except OSError as error:
        get_logger('motion_executor').info(
            f'no real-time priority: a busy computer may delay a stop ({error.strerror})'
        )
        return f'refused: {error.strerror}'
    return str(priority)


def main(argv: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; whatever ends it, zero velocity goes out first."""
    return run('motion_executor', lambda: [MotionExecutor()], __doc__, (Parameters,), argv)


if __name__ == '__main__':
    sys.exit(main())
