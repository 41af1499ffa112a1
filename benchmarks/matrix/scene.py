"""A robot that is broken: all processes about it, and what its base really does since."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math
import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

from bench import Bench
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from janusvln_ros.action import Navigate
from janusvln_ros.actions import Action
from janusvln_ros.msg import MotionStatus, NavigatorStatus
from janusvln_ros.nodes.common.conversions import to_stamp
from janusvln_ros.nodes.common.qos import LATCHED
from rclpy.action import ActionClient
from rclpy.logging import LoggingSeverity, set_logger_level
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data, QoSProfile
from rclpy.task import Future
from sensor_msgs.msg import Image
from std_msgs.msg import Bool
from waiting import wait_for

ROOT = Path(__file__).parents[2]
PERIOD = 0.5  # s between two actions in continuous mode
FORWARD, LEFT = int(Action.MOVE_FORWARD), int(Action.TURN_LEFT)
_REST = 0.005, 0.02  # m/s, rad/s below which a base with physics stands
_START = 60.0  # s that a process may take to be there
NODE_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Scene(Bench):
    """A robot, what is asked of it, and what is seen and heard of it."""

    def __init__(self, domain: int, mode: str) -> None:
        self.way = self.yaw = self.turned = 0.0  # m, rad, and the farthest it has looked elsewhere
        self.rested_at = math.inf  # when the base last came to rest
        self._last: tuple[float, float, float] | None = None
        self.navigator_says: list[str] = []
        self.refusals: list[str] = []  # of instructions, as diagnostics tell them
        self.navigators: dict[str, float] = {}  # session -> when it was first heard at work
        super().__init__(domain)
        set_logger_level('bench', LoggingSeverity.ERROR)  # QoS that do not fit are wanted here
        self.mode, self.asks, self.wish, self._asked = mode, True, FORWARD, 0.0
        self.fast = 0.1  # m/s that it has to drive before it is broken
        self.processes: list[subprocess.Popen] = []
        self._said: dict[int, Any] = {}  # stderr, by process id
        self.image_offset, self.image_stamp, self.image_size = 0.0, None, (48, 64)
        self.sensors: dict[str, Callable[[], Any]] = {}  # topic -> what makes its next message
        self.sensors_late = 0.0  # s
        self.goal: Any = None
        self.result: Future | None = None
        self.session = ''  # of the executor
        self.node.create_subscription(
            NavigatorStatus, 'navigator_status', self._on_navigator, LATCHED
        )
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        self._images = self.node.create_publisher(Image, 'image', qos_profile_sensor_data)
        self._goals = ActionClient(self.node, Navigate, 'navigate')

    # ---- what is seen and heard ----

    def _on_truth(self, message: Any) -> None:
        super()._on_truth(message)
        x, y, yaw = self.pose
        if self._last is not None:
            self.way += math.hypot(x - self._last[0], y - self._last[1])
            self.yaw += math.remainder(yaw - self._last[2], math.tau)
            self.turned = max(self.turned, abs(self.yaw))
        self._last = x, y, yaw
        if self.base_moves:
            self.rested_at = math.inf
        elif math.isinf(self.rested_at):
            self.rested_at = time.monotonic()

    @property
    def base_moves(self) -> bool:
        twist = self.truth.twist.twist
        return abs(twist.linear.x) > _REST[0] or abs(twist.angular.z) > _REST[1]

    def _on_navigator(self, message: NavigatorStatus) -> None:
        if message.state != NavigatorStatus.STATE_INACTIVE:
            self.navigators.setdefault(message.session_id, time.monotonic())
        if message.message:
            self.navigator_says.append(message.message)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        if message.status[0].level == DiagnosticStatus.ERROR:
            self.refusals.append(message.status[0].message)
        for pair in message.status[0].values:
            if pair.key == 'last error' and pair.value:
                self.refusals.append(pair.value)

    def told(self) -> list[str]:
        """Return all that the user was told since the fault began."""
        statuses = [
            each.message
            for each in list(self.statuses)
            if each.message and (tells(each) or each.session_id != self.session)
        ]
        result = [self.result.result().result.message] if self.answered else []
        last = []
        for process in self.processes:
            if process.poll():
                text = self._said[process.pid]
                text.seek(0)
                last += text.read().decode(errors='replace').splitlines()[-1:]
        return [*statuses, *self.navigator_says, *result, *last, *self.refusals]

    @property
    def answered(self) -> bool:
        """Tell whether the client of the goal has its result."""
        return self.result is not None and self.result.done()

    # ---- processes ----

    def start(self, *command: str) -> subprocess.Popen:
        """Start a Python process about the robot."""
        said = tempfile.TemporaryFile()
        process = subprocess.Popen(
            [sys.executable, *command],
            env={
                **os.environ,
                'PYTHONPATH': str(ROOT),
                'ROS_DOMAIN_ID': str(self.context.get_domain_id()),
            },
            cwd=ROOT,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        self.processes.append(process)
        self._said[process.pid] = said
        return process

    def start_executor(self, *parameters: str, code: str = '') -> subprocess.Popen:
        """Start motion_executor in the scene's mode; code: Python that starts it in its place."""
        words = [
            word for each in (f'execution_mode:={self.mode}', *parameters) for word in ('-p', each)
        ]
        how = ('-c', code) if code else ('-m', 'janusvln_ros.cli', 'motion_executor')
        return self.start(*how, '--ros-args', *words)

    def start_script(self, name: str, *arguments: str) -> subprocess.Popen:
        """Start a script of test/nodes."""
        return self.start(str(ROOT / 'test' / 'nodes' / name), *arguments)

    def start_navigator(self, *parameters: str) -> subprocess.Popen:
        """Start a navigator that says what its instruction spells."""
        words = [
            word for each in (f'execution_mode:={self.mode}', *parameters) for word in ('-p', each)
        ]
        return self.start_script(
            'scripted_navigator.py',
            *('--ros-args', '-p', 'checkpoint:=script', '-p', 'autostart:=true'),
            *('-p', 'device:=cpu', *words),
        )

    def navigate(self, words: str = 'F', *parameters: str) -> None:
        """Start a navigator with its camera, and send it a goal."""
        self.asks = False
        self.node.create_timer(0.05, self._take_picture)
        self.navigator = self.start_navigator(*parameters)
        wait_for(lambda: self.navigators, 'the navigator', _START)
        assert self._goals.wait_for_server(_START)
        self.send_goal(words)

    def send_goal(self, words: str) -> None:
        """Send a goal; it is accepted or refused."""
        # In the thread that spins: rclpy's action client loses answers that are too quick.
        self.goal = self._in_spin(self._goals.send_goal_async, Navigate.Goal(instruction=words))
        if self.goal.accepted:
            task = self.executor.create_task(self.goal.get_result_async)
            wait_for(task.done, 'the request of a result')
            self.result = task.result()

    def _in_spin(self, function: Callable[..., Future], *arguments: Any) -> Any:
        task = self.executor.create_task(function, *arguments)
        wait_for(lambda: task.done() and task.result().done(), 'an answer')
        return task.result().result()

    def end(self) -> None:
        """End all processes; a frozen one goes on first."""
        try:
            for process in self.processes:
                for number in (signal.SIGCONT, signal.SIGINT):
                    process.send_signal(number)
            for process in self.processes:
                try:
                    process.wait(6.0)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        finally:
            self.close()  # its thread would keep this process alive when a signal comes above

    # ---- what the robot senses ----

    def _take_picture(self) -> None:
        height, width = self.image_size
        image = Image(height=height, width=width, step=3 * width, encoding='rgb8')
        image.data = os.urandom(3 * height * width)
        now = self.node.get_clock().now().nanoseconds * 1e-9
        image.header.stamp = self.image_stamp or to_stamp(now + self.image_offset)
        if height:
            self._images.publish(image)

    def start_sensors(self, **messages: Any) -> None:
        """Publish messages of obstacle sensors again and again, all with one stamp, by topic."""
        publishers = {}
        for topic, message in messages.items():
            publisher = self.node.create_publisher(type(message), topic, qos_profile_sensor_data)
            wait_for(publisher.get_subscription_count, f'{topic} to be heard', _START)
            self.sensors[topic], publishers[topic] = message, publisher
        self.node.create_timer(0.1, lambda: self._sense(publishers))
        time.sleep(1.0)

    def _sense(self, publishers: dict[str, Any]) -> None:
        now = self.node.get_clock().now().nanoseconds * 1e-9
        for topic, publisher in publishers.items():
            message = self.sensors[topic]
            if message is not None:
                message.header.stamp = to_stamp(now + self.sensors_late)
                publisher.publish(message)

    # ---- what is asked of it ----

    def add_button(self, quality: QoSProfile | int, beats: bool = False) -> None:
        """Publish e_stop in some way; it is not pressed. beats: ten times a second."""
        self.button = self.node.create_publisher(Bool, 'e_stop', quality)
        self.heartbeat = self.node.create_timer(
            0.1, lambda: self.button.publish(Bool(data=False)), autostart=beats
        )
        wait_for(self.button.get_subscription_count, 'the executor')
        self.button.publish(Bool(data=False))
        time.sleep(1.0)

    def takes_sim_time(self) -> None:
        """Stamp actions by the base's clock."""
        self.node.set_parameters([Parameter('use_sim_time', value=True)])
        wait_for(lambda: 0 < self.node.get_clock().now().nanoseconds < 10**15, 'a clock')

    def ready(self, well: bool = True) -> None:
        """Wait until base and executor are there; well: and the robot takes actions."""
        wait_for(lambda: self.truth and self.statuses, 'executor and base', _START)
        for publisher in (self.actions, self.e_stop):
            wait_for(publisher.get_subscription_count, 'the executor', _START)
        if well:
            idle = MotionStatus.STATE_IDLE
            wait_for(
                lambda: self.status.state == idle and not self.status.message, 'odometry', _START
            )

    def begins(self) -> None:
        """Take now as the fault's begin."""
        self.way = self.yaw = self.turned = 0.0
        self.session = self.session or self.status.session_id
        self.statuses.clear()
        self.navigator_says.clear()
        self.began = time.monotonic()

    def insist(self, seconds: float, until: Callable[[], object] = lambda: False) -> None:
        """Ask for the same whenever that may be carried out, for a while or until something is."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            due = time.monotonic() >= self._asked + PERIOD
            busy = self.status.state in (MotionStatus.STATE_MOVING, MotionStatus.STATE_SETTLING)
            if self.asks and due and (self.mode == 'continuous' or not busy):
                self._ask()
            time.sleep(0.02)

    def _ask(self) -> None:
        self.act(self.wish)
        self._asked = time.monotonic()

    def sets_off(self) -> None:
        """Move, and wait until that can be seen."""
        if self.asks:
            self._ask()
        wait_for(
            lambda: (
                self.base_moves and self.commands and moves(self.commands[-1][1:], self.fast, 0.3)
            ),
            'the base to move',
            _START,
        )


def moves(velocity: Sequence[float], linear: float = 0.0, angular: float = 0.0) -> bool:
    """Tell whether a velocity (m/s, rad/s) is above one or the other."""
    return abs(velocity[0]) > linear or abs(velocity[1]) > angular


def tells(status: MotionStatus) -> bool:
    """Tell whether a status says why the robot stands, not only that it is busy."""
    faulty = status.state in (MotionStatus.STATE_FAULT, MotionStatus.STATE_ESTOPPED)
    return bool(status.message) and (faulty or status.result != MotionStatus.RESULT_DROPPED)
