"""
How long motion_executor takes from an e-stop to zero velocity, over DDS, again and again.

    python benchmarks/e_stop.py --times 1000

Starts a base and the executor as processes. Each time it makes the robot move, presses the e-stop
and measures until zero velocity is commanded, by the stamp of the command, and until that has come
back to this process; then it checks that nothing else comes until the base has come to rest, and
resets. Ends with status 1 when zero was commanded later than --limit after the message had been
sent, or when anything but zero followed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
import contextlib
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from geometry_msgs.msg import TwistStamped
from janusvln_ros.msg import MotionStatus, NavigationAction
from nav_msgs.msg import Odometry
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from tqdm import tqdm

ROOT = Path(__file__).parents[1]
PATIENCE = 30.0  # s for what takes a moment
WATCH = 0.1  # s that are watched after a stop, and until the base rests


class Driver(Node):
    """Makes the robot move and stops it."""

    def __init__(self) -> None:
        super().__init__('e_stop_benchmark')
        self.received: list[tuple[float, float, bool]] = []  # (commanded, received, is zero)
        self.status = MotionStatus(message='none yet')
        self.base_moves = False
        self.ready = False
        self._step = 0
        self._actions = self.create_publisher(NavigationAction, 'navigation_action', 1)
        self._e_stop = self.create_publisher(Bool, 'e_stop', 10)
        self._reset = self.create_client(Trigger, 'reset_e_stop')
        self.create_subscription(TwistStamped, 'cmd_vel', self._on_velocity, 10)
        self.create_subscription(Odometry, 'base_truth', self._on_truth, 10)
        self.create_subscription(MotionStatus, 'motion_status', self._on_status, 1)
        self._spinner = SingleThreadedExecutor()
        self._spinner.add_node(self)

    def _on_velocity(self, message: TwistStamped) -> None:
        stamp, twist = message.header.stamp, message.twist
        self.received.append(
            (
                stamp.sec + stamp.nanosec * 1e-9,
                time.time(),
                twist.linear.x == twist.angular.z == 0.0,
            )
        )

    def _on_truth(self, truth: Odometry) -> None:
        twist = truth.twist.twist
        self.base_moves = bool(twist.linear.x or twist.angular.z)

    def _on_status(self, status: MotionStatus) -> None:
        self.status = status

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Spin until a condition holds; TimeoutError when it does not."""
        end = time.monotonic() + PATIENCE
        while not condition():
            self._spinner.spin_once(timeout_sec=0.01)
            if time.monotonic() > end:
                raise TimeoutError(f'waited {PATIENCE:.0f} s for {what}; {self.status}')

    def connect(self) -> None:
        """Wait until executor and base are there."""
        self.wait(
            lambda: (
                self._actions.get_subscription_count() > 0
                and self._e_stop.get_subscription_count() > 0
                and self._reset.service_is_ready()
            ),
            'the executor',
        )
        self.wait(
            lambda: self.status.state == MotionStatus.STATE_IDLE and not self.status.message,
            'odometry',
        )

    def measure(self) -> tuple[float, float, float, bool]:
        """
        Return times (s) and whether nothing but zero followed.

        Zero is commanded: since the message has been sent, which is the executor's part, and since
        the button was pressed; zero is received, since the button was pressed.
        """
        self.wait(self._is_moving, 'the robot to move')
        self.received.clear()
        pressed = time.time()
        self._e_stop.publish(Bool(data=True))
        sent = time.time()
        self.wait(lambda: any(zero for *_, zero in self.received), 'zero velocity')
        stopped, seen = next((at, seen) for at, seen, zero in self.received if zero)
        end = time.monotonic() + WATCH
        self.wait(lambda: time.monotonic() > end and not self.base_moves, 'the base to rest')
        clean = all(zero for at, _, zero in self.received if at >= stopped)
        self._e_stop.publish(Bool(data=False))
        self.wait(self._reset_done, 'the reset')
        self.wait(lambda: self.status.state == MotionStatus.STATE_IDLE, 'the robot to be ready')
        return stopped - sent, stopped - pressed, seen - pressed, clean

    def _is_moving(self) -> bool:
        """Tell whether the robot is seen to move; send an action when none is under way."""
        if self.status.state == MotionStatus.STATE_IDLE and (
            self._step == 0 or self.status.step == self._step - 1
        ):
            self._actions.publish(
                NavigationAction(
                    action=1 + self._step % 3, instruction_id='e_stop', step=self._step
                )
            )
            self._step += 1
        return self.base_moves and bool(self.received) and not self.received[-1][2]

    def _reset_done(self) -> bool:
        future = self._reset.call_async(Trigger.Request())
        self._spinner.spin_until_future_complete(future, timeout_sec=PATIENCE)
        return future.result() is not None and future.result().success


@contextlib.contextmanager
def processes(parameters: list[str]) -> Iterator[None]:
    """Start a base and an executor; end them on the way out."""
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    started = [
        subprocess.Popen([sys.executable, *command], env=environment, start_new_session=True)
        for command in (
            [str(ROOT / 'test' / 'support' / 'kinematic_base.py'), '--stamped'],
            [
                '-m',
                'janusvln_ros.nodes.motion_executor',
                '--ros-args',
                *(
                    word
                    for each in ('settle_time:=0.0', 'stamped_cmd_vel:=true', *parameters)
                    for word in ('-p', each)
                ),
            ],
        )
    ]
    try:
        yield
    finally:
        for process in started:
            process.send_signal(signal.SIGINT)
        for process in started:
            process.wait()


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--times', type=int, default=1000, help='default: %(default)s')
    parser.add_argument(
        '--limit',
        type=float,
        default=50.0,
        help='ms that the slowest response may take (default: %(default)s)',
    )
    parser.add_argument(
        '--parameter',
        action='append',
        default=[],
        metavar='NAME:=VALUE',
        help='of the executor; realtime_priority:=0 for ordinary scheduling',
    )
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the processes end with this one
    rclpy.init(args=[])
    with processes(options.parameter):
        driver = Driver()
        driver.connect()
        results = [driver.measure() for _ in tqdm(range(options.times), unit='e-stop')]
    rclpy.try_shutdown()
    late = sum(1000.0 * answered > options.limit for answered, *_ in results)
    moved = sum(not clean for *_, clean in results)
    for what, seconds in zip(('commanded, since sent', 'commanded', 'received'), zip(*results)):
        p50, p95, p99, worst = 1000.0 * np.percentile(seconds, (50, 95, 99, 100))
        print(
            f'zero {what}: p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms,'
            f' slowest {worst:.1f} ms'
        )
    print(f'{len(results)} e-stops: {late} above {options.limit:g} ms; motion after zero: {moved}')
    return 1 if late or moved else 0


if __name__ == '__main__':
    sys.exit(main())
