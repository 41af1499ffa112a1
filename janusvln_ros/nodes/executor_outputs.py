"""What the motion executor publishes: velocities or commands, status, path, diagnostics."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
import math
import time
import uuid

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped, Twist, TwistStamped
from janusvln_ros.motion.bases import Output
from janusvln_ros.motion.executor import Executor
from janusvln_ros.motion.safety.masters import listed
from janusvln_ros.motion.types import Mode, Result, State, Status, Velocity
from janusvln_ros.msg import MidLevelCommand, MotionStatus
from janusvln_ros.navigation.mission import shortened
from janusvln_ros.nodes.common.conversions import to_quaternion, to_stamp
from janusvln_ros.nodes.common.diagnostics import diagnostics, Rate
from janusvln_ros.nodes.common.qos import LATCHED, LATEST, RELIABLE
from janusvln_ros.parameters import parameter
from nav_msgs.msg import Path
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher

_MODES = {Mode.STEP: MotionStatus.MODE_STEP, Mode.CONTINUOUS: MotionStatus.MODE_CONTINUOUS}
_LONGEST_PATH = 10000  # poses
_REMEMBERED = 100  # commands


@dataclass(frozen=True)
class MessageParameters:
    """What the messages look like."""

    status_rate: float = parameter(
        10.0,
        'motion_status messages per second, besides changes.',
        unit='1/s',
        low=1.0,
        high=100.0,
    )
    stamped_cmd_vel: bool = parameter(False, 'Publish TwistStamped on cmd_vel, not Twist.')
    cmd_vel_frame: str = parameter('base_link', 'frame_id of a TwistStamped.')


class ExecutorOutputs:
    """
    Publishes what an executor says.

    What only the node knows, for the diagnostics, it writes into the attributes.
    """

    def __init__(self, node: Node, core: Executor, parameters: MessageParameters) -> None:
        self._node, self._core, self._parameters = node, core, parameters
        self.session_id = uuid.uuid4().hex  # of this run
        self.rates = {name: Rate() for name in ('control', 'odometry', 'action', 'obstacle')}
        self.odometry_frame = 'odom'
        self.refused = 0  # actions and sentences
        self.last_error = ''
        self.priority = 'none'
        self._published: Status | None = None
        self._published_at = -math.inf
        self._path = Path()
        self.navigators: list[str] = []  # nodes that publish navigation_action
        self._sent: deque[object] = deque(maxlen=_REMEMBERED)  # commands
        self._velocity = node.create_publisher(
            TwistStamped if parameters.stamped_cmd_vel else Twist, 'cmd_vel', LATEST
        )
        self._status = node.create_publisher(MotionStatus, 'motion_status', LATEST)
        self._mid_level = node.create_publisher(MidLevelCommand, 'mid_level_command', RELIABLE)
        self._diagnostics = node.create_publisher(DiagnosticArray, '/diagnostics', RELIABLE)
        self._path_publisher = node.create_publisher(Path, 'executed_path', LATCHED)

    def _now(self) -> float:
        return self._node.get_clock().now().nanoseconds * 1e-9

    @property
    def commands(self) -> Publisher:
        """Return the publisher of what the base takes."""
        takes_commands = self._core.config.output.output is Output.COMMAND
        return self._mid_level if takes_commands else self._velocity

    def publish_command(self) -> None:
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
        message.header.frame_id = self._parameters.cmd_vel_frame
        self._send(message)

    def publish_velocity(self, velocity: Velocity) -> None:
        """Send a velocity, to a base that takes velocities."""
        if self._core.config.output.output is Output.COMMAND:
            return
        twist = Twist()
        twist.linear.x = velocity.linear
        twist.angular.z = velocity.angular
        if not self._parameters.stamped_cmd_vel:
            self._send(twist)
            return
        stamped = TwistStamped(twist=twist)
        stamped.header.stamp = self._node.get_clock().now().to_msg()
        stamped.header.frame_id = self._parameters.cmd_vel_frame
        self._send(stamped)

    def _send(self, command: Twist | TwistStamped | MidLevelCommand) -> None:
        self._sent.append(command)
        self.commands.publish(command)

    def was_sent(self, command: object) -> bool:
        """Tell whether a command is one of our own last ones."""
        return any(command == own for own in reversed(self._sent))

    def publish_status(self) -> None:
        """Publish the status when it has changed, or when it is time again."""
        status, wall = self._core.status, time.monotonic()
        old = self._published
        if (
            old is not None
            and replace(old, progress=status.progress) == status
            and wall - self._published_at < 1.0 / self._parameters.status_rate
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
            message=shortened(status.message),
            session_id=self.session_id,
            execution_mode=_MODES[self._core.config.admission.execution_mode],
        )
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.header.frame_id = self.odometry_frame
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
        self._path.header.frame_id = self.odometry_frame
        self._path.header.stamp = self._node.get_clock().now().to_msg()
        point = PoseStamped(header=self._path.header)
        point.pose.position.x, point.pose.position.y = pose.x, pose.y
        point.pose.orientation = to_quaternion(pose.yaw)
        if len(self._path.poses) < _LONGEST_PATH:
            self._path.poses.append(point)
        self._path_publisher.publish(self._path)

    def publish_diagnostics(self) -> None:
        """Publish how everything is."""
        now, status = self._now(), self._core.status
        status = replace(status, message=shortened(status.message))
        core, config = self._core, self._core.config
        odometry_age, navigator_age = core.odometry.age(now), core.link.age(now)
        warnings = []
        if status.open_loop or (config.open_loop.allow_open_loop and core.odometry.is_silent(now)):
            warnings.append('open loop: motions are timed, without odometry')
        if 0.0 < config.link.navigator_timeout < navigator_age:
            warnings.append('no sign of life of the navigator')
        if doubts := core.obstacles.doubts(now):
            warnings.append(doubts)
        if core.odometry.doubt:
            warnings.append(core.odometry.doubt)
        if core.masters.warning:
            warnings.append(core.masters.warning)
        if len(self.navigators) > 1:
            warnings.append(
                f'several nodes publish navigation_action: {listed(self.navigators)};'
                ' one navigator is enough'
            )
        if status.result not in (Result.NONE, Result.SUCCEEDED):
            warnings.append(f'last action: {status.result.name}: {status.message}')
            self.last_error = status.message or self.last_error
        level, text = DiagnosticStatus.OK, status.state.name.lower()
        if not core.activity.active and status.state is State.FAULT:
            level, text = DiagnosticStatus.WARN, f'inactive: {status.message}'
        elif status.state in (State.FAULT, State.ESTOPPED):
            level, text = DiagnosticStatus.ERROR, f'{text}: {status.message}'
        elif warnings:
            level, text = DiagnosticStatus.WARN, '; '.join([text, *warnings])
        message = diagnostics(
            f'{self._node.get_fully_qualified_name()}: motion',
            level,
            text,
            {
                'state': status.state.name,
                'active': core.activity.active,
                'last result': status.result.name,
                'instruction': status.request.instruction_id,
                'step': status.request.step,
                'open loop': status.open_loop,
                'execution mode': config.admission.execution_mode.value,
                'output': config.output.output.value,
                'control rate (Hz)': self.rates['control'].hertz,
                'longest control gap (s)': self.rates['control'].longest_gap,
                'real-time priority': self.priority,
                'odometry rate (Hz)': self.rates['odometry'].hertz,
                'odometry age (s)': odometry_age,
                'odometry delay (s)': core.odometry.delay,
                'navigator age (s)': navigator_age,
                'actions per second': self.rates['action'].hertz,
                'obstacle readings per second': self.rates['obstacle'].hertz,
                'guess of the way': core.guess.told(now),
                'refused actions': self.refused,
                'last error': self.last_error,
            },
            self._node.get_clock().now().to_msg(),
        )
        self._diagnostics.publish(message)

    def publish_rest(self) -> None:
        """Tell a robot that stands to stand; one that drives is braked by the executor."""
        if self._core.stands:
            self._core.base.send_stop()
            self.publish_velocity(Velocity())
            self.publish_command()

    def publish_zeros(self) -> None:
        """Command zero until it has surely left this process."""
        for _ in range(5):
            self.publish_velocity(Velocity())
            self.publish_command()
            self._velocity.wait_for_all_acked(Duration(seconds=0.02))
            time.sleep(0.02)
