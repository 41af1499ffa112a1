"""
How old the console's pictures are, and how soon its stop button stops a robot.

    python benchmarks/console.py
    python benchmarks/console.py --link                  # through 2 Mbit/s, 100 ms, 2 % loss: root
    python benchmarks/console.py --viewers 10 --stops 0

Starts simulator (640x480, 15 Hz), executor and console as processes. A picture's age is from its
stamp until a viewer, a process of its own, has decoded it. Stop: from the request until zero is
commanded, received here; --stops times while the robot turns.
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
import numpy as np
import rclpy
from slow_link import OURS, slow_link
from std_msgs.msg import String
from std_srvs.srv import Trigger
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect, WebSocketClientConnection

ROOT = Path(__file__).parents[1]


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


async def look(link: str, seconds: float) -> list[float]:
    """Look as a page does; return the ages (s) of the pictures when they were decoded."""
    root, token = link.split('/#token=')
    socket = await connect(root, log_in(root, token))
    await socket.write_message(json.dumps({'type': 'look', 'size': 'large'}))
    ages: list[float] = []
    begin = time.monotonic()
    while time.monotonic() < begin + seconds + 3.0:
        message = await socket.read_message()
        if message is None:
            raise SystemExit(f'closed: {socket.close_reason}')
        if isinstance(message, bytes):
            number, _, stamp = HEADER.unpack_from(message)
            cv2.imdecode(np.frombuffer(message[HEADER.size :], np.uint8), cv2.IMREAD_COLOR)
            if time.monotonic() > begin + 3.0:  # the pace has found its level
                ages.append(time.time() - stamp)
            await socket.write_message(json.dumps({'type': 'seen', 'number': number}))
    return ages


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
        self.reset = self.node.create_client(Trigger, 'reset_e_stop')
        threading.Thread(target=rclpy.spin, args=(self.node,), daemon=True).start()

    def _on_command(self, message: Twist) -> None:
        moves = message != Twist()
        if moves != self.moves:
            self.moves, self.changed_at = moves, time.time()

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


def main() -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--seconds', type=float, default=20.0, help='of looking')
    parser.add_argument('--viewers', type=int, default=1)
    parser.add_argument('--stops', type=int, default=100)
    parser.add_argument('--link', action='store_true', help='look through a slow link; root only')
    parser.add_argument('--look', help=argparse.SUPPRESS)  # a viewer: the link
    arguments = parser.parse_args()
    if arguments.look:
        print(json.dumps(asyncio.run(look(arguments.look, arguments.seconds))))
        return 0
    command = [sys.executable, '-m', 'janusvln_ros.cli']
    picture = '-p image_width:=640 -p image_height:=480 -p image_rate:=15.0'.split()
    address = ['-p', f'address:={OURS}'] if arguments.link else []
    processes: list[subprocess.Popen] = []
    with contextlib.ExitStack() as stack:
        words = stack.enter_context(slow_link()) if arguments.link else []
        try:
            for name, *more in (
                ['sim_robot', '--ros-args', *picture],
                ['motion_executor'],
                ['console', '--ros-args', '-p', 'port:=0', *address],
            ):
                processes.append(
                    subprocess.Popen(
                        [*command, name, *more], stdout=subprocess.PIPE, cwd=ROOT, text=True
                    )
                )
            out = processes[-1].stdout
            link = next(found[0] for line in out or () if (found := re.search(r'http\S+', line)))
            time.sleep(5.0)
            viewer = [
                sys.executable,
                __file__,
                '--look',
                link,
                '--seconds',
                f'{arguments.seconds}',
            ]
            viewers = [
                subprocess.Popen([*words, *viewer], stdout=subprocess.PIPE, text=True)
                for _ in range(arguments.viewers)
            ]
            ages = [age for one in viewers for age in json.loads(one.communicate()[0])]
            print(f'load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores')
            told('age of pictures', ages)
            rate = len(ages) / len(viewers) / arguments.seconds
            print(f'pictures a second, each viewer: {rate:.1f}')
            if not arguments.link and arguments.stops:
                robot = Robot()
                told('stop button to zero', stops(robot, link, arguments.stops))
        finally:
            for process in processes:
                process.send_signal(signal.SIGINT)
            for process in processes:
                process.wait(20.0)
    return 0


if __name__ == '__main__':
    sys.exit(main())
