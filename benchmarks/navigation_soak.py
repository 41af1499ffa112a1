"""
Give the whole system instructions for hours, break them off in every way, and see it stand.

    python benchmarks/navigation_soak.py --hours 10

Navigator (with small random weights), motion_executor and sim_robot as processes, faster than real
time. Every episode is a goal of the `navigate` action that ends by itself, is canceled, is
replaced by another, is paused and resumed, or meets the e-stop. Ends with status 1 at a result of
the wrong type, at motion while the robot should stand, at a node that has ended, or when the
memory of a node has grown by more than --growth between the first tenth and the end.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
import math
import os
from pathlib import Path
import random
import subprocess
import sys
import tempfile
import time

from geometry_msgs.msg import TwistStamped
from janusvln_ros.action import Navigate
from janusvln_ros.msg import MotionStatus
from janusvln_ros.policy.random_checkpoint import write_random_checkpoint
from janusvln_ros.system.processes import NodeFailed, NodeProcesses
from nav_msgs.msg import Odometry
import rclpy
from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.task import Future
from std_msgs.msg import Bool, Header
from std_srvs.srv import Trigger
from tqdm import tqdm

PATIENCE = 120.0  # s of wall time for anything
ENDINGS = ('end', 'cancel', 'replace', 'pause', 'e_stop')
WORDS = (
    'go to the red chair',
    'walk past the table and stop at the door',
    'turn around',
    'leave the room',
    'find the plant by the sofa',
)
Result = Navigate.Result
BY_ITSELF = {Result.SUCCEEDED, Result.TIMEOUT, Result.STUCK, Result.BLOCKED, Result.MOTION_FAILED}


class SoakError(Exception):
    """Something that must not happen."""


def seconds(header: Header) -> float:
    """Return a stamp in s."""
    return header.stamp.sec + header.stamp.nanosec * 1e-9


class Life(Node):
    """Lives through episodes; counts what has happened."""

    def __init__(self, seed: int, check: Callable[[], None]) -> None:
        super().__init__('navigation_soak')
        self.counts: Counter[str] = Counter()
        self.now = 0.0  # simulated s
        self._check = check
        self._dice = random.Random(seed)
        self._motion = MotionStatus(message='none yet')
        self._driven_at = -math.inf  # when motion was last commanded
        self._moves = False
        self._steps = 0  # decisions of the goal under way
        self._goals = ActionClient(self, Navigate, 'navigate')
        self._e_stop = self.create_publisher(Bool, 'e_stop', 10)
        self._triggers = {
            name: self.create_client(Trigger, name)
            for name in ('pause', 'resume', 'reset_e_stop', 'reset')
        }
        self.create_subscription(MotionStatus, 'motion_status', self._on_motion, 1)
        self.create_subscription(TwistStamped, 'cmd_vel', self._on_velocity, 10)
        self.create_subscription(Odometry, 'ground_truth', self._on_truth, qos_profile_sensor_data)
        self._spinner = SingleThreadedExecutor()
        self._spinner.add_node(self)

    def _on_motion(self, status: MotionStatus) -> None:
        self._motion = status

    def _on_velocity(self, message: TwistStamped) -> None:
        if message.twist.linear.x or message.twist.angular.z:
            self._driven_at = seconds(message.header)

    def _on_truth(self, truth: Odometry) -> None:
        self.now, twist = seconds(truth.header), truth.twist.twist
        self._moves = abs(twist.linear.x) > 0.005 or abs(twist.angular.z) > 0.02

    def _on_feedback(self, _: object) -> None:
        self._steps += 1

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            self._spinner.spin_once(timeout_sec=0.1)
            self._check()
            if time.monotonic() > end:
                raise SoakError(f'waited {PATIENCE:.0f} s for {what}; {self._motion}')

    def _pass(self, duration: float) -> None:
        """Let simulated time go by."""
        end = self.now + duration
        self._wait(lambda: self.now >= end, f'{duration:.1f} simulated s')

    def _call(self, name: str) -> bool:
        future = self._triggers[name].call_async(Trigger.Request())
        self._wait(future.done, name)
        return future.result().success

    def _begin(self) -> tuple[ClientGoalHandle, Future]:
        """Send a goal; return it, and its result to come."""
        self._steps = 0
        future = self._goals.send_goal_async(
            Navigate.Goal(instruction=self._dice.choice(WORDS)), self._on_feedback
        )
        self._wait(future.done, 'an answer to the goal')
        if not future.result().accepted:
            raise SoakError('the goal was refused')
        return future.result(), future.result().get_result_async()

    def _finish(self, outcome: Future, allowed: set[int]) -> None:
        self._wait(outcome.done, 'the result')
        result = outcome.result().result
        self.counts['decisions'] += result.steps
        self.counts[f'result {result.code}'] += 1
        if result.code not in allowed:
            raise SoakError(f'result {result.code}, not one of {allowed}: {result.message}')

    def connect(self) -> None:
        """Wait until all nodes are there and active."""
        self._wait(
            lambda: (
                self._goals.server_is_ready()
                and all(each.service_is_ready() for each in self._triggers.values())
                and self._e_stop.get_subscription_count() > 0
                and self.count_subscribers('instruction') > 0
                and self._motion.state == MotionStatus.STATE_IDLE
                and not self._motion.message
            ),
            'the nodes',
        )

    def live(self) -> None:
        """Go through one episode."""
        ending = self._dice.choice(ENDINGS)
        self.counts[ending] += 1
        goal, outcome = self._begin()
        if ending != 'end':
            decisions = self._dice.randint(1, 8)
            self._wait(lambda: self._steps >= decisions or outcome.done(), 'decisions')
            self._pass(self._dice.uniform(0.0, 1.0))
        if ending == 'pause' and self._call('pause'):
            self._stand()
            if not self._call('resume'):
                raise SoakError('the episode cannot be resumed')
            decisions = self._steps + 1
            self._wait(lambda: self._steps >= decisions or outcome.done(), 'decisions')
        if ending == 'replace':
            newer = self._begin()
            self._finish(outcome, {Result.PREEMPTED, *BY_ITSELF})
            goal, outcome = newer
            self._wait(lambda: self._steps >= 2 or outcome.done(), 'decisions')
        if ending == 'e_stop':
            self._e_stop.publish(Bool(data=True))
            self._wait(lambda: self._motion.state == MotionStatus.STATE_ESTOPPED, 'the e-stop')
            self._finish(outcome, {Result.ESTOPPED, *BY_ITSELF})
        elif ending == 'end':
            self._finish(outcome, BY_ITSELF)
        else:
            goal.cancel_goal_async()
            self._finish(outcome, {Result.CANCELED, *BY_ITSELF})
        self._stand()
        if ending == 'e_stop':
            self._e_stop.publish(Bool(data=False))
            self._wait(lambda: self._call('reset_e_stop'), 'the reset of the e-stop')
        if not self._call('reset'):  # back to the middle of the room, where there is space
            raise SoakError('the simulator does not reset')
        self._stand()

    def _stand(self) -> None:
        """See that the robot stands, is not commanded to move any more, and stays so."""
        standing = (MotionStatus.STATE_IDLE, MotionStatus.STATE_ESTOPPED)
        self._wait(lambda: self._motion.state in standing, 'the end of the motion')
        stopped = seconds(self._motion.header)
        self._pass(1.0)
        end = self.now + 1.5
        while self.now < end:
            self._pass(0.1)
            if self._driven_at > stopped:
                raise SoakError('motion was commanded while the robot should stand')
            if self._moves:
                raise SoakError('the base moved while the robot should stand')


def memory(process: int) -> float:
    """Return the resident memory of a process in MB."""
    pages = int(Path(f'/proc/{process}/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 1e6


def soak(life: Life, nodes: dict[str, subprocess.Popen], hours: float) -> dict[str, list[float]]:
    """Live for some simulated hours; return each node's memory (MB), a tenth after the other."""
    life.connect()
    began = life.now
    sizes: dict[str, list[float]] = {name: [] for name in nodes}
    with tqdm(
        total=hours,
        unit='h',
        bar_format='{l_bar}{bar}| {n:.2f}/{total:g} h simulated [{elapsed}<{remaining}{postfix}]',
    ) as bar:
        while bar.n < hours:
            life.live()
            bar.update(min((life.now - began) / 3600.0, hours) - bar.n)
            if bar.n >= hours * (1 + len(sizes['navigator'])) / 10.0:
                for name, process in nodes.items():
                    sizes[name].append(memory(process.pid))
            bar.set_postfix_str(
                ', '.join(f'{count} {what}' for what, count in life.counts.most_common(3))
            )
    return sizes


def main(argv: list[str] | None = None) -> int:
    """Run and tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--hours', type=float, default=10.0, help='simulated hours (default: %(default)s)'
    )
    parser.add_argument(
        '--speed',
        type=float,
        default=3.0,
        help='simulated seconds per second (default: %(default)s)',
    )
    parser.add_argument(
        '--growth',
        type=float,
        default=10.0,
        help='MB that the memory of a node may grow (default: %(default)s)',
    )
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    options = parser.parse_args(argv)
    rclpy.init(args=[])
    late = 20.0  # simulated s; a busy machine is no fault here
    with tempfile.TemporaryDirectory() as folder, NodeProcesses(Path(folder)) as processes:
        checkpoint = write_random_checkpoint(Path(folder) / 'random', seed=10)  # seldom stops
        nodes = {
            'sim_robot': processes.start(
                'sim_robot',
                {
                    'real_time_factor': options.speed,
                    'publish_clock': True,
                    'rooms': 1,
                    'house_seed': 4,
                    'stamped_cmd_vel': True,
                },
            ),
            'motion_executor': processes.start(
                'motion_executor',
                {
                    'use_sim_time': True,
                    'stamped_cmd_vel': True,
                    'clock_timeout': late,
                    'clock_jump': late,
                    'odometry_timeout': 5.0,
                },
            ),
            'navigator': processes.start(
                'navigator',
                {
                    'use_sim_time': True,
                    'checkpoint': str(checkpoint),
                    'image_width': 84,
                    'device': 'cpu',
                    'threads': 1,
                    'autostart': True,
                    'max_steps': 20,
                    'frame_timeout': late,
                    'status_timeout': late,
                },
            ),
        }
        life = Life(options.seed, processes.check)
        try:
            sizes = soak(life, nodes, options.hours)
        except (SoakError, NodeFailed) as error:
            print(f'\n{error}; after {dict(life.counts)}', file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print(f'\ninterrupted after {dict(life.counts)}', file=sys.stderr)
            return 130
    rclpy.try_shutdown()
    print(f'{options.hours:g} h: {dict(life.counts)}')
    for name, size in sizes.items():
        print(f'{name}: {size[0]:.1f} MB after the first tenth, {size[-1]:.1f} MB at the end')
    return 1 if any(size[-1] - size[0] > options.growth for size in sizes.values()) else 0


if __name__ == '__main__':
    sys.exit(main())
