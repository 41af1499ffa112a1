"""
Break a driving robot in every way that docs/safety.md tells of, and see how far it still goes.

    python benchmarks/fault_matrix.py                   # all of it: some twenty minutes
    python benchmarks/fault_matrix.py --only 'e-stop'   # rows whose name holds this (a pattern)

Each trial has processes of its own: motion_executor, a base, and a navigator where the fault is
one of it. A robot that drives, or turns, is broken; the same action is asked for again and again
for a while; then nothing is asked. Prints a table in Markdown: how far the base really went after
the fault's begin, when zero was commanded, and what the user is told. Ends with status 1 when a
row goes farther than a step (0.40 m, 25 degrees), is late, or does not stand at the end.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
import contextlib
from dataclasses import dataclass
import math
import os
from pathlib import Path
import random
import re
import signal
import subprocess
import sys
import time

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / 'test' / 'support'))

from bench import Bench  # noqa: E402 - where it is has to be told first
from faults import FAULTS, STEP, STEP_ANGLE  # noqa: E402
from geometry_msgs.msg import Twist  # noqa: E402
from janusvln_ros.actions import Action  # noqa: E402
from janusvln_ros.msg import MotionStatus, NavigatorStatus  # noqa: E402
from janusvln_ros.nodes.common.qos import LATCHED  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import qos_profile_sensor_data, QoSProfile  # noqa: E402
from sensor_msgs.msg import Image, LaserScan  # noqa: E402
from std_msgs.msg import Bool, String  # noqa: E402
from tqdm import tqdm  # noqa: E402
from waiting import wait_for  # noqa: E402

ASKING, AFTERWARDS, WATCHED = 4.0, 2.5, 1.0  # s: the same again; nothing; of it, nothing moves
PERIOD = 0.5  # s between two actions in continuous mode
LATE = 0.3  # s that a busy computer may take besides
FORWARD, LEFT = int(Action.MOVE_FORWARD), int(Action.TURN_LEFT)
HEADER = (
    '| fault | zero within | driven, turned after: step; continuous | zero after | what is told |'
    '\n| --- | --- | --- | --- | --- |'
)


class Scene(Bench):
    """A robot that is broken: what its base really does since, and all processes about it."""

    def __init__(self, domain: int, mode: str) -> None:
        self.way = self.yaw = self.turned = 0.0  # m, rad, and the farthest it has looked elsewhere
        self._last: tuple[float, float, float] | None = None
        super().__init__(domain)
        self.mode, self.asks, self.wish, self._asked = mode, True, FORWARD, 0.0
        self.processes: list[subprocess.Popen] = []
        self.image_age = 0.0
        self.session = self.navigator_says = ''  # of the executor; what the navigator last told
        self.node.create_subscription(
            NavigatorStatus, 'navigator_status', self._on_navigator, LATCHED
        )
        self._images = self.node.create_publisher(Image, 'image', qos_profile_sensor_data)
        self._words = self.node.create_publisher(String, 'instruction', 10)
        self.ranges = [6.0] * 720

    def _on_truth(self, message: object) -> None:
        super()._on_truth(message)
        x, y, yaw = self.pose
        if self._last is not None:
            self.way += math.hypot(x - self._last[0], y - self._last[1])
            self.yaw += math.remainder(yaw - self._last[2], math.tau)
            self.turned = max(self.turned, abs(self.yaw))
        self._last = x, y, yaw

    def _on_navigator(self, message: NavigatorStatus) -> None:
        self.navigator_says = message.message or self.navigator_says

    def start(self, *command: str) -> subprocess.Popen:
        """Start a Python process about the robot."""
        environment = {
            **os.environ,
            'PYTHONPATH': str(ROOT),
            'ROS_DOMAIN_ID': str(self.context.get_domain_id()),
        }
        self.processes.append(
            subprocess.Popen(
                [sys.executable, *command],
                env=environment,
                cwd=ROOT,
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        return self.processes[-1]

    def start_executor(self, *parameters: str) -> subprocess.Popen:
        """Start motion_executor in the scene's mode."""
        words = [
            word for each in (f'execution_mode:={self.mode}', *parameters) for word in ('-p', each)
        ]
        return self.start('-m', 'janusvln_ros.cli', 'motion_executor', '--ros-args', *words)

    def start_script(self, name: str, *arguments: str) -> subprocess.Popen:
        """Start a script of test/nodes."""
        return self.start(str(ROOT / 'test' / 'nodes' / name), *arguments)

    def start_navigator(self) -> None:
        """Start a navigator that says what the instruction spells, its camera; and instruct it."""
        self.navigator = self.start_script(
            'scripted_navigator.py',
            *('--ros-args', '-p', 'checkpoint:=script', '-p', 'autostart:=true'),
            *('-p', 'device:=cpu', '-p', f'execution_mode:={self.mode}'),
        )
        self.asks = False
        self.node.create_timer(0.05, self._take_picture)
        wait_for(self._words.get_subscription_count, 'the navigator', 60.0)
        time.sleep(1.0)
        self._words.publish(String(data='F'))

    def _take_picture(self) -> None:
        image = Image(height=48, width=64, step=192, encoding='rgb8', data=os.urandom(48 * 192))
        then = self.node.get_clock().now().nanoseconds - round(self.image_age * 1e9)
        image.header.stamp.sec, image.header.stamp.nanosec = divmod(then, 10**9)
        self._images.publish(image)

    def start_scans(self) -> None:
        """Publish scans of what is in `ranges`; nothing when that is empty."""
        self.node.create_timer(0.1, self._scan)
        time.sleep(1.5)

    def _scan(self) -> None:
        if self.ranges:
            scan = LaserScan(
                angle_min=-math.pi,
                angle_max=math.pi - math.tau / 720,
                angle_increment=math.tau / 720,
                range_min=0.1,
                range_max=12.0,
                ranges=self.ranges,
            )
            scan.header.stamp = self.node.get_clock().now().to_msg()
            scan.header.frame_id = 'laser'
            self.scans.publish(scan)

    def add_button(self, quality: QoSProfile | int) -> None:
        """Publish e_stop in some way; it is not pressed."""
        self.button = self.node.create_publisher(Bool, 'e_stop', quality)
        wait_for(lambda: self.button.get_subscription_count() >= 1, 'the executor')
        self.button.publish(Bool(data=False))
        time.sleep(1.0)

    def takes_sim_time(self) -> None:
        """Stamp actions by the base's clock."""
        self.node.set_parameters([Parameter('use_sim_time', value=True)])
        wait_for(lambda: 0 < self.node.get_clock().now().nanoseconds < 10**15, 'a clock')

    def begins(self) -> None:
        """Take now as the fault's begin."""
        self.way = self.yaw = self.turned = 0.0
        self.session = self.session or self.status.session_id
        self.statuses.clear()
        self.navigator_says = ''
        self.began = time.monotonic()

    def insist(self, seconds: float) -> None:
        """Ask for the same whenever that may be carried out."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            idle = self.status.state == MotionStatus.STATE_IDLE
            due = time.monotonic() >= self._asked + PERIOD
            if self.asks and due and (self.mode == 'continuous' or idle):
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
                self.base_moves
                and self.commands
                and (self.commands[-1][1] > 0.1 or abs(self.commands[-1][2]) > 0.3)
            ),
            'the base to move',
            60.0,
        )

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


@dataclass(frozen=True)
class Row:
    """
    A fault. limit: s until zero is commanded, or the base rests where nobody can command.

    begin: breaks the robot; it may call begins() itself. wishes: what the robot is doing. steps:
    how many it may still go. momentary: it is over at once; what is asked for later is none of it.
    """

    name: str
    limit: float
    begin: Callable[[Scene], object]
    wishes: tuple[int, ...] = (FORWARD,)
    modes: tuple[str, ...] = ('step', 'continuous')
    parameters: tuple[str, ...] = ()
    base: tuple[str, ...] = ()
    prepare: Callable[[Scene], object] = lambda scene: None
    steps: float = 1.0
    commands_zero: bool = True
    momentary: bool = False


def published(name: str, share: float = 0.5) -> Callable[[Scene], None]:
    """Return what tells the base to break."""
    return lambda scene: scene.faults.publish(
        String(data=f'{name} {share}' if name in FAULTS else name)
    )


def signaled(number: int) -> Callable[[Scene], None]:
    return lambda scene: scene.executor_process.send_signal(number)


def second_publisher(scene: Scene) -> None:
    other = scene.node.create_publisher(Twist, 'cmd_vel', 1)
    scene.node.create_timer(0.1, lambda: other.publish(Twist()))


def second_executor(scene: Scene) -> None:
    """Start one; the fault begins when it is there."""
    scene.session = scene.status.session_id
    scene.start_executor()
    end = time.monotonic() + 60.0
    while scene.node.count_publishers('motion_status') < 2 and time.monotonic() < end:
        scene.insist(0.05)
    scene.begins()


def looks(ranges: list[float]) -> Callable[[Scene], None]:
    def begin(scene: Scene) -> None:
        scene.ranges = ranges

    return begin


def falls_silent(scene: Scene) -> None:
    scene.asks = False


def takes_old_pictures(scene: Scene) -> None:
    scene.image_age = 3600.0


def refuses(scene: Scene) -> None:
    """Send what is no action, again and again, in place of one."""
    scene.asks = False
    for fields in ({'action': 9}, {'action': 1, 'probabilities': [math.nan] * 4}):
        scene.act(**fields)


BOTH = (FORWARD, LEFT)
GUARD = ('stop_distance:=0.3', 'sensor_mounts:=parameters')
SIM_TIME = {
    'parameters': ('use_sim_time:=true',),
    'base': ('--speed', '1'),
    'prepare': Scene.takes_sim_time,
    'momentary': True,
}
ROWS = (
    *(
        Row(
            f'e-stop, {name}',
            0.1,
            lambda scene: scene.button.publish(Bool(data=True)),
            BOTH,
            prepare=lambda scene, quality=quality: scene.add_button(quality),
        )
        for name, quality in (
            ('reliable', 10),
            ('best effort', qos_profile_sensor_data),
            ('transient local', LATCHED),
        )
    ),
    *(
        Row(
            name if name.startswith(('left', 'right', 'stalled')) else f'odometry {name}',
            fault.seconds,
            published(name),
            tuple(wish for wish, counts in zip(BOTH, (fault.way, fault.turn)) if counts),
            steps=fault.steps,
            momentary=fault.momentary,
        )
        for name, fault in FAULTS.items()
        if fault.part in ('odometry', 'wheels', 'jump')
    ),
    Row('ROS time jumps back', 0.1, published('clock_back'), **SIM_TIME),
    Row('ROS time jumps ahead', 0.1, published('clock_ahead'), **SIM_TIME),
    Row('ROS time stands still', 0.5, published('clock_freeze'), **SIM_TIME),
    *(
        Row(f'executor gets {number.name}', 0.2, signaled(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    ),
    Row('executor killed (base stops)', 1.2, signaled(signal.SIGKILL), commands_zero=False),
    Row('executor frozen (base stops)', 1.2, signaled(signal.SIGSTOP), commands_zero=False),
    Row('second publisher on cmd_vel', 1.0, second_publisher),
    Row('second executor', 1.0, second_executor),
    Row('actions end (nobody sends)', 1.8, falls_silent, modes=('continuous',)),
    Row('what is no action', 3.0, refuses, modes=('step',)),
    *(
        Row(name, 0.7, looks(ranges), parameters=GUARD, prepare=Scene.start_scans)
        for name, ranges in (
            ('scan silent', []),
            ('scan of an obstacle', [0.35] * 720),
            ('scan of -Inf, too near', [-math.inf] * 720),
            ('scan of 0.0', [0.0] * 720),
            ('scan of NaN', [math.nan] * 720),
        )
    ),
    *(
        Row(
            f'navigator {what}',
            2.5,
            begin,
            prepare=Scene.start_navigator,
            parameters=('navigator_timeout:=1.0',),
        )
        for what, begin in (
            ('killed', lambda scene: scene.navigator.send_signal(signal.SIGKILL)),
            ('frozen', lambda scene: scene.navigator.send_signal(signal.SIGSTOP)),
            ('gets pictures one hour old', takes_old_pictures),
        )
    ),
)


@dataclass
class Seen:
    """What a trial has shown."""

    way: float
    turned: float
    zero: float  # s
    message: str
    wrong: str


@contextlib.contextmanager
def scene_of(row: Row, mode: str, wish: int) -> Iterator[Scene]:
    """Give a robot that moves, in a domain of its own, and end all of it afterwards."""
    domain = random.SystemRandom().randrange(1, 102)
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'  # no real robot hears this
    os.environ['FASTRTPS_DEFAULT_PROFILES_FILE'] = str(ROOT / 'config' / 'fastdds.xml')
    scene = Scene(domain, mode)
    try:
        scene.start_script('../support/kinematic_base.py', *row.base)
        scene.executor_process = scene.start_executor(*row.parameters)
        scene.ready()
        scene.wish = wish
        row.prepare(scene)
        scene.sets_off()
        yield scene
    finally:
        scene.end()


def tells(status: MotionStatus) -> bool:
    """Tell whether a status says why the robot stands, not only that it is busy."""
    faulty = status.state in (MotionStatus.STATE_FAULT, MotionStatus.STATE_ESTOPPED)
    return bool(status.message) and (faulty or status.result != MotionStatus.RESULT_DROPPED)


def trial(row: Row, mode: str, wish: int) -> Seen:
    """Break a robot and watch it."""
    with scene_of(row, mode, wish) as scene:
        scene.begins()
        row.begin(scene)
        scene.asks = scene.asks and not row.momentary
        stopped, rested = math.inf, math.inf
        end = scene.began + row.limit + LATE
        while time.monotonic() < end and math.isinf(stopped if row.commands_zero else rested):
            scene.insist(0.02)
            zeros = [at for at, *velocity in list(scene.commands) if not any(velocity)]
            stopped = min((at for at in zeros if at >= scene.began), default=math.inf)
            rested = rested if scene.base_moves else min(rested, time.monotonic())
        scene.insist(max(0.0, ASKING - (time.monotonic() - scene.began)))
        scene.asks = False
        time.sleep(AFTERWARDS - WATCHED)
        quiet = time.monotonic()
        way, yaw = scene.way, scene.yaw
        time.sleep(WATCHED)
        later = [velocity for at, *velocity in list(scene.commands) if at > quiet]
        zero = (stopped if row.commands_zero else rested) - scene.began
        wrong = [
            text
            for text, found in (
                (f'no zero within {row.limit:g} s', zero > row.limit + LATE),
                ('farther than a step', scene.way > row.steps * STEP),
                ('turned more than a step', scene.turned > row.steps * STEP_ANGLE),
                ('motion was commanded at the end', any(map(any, later))),
                ('the base moved at the end', (scene.way, scene.yaw) != (way, yaw)),
            )
            if found
        ]
        said = (each for each in list(scene.statuses) if each.session_id == scene.session)
        message = next((each.message for each in said if tells(each)), scene.navigator_says)
        return Seen(scene.way, math.degrees(scene.turned), zero, message, ', '.join(wrong))


def tried(row: Row, mode: str, wish: int) -> Seen:
    """Try once more when the robot did not come to move: that says nothing of the fault."""
    for _ in range(2):
        try:
            return trial(row, mode, wish)
        except AssertionError as error:
            reason = f'not tried: {error}'
            print(f'\n{row.name}: {reason}', file=sys.stderr)
    return Seen(math.nan, math.nan, math.inf, '', reason)


def line(row: Row, seen: dict[str, list[Seen]]) -> str:
    """Return the worst of a row's trials, by mode, as a line of the table."""
    ways, zeros = [], []
    for mode in seen.values():
        way, turned = max(one.way for one in mode), max(one.turned for one in mode)
        ways.append(f'{way:.2f} m, {turned:.0f}°')
        zero = max(one.zero for one in mode)
        zeros.append(f'{zero:.2f} s' if math.isfinite(zero) else 'never')
    trials = [one for mode in seen.values() for one in mode]
    told = next((one.message for one in trials if one.message), '').replace('|', '/')
    wrong = '; '.join(one.wrong for one in trials if one.wrong)
    cells = (
        row.name,
        f'{row.limit:g} s',
        '; '.join(ways),
        '; '.join(zeros),
        told + (f' **BROKEN: {wrong}**' if wrong else ''),
    )
    return f'| {" | ".join(cells)} |'


def main(argv: list[str] | None = None) -> int:
    """Try all rows and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--only', default='', metavar='PATTERN', help='rows whose name holds it')
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the processes end with this one
    rows = [row for row in ROWS if re.search(options.only, row.name)]
    print(HEADER, flush=True)
    broken = 0
    for row in tqdm(rows, unit='row'):
        seen = {mode: [tried(row, mode, wish) for wish in row.wishes] for mode in row.modes}
        broken += any(one.wrong for mode in seen.values() for one in mode)
        print(line(row, seen), flush=True)
    print(f'\n{len(rows)} rows, {broken} broken', flush=True)
    return 1 if broken or not rows else 0


if __name__ == '__main__':
    sys.exit(main())
