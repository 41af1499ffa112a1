"""
janusvln benchmark --ros: from image in to action out, less the policy's own time.

Plays a camera and an executor that is done at once to a navigator in a process of its own, over
real DDS, and takes the time from just before an image is published until its action has arrived.
"""

from __future__ import annotations

import argparse
import array
import json
import os
from pathlib import Path
import sys
import tempfile
import threading
import time

from janusvln_ros.actions import FORWARD_STEP
from janusvln_ros.arguments import checkpoint, output_file, real, whole
from janusvln_ros.msg import MotionStatus, NavigationAction, NavigatorStatus
from janusvln_ros.nodes.common.qos import LATCHED, LATEST
from janusvln_ros.system.processes import node_environment, NodeFailed, NodeProcesses
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import String
from tqdm import tqdm

_START_TIMEOUT = 300.0  # s
_KEPT = 100  # images whose time of sending is remembered


class Bench(Node):
    """Camera, executor and user of the navigator."""

    def __init__(self, width: int, height: int, reliable: bool) -> None:
        super().__init__('latency_benchmark')
        self.latencies: list[float] = []  # s, without the policy's time
        self.policy_times: list[float] = []  # s
        self.status: NavigatorStatus | None = None
        self._sent: dict[tuple[int, int], float] = {}
        noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        self._image = Image(
            height=height,
            width=width,
            step=3 * width,
            encoding='rgb8',
            data=array.array('B', noise.tobytes()),
        )
        self._motion = MotionStatus(state=MotionStatus.STATE_IDLE)
        camera = QoSProfile(
            depth=1,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        )
        self._images = self.create_publisher(Image, 'image', camera)
        self._motions = self.create_publisher(MotionStatus, 'motion_status', LATEST)
        self._instruction = self.create_publisher(String, 'instruction', 10)
        self.create_subscription(NavigationAction, 'navigation_action', self._on_action, LATEST)
        self.create_subscription(NavigatorStatus, 'navigator_status', self._on_status, LATCHED)
        self.create_timer(0.1, self._publish_motion)

    @property
    def ready(self) -> bool:
        """Tell whether the navigator listens to camera and instructions."""
        return (
            self.status is not None
            and self.status.state == NavigatorStatus.STATE_IDLE
            and self._images.get_subscription_count() > 0
            and self._instruction.get_subscription_count() > 0
        )

    def take_picture(self) -> None:
        """Publish one image, stamped now."""
        stamp = self.get_clock().now().to_msg()
        self._image.header.stamp = stamp
        self._image.data[0] = (self._image.data[0] + 1) % 256  # no two pictures are the same
        if len(self._sent) > _KEPT:
            del self._sent[min(self._sent)]
        self._sent[stamp.sec, stamp.nanosec] = time.perf_counter()
        self._images.publish(self._image)

    def _on_action(self, message: NavigationAction) -> None:
        arrived = time.perf_counter()
        stamp = message.header.stamp
        sent = self._sent.get((stamp.sec, stamp.nanosec))
        if sent is not None:
            self.latencies.append(arrived - sent - message.decision_time)
            self.policy_times.append(message.decision_time)
        self._motion = MotionStatus(
            state=MotionStatus.STATE_IDLE,
            result=MotionStatus.RESULT_SUCCEEDED,
            progress=FORWARD_STEP,
            instruction_id=message.instruction_id,
            step=message.step,
            motion_end=self.get_clock().now().to_msg(),
        )
        self._publish_motion()

    def _on_status(self, message: NavigatorStatus) -> None:
        self.status = message
        if message.state == NavigatorStatus.STATE_IDLE and self.latencies:
            self.instruct()

    def instruct(self) -> None:
        """Start an episode."""
        self._instruction.publish(String(data='go to the red chair'))

    def _publish_motion(self) -> None:
        self._motion.header.stamp = self.get_clock().now().to_msg()
        self._motions.publish(self._motion)


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    result = argparse.ArgumentParser(
        prog='janusvln benchmark --ros',
        description=__doc__.split('\n\n')[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    result.add_argument(
        '--checkpoint', type=checkpoint, default='random', help='folder of a checkpoint'
    )
    result.add_argument('--device', default='auto', choices=('auto', 'cuda', 'cpu'))
    result.add_argument('--decisions', type=whole(1), default=300, help='how many are measured')
    result.add_argument('--width', type=whole(56, 8192), default=640, help='pixels')
    result.add_argument('--height', type=whole(56, 8192), default=480, help='pixels')
    result.add_argument('--rate', type=real(0.1, 1000.0), default=30.0, help='images per second')
    result.add_argument('--reliable', action='store_true', help='images by reliable QoS')
    result.add_argument(
        '--threads', type=whole(0, 256), default=1, help="the policy's processor threads"
    )
    result.add_argument('--json', type=output_file, help='write the result to this file')
    return result


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 1 when a node failed, 130 after Ctrl-C."""
    arguments = parser().parse_args(argv)
    os.environ.update(node_environment())
    rclpy.init(args=[])
    bench = Bench(arguments.width, arguments.height, arguments.reliable)
    executor = SingleThreadedExecutor()
    executor.add_node(bench)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        with tempfile.TemporaryDirectory() as logs, NodeProcesses(Path(logs)) as nodes:
            nodes.start(
                'navigator',
                {
                    'checkpoint': f'"{arguments.checkpoint}"',
                    'device': arguments.device,
                    'threads': arguments.threads,
                    'autostart': True,
                    'max_steps': 20,
                    'spin_steps': 1000,
                    'dither_steps': 1000,
                    'image_reliability': 'reliable' if arguments.reliable else 'best_effort',
                },
            )
            _measure(bench, nodes, arguments)
    except KeyboardInterrupt:
        return 130
    except NodeFailed as error:
        print(f'janusvln benchmark: {error}', file=sys.stderr)
        return 1
    finally:
        executor.shutdown()
        thread.join(5.0)
        rclpy.try_shutdown()
    _report(bench, arguments)
    return 0


def _measure(bench: Bench, nodes: NodeProcesses, arguments: argparse.Namespace) -> None:
    nodes.wait_until(lambda: bench.ready, _START_TIMEOUT)
    bench.instruct()
    due = time.monotonic()
    with tqdm(total=arguments.decisions, unit='decision', disable=None) as bar:
        while len(bench.latencies) < arguments.decisions:
            nodes.check()
            bench.take_picture()
            due = max(due + 1.0 / arguments.rate, time.monotonic())
            bar.update(len(bench.latencies) - bar.n)
            time.sleep(max(0.0, due - time.monotonic()))


def _report(bench: Bench, arguments: argparse.Namespace) -> None:
    quality = 'reliable' if arguments.reliable else 'best effort'
    result = {
        'image': f'{arguments.width}x{arguments.height} rgb8, {arguments.rate:g} Hz, {quality}',
        'decisions': len(bench.latencies),
        'load_average_1min': round(os.getloadavg()[0], 2),
        'cores': os.cpu_count(),
    }
    print(
        f'{result["image"]}; {result["decisions"]} decisions; load '
        f'{result["load_average_1min"]} '
        f'on {result["cores"]} cores\n{"":34}p50       p95       p99'
    )
    for name, values in (
        ('image to action less policy', bench.latencies),
        ('policy', bench.policy_times),
    ):
        result[name] = percentiles = {
            f'p{percent}_ms': round(1000 * float(np.percentile(values, percent)), 2)
            for percent in (50, 95, 99)
        }
        print(f'{name:28}' + ''.join(f'{value:7.2f} ms' for value in percentiles.values()))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + '\n')
