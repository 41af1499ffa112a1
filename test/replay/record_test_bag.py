"""
Record test/replay/data anew: a short run in the simulator, thinned out to well below 2 MB.

    python test/replay/record_test_bag.py CHECKPOINT      (a folder, or "random:SEED")

CHECKPOINT is remembered in data/checkpoint.txt; a folder has to lie in the repository. The bag
holds JPEG images: all that were decided from and one of five others, so that the choice matters.
"""

import argparse
from importlib import import_module
from pathlib import Path
import shutil
import sys
import tempfile
import threading
import time

from janusvln_ros.episodes.splits import build_episode, find_split
from janusvln_ros.msg import NavigatorStatus
from janusvln_ros.policy.random_checkpoint import write_random_checkpoint
from janusvln_ros.recordings import topics
from janusvln_ros.recordings.bag import Bag
from janusvln_ros.recordings.timeline import stamp_of
from janusvln_ros.recordings.writer import BagWriter
from janusvln_ros.replay.command import main as replay
from janusvln_ros.system.processes import NodeProcesses
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

ROOT = Path(__file__).parents[2]
DATA = ROOT / 'test' / 'replay' / 'data'
CAMERA = '/image/compressed'
RECORDED = {
    CAMERA: topics.COMPRESSED_IMAGE,
    '/instruction': topics.INSTRUCTION,
    '/navigation_action': topics.NAVIGATION_ACTION,
    '/navigator_status': topics.NAVIGATOR_STATUS,
    '/motion_status': topics.MOTION_STATUS,
    '/odom': topics.ODOMETRY,
}
STEPS = 14  # decisions of each episode at most
INSTRUCTIONS = (None, 'Turn around and walk to the door.')  # None: the episode's own


def checkpoint_folder(name: str, scratch: Path) -> Path:
    """Find the folder that a line of checkpoint.txt means."""
    kind, _, seed = name.partition(':')
    if kind == 'random':
        return write_random_checkpoint(scratch / 'random', int(seed))
    return ROOT / name


def record(checkpoint: Path, bag: Path, logs: Path) -> None:
    """Run the simulator and both nodes; record everything."""
    episode, _ = build_episode(find_split('val_unseen_small'), 0)
    rclpy.init()
    node = rclpy.create_node('recorder')
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    last: list[NavigatorStatus] = []
    node.create_subscription(
        NavigatorStatus,
        'navigator_status',
        last.append,
        QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL),
    )
    speaker = node.create_publisher(String, 'instruction', 10)

    def wait(state: int) -> None:
        end = time.monotonic() + 300
        while not last or last[-1].state != state or not speaker.get_subscription_count():
            nodes.check()
            if time.monotonic() > end:
                raise TimeoutError(f'the navigator did not come to state {state}')
            time.sleep(0.05)

    with NodeProcesses(logs) as nodes, BagWriter(bag) as writer:
        for name, kind in RECORDED.items():
            latched = topics.is_latched(name)
            package, _, kind_name = kind.split('/')
            node.create_subscription(
                getattr(import_module(f'{package}.msg'), kind_name),
                name,
                lambda data, n=name, k=kind: writer.write(n, k, data, time.time_ns()),
                QoSProfile(
                    depth=50,
                    reliability=ReliabilityPolicy.RELIABLE,
                    durability=(
                        DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
                    ),
                ),
                raw=True,
            )
        threading.Thread(target=executor.spin, daemon=True).start()
        nodes.start(
            'sim_robot',
            {
                'scene': episode.scene_id,
                'image_rate': 10.0,
                'start_pose': '"{:.4f} {:.4f} {:.4f}"'.format(*episode.start),
            },
        )
        nodes.start('motion_executor', {})
        nodes.start(
            'navigator',
            {
                'checkpoint': f'"{checkpoint}"',
                'device': 'cpu',
                'threads': 1,
                'autostart': True,
                'image_transport': 'compressed',
                'max_steps': STEPS,
                'frame_timeout': 60.0,
                'status_timeout': 60.0,
            },
        )
        for text in INSTRUCTIONS:
            wait(NavigatorStatus.STATE_IDLE)
            time.sleep(2.0)
            speaker.publish(String(data=text or episode.instruction.text))
            time.sleep(2.0)
            wait(NavigatorStatus.STATE_IDLE)
        time.sleep(2.0)
    executor.shutdown()
    rclpy.shutdown()


def thin(source: Path, target: Path) -> None:
    """Copy what a replay needs, and a little more."""
    with Bag(source) as bag:
        decode = bag.decoder(list(bag.topics))
        actions = [decode(m) for m in bag.messages(['/navigation_action'])]
        decided = {stamp_of(action) for action in actions if action.decision_time > 0}
        seen: dict[str, object] = {}
        with BagWriter(target, compress=True) as writer:
            for number, message in enumerate(bag.messages()):
                topic, now, data = message
                m = decode(message)
                if topic.name == CAMERA:
                    keep = stamp_of(m) in decided or number % 5 == 0
                elif topic.name == '/odom':
                    keep = number % 5 == 0
                elif topic.name in ('/motion_status', '/navigator_status'):
                    news = (m.state, m.instruction_id, m.step, getattr(m, 'motion_end', None))
                    keep = seen.get(topic.name) != news
                    seen[topic.name] = news
                else:
                    keep = True
                if keep:
                    writer.write(topic.name, topic.msgtype, data, now)


def main() -> int:
    """Record, thin out, replay, check, and only then replace the data."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint')
    name = parser.parse_args().checkpoint
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        checkpoint = checkpoint_folder(name, scratch)
        record(checkpoint, scratch / 'whole', scratch / 'logs')
        thin(scratch / 'whole', scratch / 'simulator')
        words = f'{scratch}/simulator --model={checkpoint} --device=cpu --compare=live'.split()
        status = replay([*words, f'--output={scratch / "out"}'])
        if status:
            print('the replay differs from the live run: nothing was written', file=sys.stderr)
            return status
        shutil.rmtree(DATA, ignore_errors=True)
        DATA.mkdir()
        shutil.copytree(scratch / 'simulator', DATA / 'simulator')
        shutil.copy(scratch / 'out' / 'decisions.jsonl', DATA / 'expected.jsonl')
        (DATA / 'checkpoint.txt').write_text(name + '\n')
    size = sum(file.stat().st_size for file in DATA.rglob('*') if file.is_file())
    print(f'{DATA}: {size / 2**20:.2f} MiB')
    return 0


if __name__ == '__main__':
    sys.exit(main())
