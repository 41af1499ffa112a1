"""
Give the whole system instructions for hours, break all of it in every way, and see it stand.

    python benchmarks/navigation_soak.py --hours 10
    python benchmarks/navigation_soak.py --hours 10 --parts 7 --speed 6    # on 16 cores

Navigator (with the shipped checkpoint), motion_executor and sim_robot as processes, on simulated
time. Every episode is a goal of the `navigate` action that ends by itself, is canceled, replaced,
paused and resumed, or meets a fault: of odometry, wheels, camera, obstacle sensor, e-stop, of a
node, or of who else is there. While a fault lasts the robot is told to go on all the same; from
its begin on the base may really go one step more, 0.40 m and 25 degrees, motion ends within the
fault's limit, and none comes until a new goal. Half way on, no node is started again any more,
so that its memory can be watched. Parts with an even seed drive step by step, the others
continuously; one part in three has an e-stop that is reliable, best effort, or transient local.
Ends with status 1 at the first violation, at a result of the wrong type, at a node
that has ended by itself, or when the memory of a node has grown by more than --growth between the
first tenth of its life and the end. Ctrl-C ends it with what there is so far.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
import math
import multiprocessing
import os
from pathlib import Path
import queue
import random
import signal
import subprocess
import sys
import tempfile
import time

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / 'test' / 'support'))

from action_msgs.msg import GoalStatus  # noqa: E402 - where faults is was just told
from faults import SLACK  # noqa: E402
from faulty_link import FaultyLink  # noqa: E402
from geometry_msgs.msg import TwistStamped  # noqa: E402
from janusvln_ros.action import Navigate  # noqa: E402
from janusvln_ros.msg import MotionStatus, NavigationAction, NavigatorStatus  # noqa: E402
from janusvln_ros.nodes.common.conversions import seconds, to_stamp  # noqa: E402
from janusvln_ros.nodes.common.qos import LATCHED, LATEST  # noqa: E402
from janusvln_ros.sim.generator import generate_house  # noqa: E402
from janusvln_ros.system.processes import bundled_checkpoint, NodeFailed, NodeProcesses  # noqa: E402
from janusvln_ros.workers import end_with  # noqa: E402
import rclpy  # noqa: E402
from rclpy.action import ActionClient  # noqa: E402
from rclpy.action.client import ClientGoalHandle  # noqa: E402
from rclpy.experimental import EventsExecutor  # noqa: E402
from rclpy.qos import qos_profile_sensor_data  # noqa: E402
from rclpy.task import Future  # noqa: E402
from soak_ledger import Ledger, Memory, memory, progress_bar, SoakError  # noqa: E402
from soak_troubles import TROUBLES  # noqa: E402
from std_msgs.msg import Bool, String  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

PATIENCE = 120.0  # s of wall time for anything
LATE = 0.05  # s of wall time that a computer may be late
HOUSE = 18
RATES = {'odometry': 50.0, 'camera': 5.0, 'commands': 50.0}  # per simulated s
ENDINGS = ('end', 'cancel', 'replace', 'pause', 'long instruction', *6 * ('fault',))
LONG = 1_000_000  # characters
BUTTONS = (
    ('reliable', 10),
    ('best effort', qos_profile_sensor_data),
    ('transient local', LATCHED),
)
WORDS = (
    'Go to the pink ball.',
    'Stop to the left of the pink ball.',
    'Stop behind the pink ball.',
    'Turn around.',
    'Leave the room.',
)
Result = Navigate.Result
BY_ITSELF = {Result.SUCCEEDED, Result.TIMEOUT, Result.STUCK, Result.BLOCKED}
BROKEN_OFF = {Result.INPUT_LOST, Result.MOTION_FAILED}  # right where something is broken


class Life:
    """Lives through episodes of a system of processes."""

    def __init__(
        self, processes: NodeProcesses, parameters: dict[str, dict], speed: float, seed: int
    ) -> None:
        self.ledger = Ledger()
        self.nodes: dict[str, subprocess.Popen] = {}
        self.speed = speed
        self.renews = True  # whether nodes may still be started again
        self._processes, self._parameters = processes, parameters
        self._dice = random.Random(seed)
        self._steps = 0  # decisions of the goal under way
        self._asked_at = -math.inf
        self._pending: list[Future] = []  # goals that were sent during a fault
        self._rival: object | None = None
        self._lives: dict[str, tuple[int, float, float]] = {}  # name: process, born (s), MB then
        link = self.link = FaultyLink(generate_house(HOUSE, rooms=3))
        self._goals = ActionClient(link, Navigate, 'navigate')
        self._kind, quality = BUTTONS[seed % len(BUTTONS)]
        self.button = link.create_publisher(Bool, 'e_stop', quality)
        self._actions = link.create_publisher(NavigationAction, 'navigation_action', LATEST)
        self._words = link.create_publisher(String, 'instruction', 10)
        self._triggers = {
            name: link.create_client(Trigger, name)
            for name in ('pause', 'resume', 'reset_e_stop', 'simulator/reset')
        }
        self._spinner = EventsExecutor()
        self._spinner.add_node(link)

    # ---- processes ----

    def __enter__(self) -> Life:
        for name in self._parameters:
            self.start(name)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.nodes.values():
            process.send_signal(signal.SIGCONT)  # a paused one could not end

    def start(self, name: str) -> None:
        """Start a node."""
        remappings = ('__ns:=/simulator',) if name == 'sim_robot' else ()
        self.nodes[name] = self._processes.start(name, self._parameters[name], *remappings)

    def forget(self, name: str) -> None:
        """Wait for the end of a node."""
        process, end = self.nodes.pop(name), time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < end:
            self._spinner.spin_once(timeout_sec=0.01)
        self._processes.stop(name)

    def weigh(self, hours: float) -> None:
        """Note the memory of all nodes; hours: of the whole soak."""
        for name, process in self.nodes.items():
            size = memory(process.pid)
            number, born, first = self._lives.get(name, (0, 0.0, 0.0))
            if number != process.pid or self.link.now - born < 360.0 * hours:
                born = born if number == process.pid else self.link.now
                first = size
            self._lives[name] = process.pid, born, first
            age = (self.link.now - born) / 3600.0
            if age >= self.ledger.memory.get(name, Memory()).hours:
                self.ledger.memory[name] = Memory(age, first, size)

    # ---- waiting ----

    def _wait(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            self._spinner.spin_once(timeout_sec=0.01)
            self._processes.check()
            if time.monotonic() > end:
                raise SoakError(
                    f'waited {PATIENCE:.0f} s for {what};'
                    f' {self.link.motion}, {self.link.navigator}'
                )

    def _pass(self, duration: float) -> None:
        """Let simulated time go by."""
        end = self.link.now + duration
        self._wait(lambda: self.link.now >= end, f'{duration:.1f} simulated s')

    def _call(self, name: str) -> bool:
        future = self._triggers[name].call_async(Trigger.Request())
        self._wait(future.done, name)
        return future.result().success

    def recover(self) -> None:
        """Bring the robot back to the middle of the room, and wait until all take orders."""
        link = self.link
        self._wait(
            lambda: (
                self._goals.server_is_ready()
                and all(each.service_is_ready() for each in self._triggers.values())
                and self.button.get_subscription_count()
                and link.count_subscribers('instruction')
            ),
            'the nodes',
        )
        self.release()
        if not self._call('simulator/reset'):
            raise SoakError('the simulator does not reset')
        link.forget()
        self._pass(1.5)
        begun = link.now
        self._wait(self._is_ready, 'all to be ready')
        self._stand()
        self.ledger.counts['recovered after s'] += round(link.now - begun)

    def _is_ready(self) -> bool:
        link = self.link
        motion, navigator = link.motion, link.navigator
        if motion.state in (MotionStatus.STATE_FAULT, MotionStatus.STATE_ESTOPPED):
            self.release()  # by best effort it may get lost
            self._call('reset_e_stop')
        return (
            motion.state == MotionStatus.STATE_IDLE
            and seconds(motion.header.stamp) > link.now - 0.5
            and seconds(navigator.header.stamp) > link.now - 0.5
            and navigator.state == NavigatorStatus.STATE_IDLE
        )

    # ---- what is asked for ----

    def _on_feedback(self, _: object) -> None:
        self._steps += 1

    def _send(self) -> Future:
        goal = Navigate.Goal(instruction=self._dice.choice(WORDS))
        return self._goals.send_goal_async(goal, self._on_feedback)

    def _begin(self) -> tuple[ClientGoalHandle, Future]:
        """Send a goal; return it, and its result to come."""
        self._steps = 0
        future = self._send()
        self._wait(future.done, 'an answer to the goal')
        if not future.result().accepted:
            raise SoakError(f'the goal was refused; {self.link.motion}, {self.link.navigator}')
        return future.result(), future.result().get_result_async()

    def insist(self) -> None:
        """Send a new goal where none is under way."""
        if (
            'navigator' in self.nodes
            and self.link.navigator.state == NavigatorStatus.STATE_IDLE
            and self.link.now > self._asked_at + 1.0
        ):
            self._asked_at = self.link.now
            self._pending.append(self._send())

    def _cancel_pending(self) -> None:
        """Cancel all goals that were sent during a fault, those too that are accepted later."""
        for future in self._pending:
            end = time.monotonic() + 2.0
            while not future.done() and time.monotonic() < end:
                self._spinner.spin_once(timeout_sec=0.01)
            future.add_done_callback(_cancel)  # at once, if it is done
        self._pending.clear()

    def release(self) -> None:
        """Say that the e-stop is not pressed."""
        self.button.publish(Bool(data=False))

    def rival(self, there: bool) -> None:
        """Publish where the executor's commands go, or do so no more."""
        if there:
            self._rival = self.link.create_publisher(TwistStamped, 'cmd_vel', 1)
            self._rival.publish(TwistStamped())
        else:
            self.link.destroy_publisher(self._rival)

    def act_besides(self) -> None:
        """Send an action as a second navigator would."""
        self._steps += 1
        action = NavigationAction(
            action=1, instruction_id='another', session_id='another', step=self._steps
        )
        action.header.stamp = to_stamp(self.link.now)
        self._actions.publish(action)
        self.insist()

    # ---- episodes ----

    def live(self) -> None:
        """Go through one episode."""
        ending = self._dice.choice(ENDINGS)
        self.ledger.counts[ending] += 1
        self.ledger.counts['episodes'] += 1
        goal, outcome = self._begin()
        if ending == 'end':
            self._finish(outcome, BY_ITSELF)
        elif ending == 'fault':
            self._decide(outcome, self._dice.randint(1, 4))
            self._break(goal, outcome)
        else:
            self._decide(outcome, self._dice.randint(1, 8))
            self._pass(self._dice.uniform(0.0, 1.0))
            if ending == 'pause' and self._call('pause'):
                self._stand()
                if self._call('resume'):
                    self._decide(outcome, self._steps + 1)
            elif ending == 'long instruction':
                self._words.publish(String(data='go ' * (LONG // 3)))
                self._decide(outcome, self._steps + 1)
                if len(self.link.navigator.instruction) > LONG // 100:
                    raise SoakError('a long instruction is echoed')
            elif ending == 'replace':
                newer = self._begin()
                self._finish(outcome, {Result.PREEMPTED, *BY_ITSELF})
                goal, outcome = newer
                self._decide(outcome, 2)
            goal.cancel_goal_async()
            self._finish(outcome, {Result.CANCELED, *BY_ITSELF})
        self._stand()
        self.recover()

    def _decide(self, outcome: Future, decisions: int) -> None:
        self._wait(lambda: self._steps >= decisions or outcome.done(), 'decisions')

    def _finish(self, outcome: Future, allowed: set[int]) -> None:
        """Wait for a goal's result; where the machine is too slow, the robot may give up."""
        self._wait(outcome.done, 'the result')
        result = outcome.result().result
        self.ledger.counts['decisions'] += result.steps
        self.ledger.counts[f'result {result.code}'] += 1
        if result.code in BROKEN_OFF:
            self.ledger.notes[result.message] += 1
        elif result.code not in allowed:
            raise SoakError(f'result {result.code}, not one of {allowed}: {result.message}')

    def _break(self, goal: ClientGoalHandle, outcome: Future) -> None:
        """Break something, go on asking, and see what the robot does."""
        link = self.link
        names = [
            name
            for name, one in TROUBLES.items()
            if (self.renews or not one.restarts) and one.button in ('', self._kind)
        ]
        name = self._dice.choice(names)
        trouble, share = TROUBLES[name], self._dice.random()
        if self._dice.random() < 0.8:  # mostly while it moves
            self._wait(lambda: link.moves or outcome.done(), 'motion')
        self._pass(self._dice.uniform(0.0, 0.8))
        lasts = trouble.seconds + self._dice.uniform(1.0, 4.0)
        link.begin(trouble.way, trouble.turn, trouble.least)
        trouble.begin(self, share)
        begun, end = time.monotonic(), link.now + lasts
        due = link.now
        while link.now < end and time.monotonic() < begun + 2.0 * lasts / self.speed + 2.0:
            self._spinner.spin_once(timeout_sec=0.01)
            self._processes.check()
            if link.now >= due:
                due = link.now + 0.1
                trouble.meanwhile(self)
        way, turned, moved = link.end()
        try:
            late = SLACK + LATE * self.speed
            if trouble.wall:
                late += trouble.seconds * (self.speed - 1.0)
            self.ledger.judge(name, trouble, way, turned, moved, late)
        except SoakError as error:  # what comes then is worth knowing, too
            self.ledger.violations.append(str(error))
        trouble.end(self)
        self._cancel_pending()
        goal.cancel_goal_async()
        if 'navigator' in name and trouble.restarts:
            return  # who would have answered has gone
        self._wait(outcome.done, 'the result')
        result = outcome.result()
        self.ledger.counts[f'result {result.result.code}'] += 1
        if result.status == GoalStatus.STATUS_SUCCEEDED and result.result.code != Result.SUCCEEDED:
            raise SoakError(f'"{name}": the goal succeeded with result {result.result.code}')

    def _stand(self) -> None:
        """See that the robot stands, is not commanded to move any more, and stays so."""
        moving = (MotionStatus.STATE_MOVING, MotionStatus.STATE_SETTLING)
        self._pass(0.3 + 4.0 * LATE * self.speed)  # an action may be on its way
        self._wait(
            lambda: (
                self.link.motion.state not in moving
                and seconds(self.link.motion.header.stamp) > self.link.now - 0.5
            ),
            'the end of the motion',
        )
        stopped = seconds(self.link.motion.header.stamp)
        self._pass(1.0)
        end = self.link.now + 1.5
        while self.link.now < end:
            self._pass(0.1)
            if self.link.driven_at > stopped:
                raise SoakError('motion was commanded while the robot should stand')
            if self.link.moves:
                raise SoakError('the base moved while the robot should stand')


def _cancel(answer: Future) -> None:
    """Cancel a goal, if it was accepted."""
    if answer.result() is not None and answer.result().accepted:
        answer.result().cancel_goal_async()


@dataclass(frozen=True)
class Part:
    """One of several soaks side by side."""

    seed: int
    hours: float
    speed: float
    domain: int


def live_through(part: Part, told: multiprocessing.Queue) -> None:
    """Live for some simulated hours; tell the account again and again, at last what went wrong."""
    os.environ['ROS_DOMAIN_ID'] = str(part.domain)
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'  # no real robot hears this
    end_with(os.getppid())
    mode = ('step', 'continuous')[part.seed % 2]
    wrong = ''
    rclpy.init(args=[])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        processes = stack.enter_context(NodeProcesses(folder))
        common = {'use_sim_time': True, 'execution_mode': mode}
        parameters = {
            'sim_robot': {
                'real_time_factor': part.speed,
                'publish_clock': True,
                'rooms': 3,
                'house_seed': HOUSE,
                'stamped_cmd_vel': True,
                'image_rate': RATES['camera'],
                'image_width': 112,
                'image_height': 84,
            },
            'motion_executor': {
                **common,
                'stamped_cmd_vel': True,
                'stop_distance': 0.3,
                'sensor_mounts': 'parameters',
            },
            'navigator': {
                **common,
                'checkpoint': bundled_checkpoint(),
                'device': 'cpu',
                'threads': 1,
                'autostart': True,
                'max_steps': 20,
            },
        }
        life = Life(processes, parameters, part.speed, part.seed)
        stack.enter_context(life)
        try:
            life.recover()
            begun, wall = life.link.now, time.monotonic()
            life.link.counts.clear()
            while life.ledger.hours < part.hours:
                life.live()
                elapsed = life.link.now - begun
                life.ledger.hours = min(elapsed / 3600.0, part.hours)
                life.ledger.wall = (time.monotonic() - wall) / 3600.0
                life.renews = life.ledger.hours < part.hours / 2.0
                counts = life.link.counts
                life.ledger.rates = {
                    'odometry': (counts['odometry'] / elapsed, RATES['odometry']),
                    'camera': (counts['camera'] / elapsed, RATES['camera']),
                    'commands': (
                        counts['commands'] / max(1e-6, counts['us of commands'] * 1e-6),
                        RATES['commands'],
                    ),
                    'speed': (elapsed / (time.monotonic() - wall), part.speed),
                }
                life.weigh(part.hours)
                told.put((part.seed, life.ledger, ''))
        except (SoakError, NodeFailed) as error:
            wrong = f'{error} (seed {part.seed}, {mode} mode, after {life.ledger.hours:.2f} h)'
        except KeyboardInterrupt:
            wrong = 'interrupted'
        told.put((part.seed, life.ledger, wrong or 'done'))
    rclpy.try_shutdown()


def main(argv: list[str] | None = None) -> int:
    """Run and tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--hours', type=float, default=10.0, help='simulated hours, of all parts together'
    )
    parser.add_argument(
        '--speed', type=float, default=2.0, help='simulated s per s (default: %(default)s)'
    )
    parser.add_argument(
        '--growth',
        type=float,
        default=10.0,
        help='MB that the memory of a node may grow (default: %(default)s)',
    )
    parser.add_argument(
        '--parts', type=int, default=1, help='so many side by side (default: %(default)s)'
    )
    parser.add_argument('--seed', type=int, default=0, help='of the first (default: %(default)s)')
    options = parser.parse_args(argv)
    domains = random.SystemRandom().sample(range(1, 102), options.parts)
    context = multiprocessing.get_context('spawn')
    told: multiprocessing.Queue = context.Queue()
    parts = {
        seed: context.Process(
            target=live_through,
            args=(Part(seed, options.hours / options.parts, options.speed, domain), told),
        )
        for seed, domain in enumerate(domains, options.seed)
    }
    for process in parts.values():
        process.start()
    ends = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in ends:  # the parts tell what there is so far
        signal.signal(
            number, lambda *_: [os.kill(one.pid, signal.SIGINT) for one in parts.values()]
        )
    ledgers, ended = follow(parts, told, options.hours)
    for number, handler in ends.items():
        signal.signal(number, handler)
    total = Ledger()
    for ledger in ledgers.values():
        total.add(ledger)
    print(f'seeds {min(parts)} to {max(parts)}: {total.summary()}')
    wrong = [one for one in ended.values() if one not in ('done', 'interrupted')]
    wrong += total.violations
    wrong += [
        f'the memory of {name} has grown by {one.growth:.1f} MB'
        for name, one in total.memory.items()
        if one.growth > options.growth
    ]
    print(*wrong, sep='\n', end='\n' if wrong else '', file=sys.stderr)
    return 1 if wrong else 130 if 'interrupted' in ended.values() else 0


def follow(
    parts: dict[int, multiprocessing.Process], told: multiprocessing.Queue, hours: float
) -> tuple[dict[int, Ledger], dict[int, str]]:
    """Show how far the parts are until all have ended; return their accounts and ends."""
    ledgers: dict[int, Ledger] = {}
    ended: dict[int, str] = {}
    with progress_bar(hours) as bar:
        while len(ended) < len(parts):
            try:
                seed, ledgers[seed], end = told.get(timeout=1.0)
            except queue.Empty:
                for seed, process in parts.items():
                    if seed not in ended and not process.is_alive():
                        ended[seed] = f'part {seed} ended with status {process.exitcode}'
                continue
            if end:
                ended[seed] = end
                if end != 'done':
                    bar.write(end, file=sys.stderr)
            bar.update(sum(one.hours for one in ledgers.values()) - bar.n)
            faults = sum(fault.times for one in ledgers.values() for fault in one.faults.values())
            bar.set_postfix_str(f', {faults} faults')
    for process in parts.values():
        process.join()
    return ledgers, ended


if __name__ == '__main__':
    sys.exit(main())
