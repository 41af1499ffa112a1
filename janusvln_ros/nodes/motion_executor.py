"""
motion_executor: actions in, velocities out, and zero velocity on every way out.

This node only wires topics to janusvln_ros.motion.executor.Executor, which holds all behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import gc
import math
import os
from pathlib import Path as FilePath
import sys
import time
from typing import Any
import uuid

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped, Twist, TwistStamped
from janusvln_ros.motion.bases import Output
from janusvln_ros.motion.commands import Command, Kind
from janusvln_ros.motion.config import ExecutorConfig
from janusvln_ros.motion.executor import Executor
from janusvln_ros.motion.sentences import parse_steps, SentenceError
from janusvln_ros.motion.sequence import Sequence
from janusvln_ros.motion.types import Mode, Request, Result, State, Status, Velocity
from janusvln_ros.msg import MidLevelCommand, MotionStatus, NavigationAction, NavigatorStatus
from janusvln_ros.nodes.common.conversions import seconds, to_quaternion, to_stamp, yaw
from janusvln_ros.nodes.common.diagnostics import diagnostics, Rate
from janusvln_ros.nodes.common.parameters import Declared
from janusvln_ros.nodes.common.process import run
from janusvln_ros.nodes.common.qos import LATCHED, LATEST, RELIABLE, SENSOR
from janusvln_ros.nodes.obstacle_sensors import ObstacleSensors
from janusvln_ros.parameters import Changes, group, parameter
from nav_msgs.msg import Odometry, Path
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, qos_profile_sensor_data
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger

_MODES = {Mode.STEP: MotionStatus.MODE_STEP, Mode.CONTINUOUS: MotionStatus.MODE_CONTINUOUS}
_GUARD_PERIOD = 0.05  # s of wall time
_LONGEST_PATH = 10000  # poses
_LATE = 0.25  # s, older odometry makes motions inexact


@dataclass(frozen=True)
class NodeParameters:
    """What only the node needs."""

    control_rate: float = parameter(
        50.0, 'Velocity commands per second of ROS time.', unit='1/s', low=10.0, high=500.0
    )
    status_rate: float = parameter(
        10.0,
        'motion_status messages per second, besides changes.',
        unit='1/s',
        low=1.0,
        high=100.0,
    )
    stamped_cmd_vel: bool = parameter(False, 'Publish TwistStamped on cmd_vel, not Twist.')
    cmd_vel_frame: str = parameter('base_link', 'frame_id of a TwistStamped.')
    realtime_priority: int = parameter(
        5,
        'SCHED_FIFO priority that this process gives itself if it has the right to (rtprio,'
        ' CAP_SYS_NICE), so that other programs do not delay a stop; 0: none.',
        low=0,
        high=98,
    )


@dataclass(frozen=True)
class Parameters:
    """All parameters of the node."""

    node: NodeParameters = group(NodeParameters)
    executor: ExecutorConfig = group(ExecutorConfig)


class MotionExecutor(Node):
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
        self._sequence = Sequence()
        self._session_id = uuid.uuid4().hex
        self._odometry_frame = 'odom'
        self._published: Status | None = None
        self._published_at = -math.inf
        self._path = Path()
        self._updated_at = time.monotonic()  # when ROS time last went on
        self._core.e_stop.start(self._updated_at)
        self._refused = 0  # actions and sentences
        self._last_error = ''
        self._priority = 'none'
        self._odometry_delay = math.nan  # s, from a pose's stamp to its arrival
        self._rates = {name: Rate() for name in ('control', 'odometry', 'action', 'obstacle')}

        self._velocity = self.create_publisher(
            TwistStamped if self._fixed.stamped_cmd_vel else Twist, 'cmd_vel', LATEST
        )
        self._status = self.create_publisher(MotionStatus, 'motion_status', LATEST)
        self._commands = self.create_publisher(MidLevelCommand, 'mid_level_command', RELIABLE)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', RELIABLE)
        self._path_publisher = self.create_publisher(Path, 'executed_path', LATCHED)
        self.create_subscription(Odometry, 'odom', self._on_odometry, qos_profile_sensor_data)
        self.create_subscription(NavigationAction, 'navigation_action', self._on_action, LATEST)
        self.create_subscription(NavigatorStatus, 'navigator_status', self._on_navigator, LATEST)
        for quality in (RELIABLE, SENSOR, LATCHED):  # a press reaches us however it is sent
            self.create_subscription(
                Bool,
                'e_stop',
                self._on_e_stop,  # type: ignore[arg-type]  # rclpy's hint knows no message info
                quality,
            )
        self.create_subscription(String, 'sentence', self._on_sentence, RELIABLE)
        self.create_subscription(MidLevelCommand, 'mid_level_done', self._on_done, RELIABLE)
        self._obstacles = ObstacleSensors(
            self,
            parameters.executor.sensors,
            lambda: self._core.config.obstacles.stop_distance > 0.0,
            self._on_clearance,
        )
        self.create_service(Trigger, 'reset_e_stop', self._on_reset)
        self.create_timer(1.0 / self._fixed.control_rate, self._update)
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_GUARD_PERIOD, self._guard, clock=wall)
        self.create_timer(1.0, self._publish_diagnostics, clock=wall)

    # ---- inputs ----

    def _now(self) -> float:
        return self.get_clock().now().nanoseconds * 1e-9

    def _on_odometry(self, message: Odometry) -> None:
        self._rates['odometry'].count()
        position, q = message.pose.pose.position, message.pose.pose.orientation
        stamp, now = seconds(message.header.stamp), self._now()
        self._odometry_frame = message.header.frame_id or self._odometry_frame
        self._odometry_delay = now - stamp
        problem = self._core.odometry.on_frames(
            message.header.frame_id,
            message.child_frame_id,
            [message.pose.covariance[7 * axis] for axis in (0, 1, 5)],
        )
        self._core.on_odometry(stamp, position.x, position.y, yaw(q), now, problem)

    def _on_action(self, message: NavigationAction) -> None:
        self._rates['action'].count()
        request = Request(
            Command(Kind.STOP),
            seconds(message.header.stamp),
            message.instruction_id,
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
            self._take(replace(request, command=command))

    def _on_sentence(self, message: String) -> None:
        self._rates['action'].count()
        step = self._core.config.step
        try:
            commands = parse_steps(message.data, step.step_length, step.step_angle)
        except SentenceError as error:
            self._sequence.drop()
            self._refuse(Request(Command(Kind.STOP)), error)
        else:
            requests = [Request(each, action=int(each.action)) for each in commands]
            self._take(self._sequence.begin(requests))

    def _take(self, request: Request) -> None:
        reason = self._core.on_request(request, self._now())
        if reason:
            self._note_refusal(request, reason)
        self._publish_status()

    def _refuse(self, request: Request, error: ValueError) -> None:
        self._core.on_invalid(request, str(error))
        self._note_refusal(request, str(error))
        self._publish_status()

    def _note_refusal(self, request: Request, reason: str) -> None:
        self._refused += 1
        self._last_error = reason
        self.get_logger().warning(f'step {request.step} is not executed: {reason}')

    def _on_done(self, message: MidLevelCommand) -> None:
        reason = self._core.on_done(
            message.instruction_id, message.step, message.amount, self._now()
        )
        if reason:
            self.get_logger().warning(f'mid_level_done is ignored: {reason}')

    def _on_clearance(self, sensor: str, distance: float) -> None:
        self._rates['obstacle'].count()
        self._core.obstacles.on_clear_distance(sensor, distance, self._now())

    def _on_navigator(self, _: NavigatorStatus) -> None:
        self._core.link.on_navigator(self._now())

    def _on_e_stop(self, message: Bool, info: dict[str, int]) -> None:
        self._core.on_e_stop(message.data, self._now(), info['source_timestamp'] * 1e-9)
        if message.data:
            self._publish_velocity(Velocity())
            self._publish_command()
        self._publish_status()

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = self._core.reset()
        return response

    def start(self) -> None:
        """Let nothing delay a stop, as far as that can be done."""
        self._take_priority()
        gc.collect()
        gc.freeze()  # a search through all that the start has made takes 8 ms, 100 when busy

    def _take_priority(self) -> None:
        """Let no ordinary program delay this process, if that is permitted (SCHED_FIFO)."""
        priority = self._fixed.realtime_priority
        if not priority:
            return
        try:
            for thread in FilePath('/proc/self/task').iterdir():  # the middleware's as well
                os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(priority))
        except OSError as error:
            self._priority = f'refused: {error.strerror}'
            self.get_logger().info(
                f'no real-time priority: a busy computer may delay a stop ({error.strerror})'
            )
        else:
            self._priority = str(priority)

    def _refuses_change(self, changes: Changes, name: str) -> str:
        if changes is Changes.WHEN_STANDING and not self._core.stands:
            return f'{name} can be changed only while the robot stands'
        return ''

    # ---- output ----

    def _update(self) -> None:
        self._updated_at = time.monotonic()
        self._rates['control'].count()
        velocity = self._core.update(self._now())
        following = self._sequence.advance(self._core.status)
        if following is not None:
            self._take(following)
        if velocity is not None:
            self._publish_velocity(velocity)
        self._publish_command()
        self._publish_status()

    def _guard(self) -> None:
        """Stop the robot when ROS time stands still: then no control timer fires."""
        self._listen()
        silent = time.monotonic() - self._updated_at
        longest = self._core.config.clock.clock_timeout
        if silent <= longest or self._core.stands:
            return
        if self._core.state in (State.MOVING, State.SETTLING):
            self.get_logger().error('ROS time stands still: the robot is stopped')
            self._core.fail('ROS time stands still')
        if silent <= longest + self._core.config.supervisor.zero_hold:
            self._publish_velocity(Velocity())
        self._publish_status()

    def _listen(self) -> None:
        """Look whether somebody latches an e_stop that has not arrived yet."""
        button = self._core.e_stop
        latches = not button.heard and any(
            publisher.qos_profile.durability is DurabilityPolicy.TRANSIENT_LOCAL
            for publisher in self.get_publishers_info_by_topic('e_stop')
        )
        button.listen(latches, time.monotonic())

    def _publish_command(self) -> None:
        """Send the command that waits for a base that takes commands, if one does."""
        request = self._core.base.take_command()
        if request is None:
            return
        message = MidLevelCommand(
            instruction_id=request.instruction_id,
            step=request.step,
            type=int(request.command.kind),
            amount=request.command.amount,
            sentence=request.command.sentence,
        )
        message.header.stamp = to_stamp(request.stamp or self._now())
        message.header.frame_id = self._fixed.cmd_vel_frame
        self._commands.publish(message)

    def _publish_velocity(self, velocity: Velocity) -> None:
        if self._core.config.output.output is Output.COMMAND:
            return
        twist = Twist()
        twist.linear.x = velocity.linear
        twist.angular.z = velocity.angular
        if not self._fixed.stamped_cmd_vel:
            self._velocity.publish(twist)
            return
        stamped = TwistStamped(twist=twist)
        stamped.header.stamp = self.get_clock().now().to_msg()
        stamped.header.frame_id = self._fixed.cmd_vel_frame
        self._velocity.publish(stamped)

    def _publish_status(self) -> None:
        status, wall = self._core.status, time.monotonic()
        old = self._published
        if (
            old is not None
            and replace(old, progress=status.progress) == status
            and wall - self._published_at < 1.0 / self._fixed.status_rate
        ):
            return
        message = MotionStatus(
            state=int(status.state),
            result=int(status.result),
            instruction_id=status.request.instruction_id,
            step=status.request.step,
            action=status.request.action,
            motion_end=to_stamp(status.motion_end),
            progress=status.progress,
            open_loop=status.open_loop,
            message=status.message,
            session_id=self._session_id,
            execution_mode=_MODES[self._core.config.admission.execution_mode],
        )
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = self._odometry_frame
        self._status.publish(message)
        if (
            old is None
            or status.motion_end != old.motion_end
            or status.request.instruction_id != old.request.instruction_id
        ):
            self._extend_path(status, old)
        self._published, self._published_at = status, wall

    def _extend_path(self, status: Status, old: Status | None) -> None:
        """Add where a motion ended; a new instruction starts a new path."""
        if old is None or status.request.instruction_id != old.request.instruction_id:
            self._path.poses = []
        pose = self._core.base.pose
        if pose is None:
            return
        self._path.header.frame_id = self._odometry_frame
        self._path.header.stamp = self.get_clock().now().to_msg()
        point = PoseStamped(header=self._path.header)
        point.pose.position.x, point.pose.position.y = pose.x, pose.y
        point.pose.orientation = to_quaternion(pose.yaw)
        if len(self._path.poses) < _LONGEST_PATH:
            self._path.poses.append(point)
        self._path_publisher.publish(self._path)

    def _publish_diagnostics(self) -> None:
        now, status = self._now(), self._core.status
        core, config = self._core, self._core.config
        odometry_age, navigator_age = core.odometry.age(now), core.link.age(now)
        warnings = []
        if status.open_loop or (config.open_loop.allow_open_loop and core.odometry.is_silent(now)):
            warnings.append('open loop: motions are timed, without odometry')
        if 0.0 < config.link.navigator_timeout < navigator_age:
            warnings.append('no sign of life of the navigator')
        if abs(self._odometry_delay) > _LATE:
            warnings.append(
                f'odometry is stamped {self._odometry_delay:.2f} s before it arrives:'
                ' do the clocks agree?'
            )
        if status.result not in (Result.NONE, Result.SUCCEEDED):
            warnings.append(f'last action: {status.result.name}: {status.message}')
            self._last_error = status.message or self._last_error
        level, text = DiagnosticStatus.OK, status.state.name.lower()
        if status.state in (State.FAULT, State.ESTOPPED):
            level, text = DiagnosticStatus.ERROR, f'{text}: {status.message}'
        elif warnings:
            level, text = DiagnosticStatus.WARN, '; '.join([text, *warnings])
        message = diagnostics(
            f'{self.get_fully_qualified_name()}: motion',
            level,
            text,
            {
                'state': status.state.name,
                'last result': status.result.name,
                'instruction': status.request.instruction_id,
                'step': status.request.step,
                'open loop': status.open_loop,
                'execution mode': config.admission.execution_mode.value,
                'output': config.output.output.value,
                'control rate (Hz)': self._rates['control'].hertz,
                'longest control gap (s)': self._rates['control'].longest_gap,
                'real-time priority': self._priority,
                'odometry rate (Hz)': self._rates['odometry'].hertz,
                'odometry age (s)': odometry_age,
                'odometry delay (s)': self._odometry_delay,
                'navigator age (s)': navigator_age,
                'actions per second': self._rates['action'].hertz,
                'obstacle readings per second': self._rates['obstacle'].hertz,
                'refused actions': self._refused,
                'last error': self._last_error,
            },
            self.get_clock().now().to_msg(),
        )
        self._diagnostics.publish(message)

    def stop(self) -> None:
        """Command zero until it has surely left this process."""
        self._core.fail('motion_executor ends')
        for _ in range(5):
            self._publish_velocity(Velocity())
            self._publish_command()
            self._velocity.wait_for_all_acked(Duration(seconds=0.02))
            time.sleep(0.02)


def main(argv: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; whatever ends it, zero velocity goes out first."""
    return run('motion_executor', MotionExecutor, __doc__, (Parameters,), argv)


if __name__ == '__main__':
    sys.exit(main())
