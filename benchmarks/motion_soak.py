"""
Drive for hours, faster than real time, with whatever may happen, and see that nothing gives in.

    python benchmarks/motion_soak.py --hours 10               # the executor on a model of a base
    python benchmarks/motion_soak.py --hours 10 --over-dds    # processes, --speed times real time

Episode after episode of random actions ends by STOP, a cancel in the middle of a motion, an
e-stop, or a fault of odometry or wheels (test/support/faults.py), during which actions are asked
for all the same. Ends with status 1 at the first motion while the robot should stand, at a fault
after which the base went farther than it may, at a robot that does not take actions again, at any
exception, or when the executor's memory has grown by more than --growth between the first tenth
and the end. Over DDS on a busy machine, --speed 1: late odometry is a fault, and is counted.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Generator
import contextlib
from dataclasses import dataclass
import math
import os
from pathlib import Path
import random
import signal
import subprocess
import sys

from janusvln_ros.actions import FORWARD_STEP, TURN_STEP
from janusvln_ros.motion.commands import Command
from janusvln_ros.motion.geometry import Pose
from janusvln_ros.motion.types import Request, State, Velocity
from soak_ledger import Ledger, Memory, memory, progress_bar, SoakError  # tells where faults is

from faults import FAULTS, FaultyRobot  # isort: skip

ROOT = Path(__file__).parents[1]

PATIENCE = 20.0  # simulated s for what must happen
BY_STAMPS = {'late by its stamps', 'stamps old', 'stamps ahead'}  # odometry_delay is long here
BREAKS = tuple(
    name
    for name, fault in FAULTS.items()
    if fault.part in ('odometry', 'wheels', 'jump') and name not in BY_STAMPS
)
ENDINGS = ('stop', 'cancel', 'e_stop', *3 * ('fault',))
Event = tuple[
    str, object
]  # ('action', (id, step, action)), ('fault', (name, share)), ('reset', None)


@dataclass(frozen=True)
class Sight:
    """What can be seen of the robot at one time (s)."""

    now: float
    told: float  # when the status was given
    state: int
    named: tuple[str, int]  # instruction and step that the status is about
    motion_at: float  # when motion was last commanded
    moves: bool
    pose: Pose  # where the base really is


Script = Generator[list[Event], Sight, Sight | None]


class Life:
    """The script of what happens to the robot; counts what has."""

    def __init__(self, seed: int) -> None:
        self.ledger = Ledger()
        self.counts = self.ledger.counts
        self._dice = random.Random(seed)

    def run(self) -> Script:
        """Live for ever: yields events, wants to be sent what is seen next."""
        for episode in range(sys.maxsize):
            name = f'soak-{episode}'
            ending = self._dice.choice(ENDINGS)
            actions = self._dice.choices([1, 2, 3], k=self._dice.randint(1, 6))
            for step, action in enumerate(actions[:-1]):
                yield from self._act(name, step, action)
            yield from self._end(name, len(actions) - 1, actions[-1], ending)
            self.counts['episodes'] += 1
            self.counts[ending] += 1

    def _act(self, name: str, step: int, action: int) -> Script:
        """Execute an action to its end."""
        yield [('action', (name, step, action))]
        self.counts['actions'] += 1
        ended = yield from self._until(
            lambda s: s.named == (name, step) and s.state in (State.IDLE, State.FAULT),
            'end of an action',
        )
        if ended.state == State.FAULT:  # nothing was broken
            self.counts['faults of nothing'] += 1
            yield [('reset', None)]
            yield from self._until(lambda s: s.state == State.IDLE, 'recovery')

    def _end(self, name: str, step: int, action: int, ending: str) -> Script:
        """Begin an action and break it off."""
        yield [('action', (name, step, action))]
        self.counts['actions'] += 1
        yield from self._until(lambda s: s.named == (name, step), 'begin of an action')
        yield from self._wait(self._dice.uniform(0.05, 1.5))
        if ending in ('stop', 'cancel'):
            if ending == 'stop':
                yield from self._until(lambda s: s.state == State.IDLE, 'end of an action')
            yield [('action', (name, step + 1, 0))]
            stopped = yield from self._until(
                lambda s: s.named == (name, step + 1) and s.state == State.IDLE, 'answer to STOP'
            )
        elif ending == 'e_stop':
            yield [('e_stop', True)]
            stopped = yield from self._until(
                lambda s: s.state == State.ESTOPPED, 'answer to the e-stop'
            )
        else:
            stopped = yield from self._break(name, step, action)
        yield from self._stand(stopped)
        if ending == 'e_stop':
            yield [('action', (name, step + 1, action))]  # is refused
            yield from self._stand(stopped)
            yield [('e_stop', False)]
            yield from self._stand(stopped)
            yield [('reset', None)]
        elif ending == 'fault':
            yield [('fault', ('ok', 0.0))]
            yield from self._wait(4.0)  # odometry that was late has come by then
            yield [('reset', None)]
        yield from self._stand(stopped)
        yield from self._until(lambda s: s.state == State.IDLE, 'recovery')

    def _break(self, name: str, step: int, action: int) -> Script:
        """Break the robot, ask for more all the same, and see how far it goes."""
        what = self._dice.choice(BREAKS)
        fault = FAULTS[what]
        begun = yield [('fault', (what, self._dice.random()))]
        for more in range(1, 4):
            yield [('action', (name, step + more, action))]
            yield from self._wait(self._dice.uniform(0.3, 1.5))
        stopped = yield from self._until(
            lambda s: s.state not in (State.MOVING, State.SETTLING), 'end of a motion in a fault'
        )
        way = math.hypot(stopped.pose.x - begun.pose.x, stopped.pose.y - begun.pose.y)
        turned = abs(math.remainder(stopped.pose.yaw - begun.pose.yaw, math.tau))
        self.ledger.judge(what, fault, way, turned)
        return stopped

    def _stand(self, stopped: Sight) -> Script:
        """See that no motion was commanded after a stop was told, nor takes place 1 s later."""
        sight = yield []
        begun = sight.now
        while sight.now < begun + 1.5:
            if sight.motion_at > stopped.told:
                raise SoakError(
                    f'motion was commanded while the robot should stand: {sight},'
                    f' stopped: {stopped}'
                )
            if sight.moves and sight.now > begun + 1.0:
                raise SoakError(
                    f'the base moved while the robot should stand: {sight}, stopped: {stopped}'
                )
            sight = yield []

    def _wait(self, seconds: float) -> Script:
        sight = yield []
        end = sight.now + seconds
        while sight.now < end:
            sight = yield []

    def _until(self, condition: Callable[[Sight], bool], what: str) -> Script:
        """Return the sight of what was waited for."""
        sight = yield []
        end = sight.now + PATIENCE
        while not condition(sight):
            if sight.now > end:
                raise SoakError(f'waited {PATIENCE} simulated s for: {what} ({sight})')
            sight = yield []
        return sight


class Progress:
    """Tells how far it is, and how the executor's memory has grown since the first tenth."""

    def __init__(self, hours: float, process: int | str) -> None:
        self._bar = progress_bar(hours)
        self._process, self._hours = process, hours
        self._began: float | None = None
        self.memory = Memory()

    def tell(self, now: float, counts: Counter[str]) -> bool:
        """Take the simulated time (s); return whether there is more to do."""
        self._began = now if self._began is None else self._began
        hours = (now - self._began) / 3600.0
        if hours - self._bar.n >= self._hours / 200.0 or hours >= self._hours:
            self.memory.hours, self.memory.last = hours, memory(self._process)
            if math.isnan(self.memory.first) and hours >= self._hours / 10.0:
                self.memory.first = self.memory.last
            self._bar.set_postfix_str(
                f'{counts["actions"]} actions, {self.memory.last:.1f} MB', refresh=False
            )
            self._bar.update(min(hours, self._hours) - self._bar.n)
        return hours < self._hours

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


def soak_model(life: Life, progress: Progress) -> None:
    """Run in this process."""
    loop = FaultyRobot()
    script, motion_at = None, -math.inf
    while True:
        executor, request = loop.executor, loop.executor.status.request
        if loop.commanded not in (None, Velocity()):
            motion_at = loop.now
        sight = Sight(
            loop.now,
            loop.now,
            executor.state,
            (request.instruction_id, request.step),
            motion_at,
            bool(loop.base.linear or loop.base.angular),
            loop.base.pose,
        )
        if not progress.tell(loop.now, life.counts):
            return
        if script is None:
            script = life.run()
            events = next(script)
        else:
            events = script.send(sight)
        for kind, value in events:
            if kind == 'action':
                name, step, action = value
                executor.on_request(
                    Request(
                        Command.from_action(action, FORWARD_STEP, TURN_STEP),
                        loop.now,
                        name,
                        step,
                        action,
                    ),
                    loop.now,
                )
            elif kind == 'e_stop':
                executor.on_e_stop(value, loop.now)
            elif kind == 'reset':
                executor.reset()
            elif value[0] == 'ok':
                loop.mend()
            else:
                FAULTS[value[0]].begin(loop, value[1])
        loop.tick()


@contextlib.contextmanager
def processes(speed: float) -> Generator[int, None, None]:
    """Start a base and an executor; give the executor's process id; end them on the way out."""
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    started = [
        subprocess.Popen([sys.executable, *command], env=environment, start_new_session=True)
        for command in (
            [
                str(ROOT / 'test' / 'support' / 'kinematic_base.py'),
                '--speed',
                str(speed),
                '--stamped',
            ],
            [
                '-m',
                'janusvln_ros.nodes.motion_executor',
                '--ros-args',
                '-p',
                'use_sim_time:=true',
                '-p',
                'stamped_cmd_vel:=true',
                '-p',
                'clock_timeout:=20.0',
                '-p',
                'odometry_delay:=20.0',
                '-p',
                'clock_jump:=20.0',  # a busy machine is no fault here
                '--log-level',
                'fatal',
            ],
        )
    ]
    try:
        yield started[1].pid
    finally:
        for process in started:
            process.send_signal(signal.SIGINT)
        statuses = [process.wait() for process in started]
        if statuses[1] != 0:
            raise SoakError(f'motion_executor ended with status {statuses[1]}')


def soak_processes(life: Life, hours: float, speed: float) -> Progress:
    """Run over DDS; return the progress at the end."""
    from geometry_msgs.msg import TwistStamped
    from janusvln_ros.msg import MotionStatus, NavigationAction
    from nav_msgs.msg import Odometry
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.task import Future
    from std_msgs.msg import Bool, Header, String
    from std_srvs.srv import Trigger

    rclpy.init(args=[])
    node = rclpy.create_node('motion_soak')
    actions = node.create_publisher(NavigationAction, 'navigation_action', 1)
    e_stop = node.create_publisher(Bool, 'e_stop', 10)
    fault = node.create_publisher(String, 'base_fault', 10)
    reset = node.create_client(Trigger, 'reset_e_stop')
    status = MotionStatus(message='none yet')
    motion_at, script, more = -math.inf, None, True

    def seconds(header: Header) -> float:
        return header.stamp.sec + header.stamp.nanosec * 1e-9

    def on_status(message: MotionStatus) -> None:
        nonlocal status
        status = message

    def on_velocity(message: TwistStamped) -> None:
        nonlocal motion_at
        if message.twist.linear.x or message.twist.angular.z:
            motion_at = seconds(message.header)

    def on_reset(future: Future) -> None:
        if not future.result().success:  # it has overtaken the release of the button
            reset.call_async(Trigger.Request()).add_done_callback(on_reset)

    def on_truth(message: Odometry) -> None:
        nonlocal script, more
        if script is None and (status.message or status.state != State.IDLE):
            return
        twist, now = message.twist.twist, seconds(message.header)
        place = message.pose.pose
        turn = place.orientation
        sight = Sight(
            now,
            seconds(status.header),
            status.state,
            (status.instruction_id, status.step),
            motion_at,
            bool(twist.linear.x or twist.angular.z),
            Pose(place.position.x, place.position.y, 2.0 * math.atan2(turn.z, turn.w)),
        )
        more = more and progress.tell(now, life.counts)
        if script is None:
            script = life.run()
            events = next(script)
        else:
            events = script.send(sight)
        for kind, value in events:
            if kind == 'action':
                name, step, action = value
                order = NavigationAction(instruction_id=name, step=step, action=action)
                order.header.stamp = message.header.stamp
                actions.publish(order)
            elif kind == 'e_stop':
                e_stop.publish(Bool(data=value))
            elif kind == 'reset':
                reset.call_async(Trigger.Request()).add_done_callback(on_reset)
            else:
                name, share = value
                fault.publish(String(data=name if name == 'ok' else f'{name} {share}'))

    node.create_subscription(MotionStatus, 'motion_status', on_status, 1)
    node.create_subscription(TwistStamped, 'cmd_vel', on_velocity, 10)
    node.create_subscription(Odometry, 'base_truth', on_truth, 10)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    with processes(speed) as process:
        progress = Progress(hours, process)
        while not (
            reset.service_is_ready()
            and actions.get_subscription_count()
            and e_stop.get_subscription_count()
            and fault.get_subscription_count()
        ):
            executor.spin_once(timeout_sec=0.1)
        while more:
            executor.spin_once(timeout_sec=1.0)
    rclpy.try_shutdown()
    return progress


def main(argv: list[str] | None = None) -> int:
    """Run and tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--hours', type=float, default=10.0, help='simulated hours (default: %(default)s)'
    )
    parser.add_argument('--over-dds', action='store_true', help='real processes over DDS')
    parser.add_argument(
        '--speed',
        type=float,
        default=4.0,
        help='simulated seconds per second, over DDS (default: %(default)s)',
    )
    parser.add_argument(
        '--growth', type=float, default=5.0, help='MB that memory may grow (default: %(default)s)'
    )
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the processes end with this one
    life = Life(options.seed)
    try:
        if options.over_dds:
            progress = soak_processes(life, options.hours, options.speed)
        else:
            progress = Progress(options.hours, 'self')
            soak_model(life, progress)
    except SoakError as error:
        print(f'\n{error}; after {dict(life.counts)}', file=sys.stderr)
        return 1
    progress.close()
    name = 'motion_executor' if options.over_dds else 'all'
    life.ledger.hours = options.hours
    life.ledger.memory[name] = progress.memory
    print(life.ledger.summary())
    return 1 if progress.memory.growth > options.growth else 0


if __name__ == '__main__':
    sys.exit(main())
