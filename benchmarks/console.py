"""
How old the console's pictures are, how soon it stops a robot, and what it costs.

    python benchmarks/console.py                         # pictures, 100 presses of the stop button
    python benchmarks/console.py --link                  # through 2 Mbit/s, 100 ms, 2 % loss: root
    python benchmarks/console.py --kills 10              # SIGKILL while somebody drives
    python benchmarks/console.py --cost --viewers 10     # time of decisions with, without
    python benchmarks/console.py --minutes 60            # memory, by 20 decisions a second

Starts simulator (640x480, 15 Hz), executor and console as processes. A picture's age is from its
stamp until a viewer, a process of its own, has decoded it. Stop: from the request, or the kill,
until zero is commanded, received here.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import cv2
from geometry_msgs.msg import Twist
from janusvln_ros.console.pictures import HEADER
from janusvln_ros.msg import NavigationAction, NavigatorStatus
from janusvln_ros.nodes.common.qos import LATEST
import numpy as np
import rclpy
from slow_link import OURS, slow_link
from std_msgs.msg import String
from std_srvs.srv import Trigger
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect, WebSocketClientConnection

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, '-m', 'janusvln_ros.cli']
SETTLES = 3.0  # s until the pace of pictures has found its level


def log_in(root: str, token: str) -> str:
    """Return the cookie of a new session."""
    request = urllib.request.Request(
        f'{root}/session', json.dumps({'token': token}).encode(), {'Origin': root}
    )
    with urllib.request.urlopen(request, timeout=20.0) as answer:
        return str(answer.headers['Set-Cookie']).split(';')[0]


async def connect(root: str, cookie: str) -> WebSocketClientConnection:
    """Open the socket of the robot."""
    request = HTTPRequest(
        f'{root.replace("http", "ws")}/socket?robot=robot',
        headers={'Origin': root, 'Cookie': cookie},
    )
    return await websocket_connect(request)


async def look(link: str, seconds: float, decodes: bool = True) -> list[float]:
    """Look as a page does; return the ages (s) of the pictures when they were decoded."""
    root, token = link.split('/#token=')
    socket = await connect(root, log_in(root, token))
    await socket.write_message(json.dumps({'type': 'look', 'size': 'large'}))
    ages: list[float] = []
    begin = time.monotonic()
    while time.monotonic() < begin + seconds + SETTLES:
        message = await socket.read_message()
        if message is None:
            raise SystemExit(f'closed: {socket.close_reason}')
        if isinstance(message, bytes):
            number, _, stamp = HEADER.unpack_from(message)
            if decodes:
                cv2.imdecode(np.frombuffer(message[HEADER.size :], np.uint8), cv2.IMREAD_COLOR)
            if time.monotonic() > begin + SETTLES:
                ages.append(time.time() - stamp)
            await socket.write_message(json.dumps({'type': 'seen', 'number': number}))
    socket.close()
    return ages


async def crowd(link: str, seconds: float, count: int) -> list[float]:
    """Look with several pages; all of them in one process, where nobody needs the pixels."""
    ages = await asyncio.gather(*(look(link, seconds, count == 1) for _ in range(count)))
    return [age for one in ages for age in one]


async def drive(link: str, robot: Robot) -> None:
    """Take the wheel, and turn until the robot has done so for a second."""
    root, token = link.split('/#token=')
    socket = await connect(root, log_in(root, token))
    await socket.write_message(json.dumps({'type': 'look', 'size': 'large'}))
    await socket.write_message(json.dumps({'type': 'take', 'id': 1}))

    async def see() -> None:
        while True:
            message = await socket.read_message()
            if isinstance(message, bytes):
                seen = {'type': 'seen', 'number': HEADER.unpack_from(message)[0]}
                await socket.write_message(json.dumps(seen))

    seeing = asyncio.ensure_future(see())
    moved = 0
    for number in range(1000):
        moved = moved + 1 if robot.moves else 0
        if moved == 20:
            seeing.cancel()
            return
        # Who was halted, as by a busy computer, has to let go first.
        angular = 0.0 if number % 20 == 0 and not robot.moves else 1.0
        held = {'type': 'drive', 'linear': 0.0, 'angular': angular, 'time': time.monotonic()}
        await socket.write_message(json.dumps(held))
        await asyncio.sleep(0.05)
    raise SystemExit('the robot cannot be driven')


def told(name: str, values: list[float]) -> None:
    """Print percentiles in ms."""
    p50, p95, p99 = 1000.0 * np.percentile(values, [50, 95, 99])
    most = 1000.0 * max(values)
    print(
        f'{name}: {len(values)}; p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f}, most {most:.0f} ms'
    )


class Robot:
    """Makes the robot turn, and notes when it is told to stand."""

    def __init__(self) -> None:
        rclpy.init()
        self.node = rclpy.create_node('console_benchmark')
        self.moves, self.changed_at = False, 0.0
        self.node.create_subscription(Twist, 'cmd_vel', self._on_command, 10)
        self.sentence = self.node.create_publisher(String, 'sentence', 10)
        self.instruction = self.node.create_publisher(String, 'instruction', 10)
        self.reset = self.node.create_client(Trigger, 'reset_e_stop')
        self.decisions: list[float] = []
        self.node.create_subscription(NavigationAction, 'navigation_action', self._on_action, 10)
        self._action = self.node.create_publisher(NavigationAction, 'pretended_action', 10)
        self._status = self.node.create_publisher(NavigatorStatus, 'pretended_status', LATEST)
        threading.Thread(target=rclpy.spin, args=(self.node,), daemon=True).start()

    def _on_command(self, message: Twist) -> None:
        moves = message != Twist()
        if moves != self.moves:
            self.moves, self.changed_at = moves, time.time()

    def _on_action(self, message: NavigationAction) -> None:
        self.decisions.append(message.decision_time)

    def pretend(self, number: int) -> None:
        """Be a navigator that decides."""
        name = f'episode {number // 100}'
        now = self.node.get_clock().now().to_msg()
        status = NavigatorStatus(state=3, instruction_id=name, instruction='go', step=number % 100)
        status.header.stamp = now
        action = NavigationAction(instruction_id=name, step=number % 100, action=1)
        action.header.stamp = now
        self._status.publish(status)
        self._action.publish(action)

    def wait(self, moves: bool) -> None:
        """Wait until it moves, or stands."""
        end = time.time() + 30.0
        while self.moves is not moves:
            if time.time() > end:
                raise SystemExit(f'the robot does not {"move" if moves else "stand"}')
            time.sleep(0.001)

    def turn(self) -> None:
        """Reset, and have it turn."""
        self.reset.wait_for_service(30.0)
        while not self.moves:
            self.reset.call(Trigger.Request())
            self.sentence.publish(String(data='turn left 90 degrees'))
            time.sleep(0.3)


def stops(robot: Robot, link: str, count: int) -> list[float]:
    """Return the times (s) from the button to zero."""
    root, token = link.split('/#token=')
    headers = {'Origin': root, 'Cookie': log_in(root, token)}
    times = []
    for _ in range(count):
        robot.turn()
        begin = time.time()
        request = urllib.request.Request(f'{root}/stop', b'{"robot": ""}', headers)
        urllib.request.urlopen(request, timeout=10.0).close()
        robot.wait(False)
        times.append(robot.changed_at - begin)
        time.sleep(0.5)  # the button is released
    return times


class Nodes:
    """The processes; SIGINT ends them."""

    def __init__(self) -> None:
        self.processes: dict[str, subprocess.Popen] = {}

    def start(self, name: str, *words: str) -> subprocess.Popen:
        """Start a node."""
        self.processes[name] = subprocess.Popen(
            [*COMMAND, name, '--ros-args', *words], stdout=subprocess.PIPE, cwd=ROOT, text=True
        )
        return self.processes[name]

    def console(self, *words: str) -> str:
        """Start the console; return the link of an operator."""
        out = self.start('console', '-p', 'port:=0', *words).stdout
        return next(found[0] for line in out or () if (found := re.search(r'http\S+', line)))

    def memory(self, name: str) -> float:
        """Return what a process holds, MB."""
        text = Path(f'/proc/{self.processes[name].pid}/status').read_text()
        return int(re.search(r'VmRSS:\s+(\d+)', text)[1]) / 1024.0  # type: ignore[index]

    def end(self) -> None:
        """End all."""
        for process in self.processes.values():
            process.send_signal(signal.SIGINT)
        for process in self.processes.values():
            process.wait(30.0)


def watching(link: str, seconds: float, count: int, words: list[str]) -> subprocess.Popen:
    """Start a process that looks."""
    viewer = [sys.executable, __file__, '--look', link]
    more = ['--seconds', f'{seconds}', '--viewers', f'{count}']
    return subprocess.Popen([*words, *viewer, *more], stdout=subprocess.PIPE, text=True)


def kills(nodes: Nodes, robot: Robot, count: int) -> list[float]:
    """Return the times (s) from the death of a console, while somebody drives, to zero."""
    times = []
    for _ in range(count):
        link = nodes.console()
        time.sleep(2.0)
        asyncio.run(drive(link, robot))
        begin = time.time()
        nodes.processes['console'].kill()
        robot.wait(False)
        times.append(robot.changed_at - begin)
        nodes.processes.pop('console').wait()
        while robot.node.count_publishers('manual_velocity'):
            time.sleep(0.5)  # until DDS has missed it, nobody else may drive
        time.sleep(1.0)
    return times


def cost(robot: Robot, link: str, seconds: float, count: int) -> None:
    """Print the navigator's decision time in turns without and with viewers."""
    times: dict[int, list[float]] = {0: [], count: []}
    end = time.monotonic() + 600.0
    while not robot.decisions:
        robot.instruction.publish(String(data='go to the white ball'))
        time.sleep(2.0)
        if time.monotonic() > end:
            raise SystemExit('the navigator does not decide')
    for viewers in (0, count) * 3:
        process = watching(link, seconds, viewers, []) if viewers else None
        time.sleep(SETTLES)
        robot.decisions.clear()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            robot.instruction.publish(String(data='go to the white ball'))
            time.sleep(5.0)
        times[viewers] += robot.decisions
        if process:
            process.communicate()
    for viewers, taken in times.items():
        told(f'decision time, {viewers} viewers', taken)


def flat(nodes: Nodes, robot: Robot, link: str, minutes: float) -> None:
    """Print the console's memory while pages come and go, and decisions come 20 times a second."""
    held, number, begin = [], 0, time.monotonic()
    viewer = watching(link, 20.0, 2, [])
    while time.monotonic() < begin + 60.0 * minutes:
        robot.pretend(number)
        number += 1
        time.sleep(0.05)
        if viewer.poll() is not None:
            viewer = watching(link, 20.0, 2, [])
        if number % 200 == 0:
            held.append(((time.monotonic() - begin) / 60.0, nodes.memory('console')))
    viewer.communicate()
    times, sizes = np.array([one for one in held if one[0] > minutes / 4.0]).T
    slope = np.polyfit(times, sizes, 1)[0]
    print(
        f'memory over {minutes:g} min, {number} decisions: {held[0][1]:.1f} MB at first, from a '
        f'quarter on {sizes[0]:.1f}, at the end {sizes[-1]:.1f}, most {sizes.max():.1f}; '
        f'{60.0 * slope:+.1f} MB/h'
    )


def main() -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--seconds', type=float, default=20.0, help='of looking')
    parser.add_argument('--viewers', type=int, default=1)
    parser.add_argument('--stops', type=int, default=100)
    parser.add_argument('--link', action='store_true', help='look through a slow link; root only')
    parser.add_argument('--kills', type=int, default=0, help='kill so many consoles, no more')
    parser.add_argument('--cost', action='store_true', help='measure decision time, no more')
    parser.add_argument('--minutes', type=float, default=0.0, help='watch memory, no more')
    parser.add_argument('--look', help=argparse.SUPPRESS)  # a viewer: the link
    arguments = parser.parse_args()
    if arguments.look:
        ages = asyncio.run(crowd(arguments.look, arguments.seconds, arguments.viewers))
        print(json.dumps(ages))
        return 0
    address = ['-p', f'address:={OURS}'] if arguments.link else []
    pretended = [
        word
        for rule in ('navigation_action:=pretended_action', 'navigator_status:=pretended_status')
        for word in ('-r', rule)
    ]
    nodes = Nodes()
    with contextlib.ExitStack() as stack:
        words = stack.enter_context(slow_link()) if arguments.link else []
        stack.callback(nodes.end)
        picture = 'image_width:=640', 'image_height:=480', 'image_rate:=15.0'
        nodes.start('sim_robot', *(word for one in picture for word in ('-p', one)))
        nodes.start('motion_executor')
        robot = Robot()
        if arguments.kills:
            told('killed console to zero', kills(nodes, robot, arguments.kills))
            return 0
        link = nodes.console(*address, *(pretended if arguments.minutes else []))
        time.sleep(5.0)
        print(f'load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores')
        if arguments.cost:
            checkpoint = ROOT / 'models' / 'janusvln-tiny'
            given = f'checkpoint:={checkpoint}', 'device:=cpu', 'threads:=1', 'autostart:=true'
            nodes.start('navigator', *(word for one in given for word in ('-p', one)))
            cost(robot, link, arguments.seconds, arguments.viewers)
        elif arguments.minutes:
            flat(nodes, robot, link, arguments.minutes)
        else:
            viewer = watching(link, arguments.seconds, arguments.viewers, words)
            ages = json.loads(viewer.communicate()[0])
            told('age of pictures', ages)
            rate = len(ages) / arguments.viewers / arguments.seconds
            print(f'pictures a second, each viewer: {rate:.1f}')
            if arguments.stops and not arguments.link:
                told('stop button to zero', stops(robot, link, arguments.stops))
        print(f'load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores')
    return 0


if __name__ == '__main__':
    sys.exit(main())
