"""
A bag drives the real navigator: its images, its clock, its motions.

What the navigator decides live must be what an offline replay of the same frames decides.
"""

from pathlib import Path
import shutil
import subprocess
import threading
import time

from diagnostic_msgs.msg import DiagnosticStatus
from janusvln_ros.msg import MotionStatus, NavigationAction, NavigatorStatus
from janusvln_ros.recordings.bag import Bag
from janusvln_ros.recordings.topics import TOPICS
from janusvln_ros.recordings.writer import BagWriter
from janusvln_ros.replay.decisions import read_decisions
from janusvln_ros.system.processes import ros_arguments
import pytest
import rclpy
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String

pytestmark = [pytest.mark.ros, pytest.mark.timeout(300)]
PATIENCE = 120.0  # s of wall time, on a busy machine
RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(
    depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
TYPES = {
    '/image': Image,
    '/image/compressed': CompressedImage,
    '/motion_status': MotionStatus,
    '/instruction': String,
}

MESSAGES = {'/' + topic.name: topic.msgtype for topic in TOPICS}


class Stage:
    """Hears the navigator and writes down, as a bag, what it saw and said."""

    def __init__(self, camera: str, record: Path, storage: str) -> None:
        self.actions: dict[int, NavigationAction] = {}  # by stamp in ns
        self.state = None
        self.time = 0  # ns, of the navigator's clock
        self.camera = camera
        self.writer = BagWriter(record, storage)
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node('stage', context=self.context)
        self.clock = self.node.create_publisher(Clock, '/clock', RELIABLE)
        self.publishers = {
            topic: self.node.create_publisher(kind, topic, RELIABLE)
            for topic, kind in TYPES.items()
        }
        for topic, kind, qos in (
            ('/navigation_action', NavigationAction, RELIABLE),
            ('/navigator_status', NavigatorStatus, LATCHED),
            ('/policy_settings', DiagnosticStatus, LATCHED),
        ):
            self.node.create_subscription(
                kind, topic, lambda data, t=topic, k=kind: self.hear(t, k, data), qos, raw=True
            )
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()

    def hear(self, topic: str, kind: type, data: bytes) -> None:
        self.writer.write(topic, MESSAGES[topic], data, time.time_ns())
        if kind is DiagnosticStatus:
            return
        message = deserialize_message(data, kind)
        if kind is NavigatorStatus:
            self.state, stamp = message.state, message.header.stamp
            self.time = stamp.sec * 10**9 + stamp.nanosec
        elif message.decision_time > 0:
            stamp = message.header.stamp
            self.actions[stamp.sec * 10**9 + stamp.nanosec] = message

    def listen_to_camera(self) -> None:
        """Record images that another process plays."""
        kind = TYPES[self.camera]
        self.node.create_subscription(
            kind,
            self.camera,
            lambda data: self.keep_image(data),
            QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE),
            raw=True,
        )

    def keep_image(self, data: bytes) -> None:
        self.writer.write(
            self.camera, f'sensor_msgs/msg/{TYPES[self.camera].__name__}', data, time.time_ns()
        )

    def wait(self, condition, what: str, meanwhile=lambda: None) -> None:
        end = time.monotonic() + PATIENCE
        again = time.monotonic() + 2.0
        while not condition():
            assert time.monotonic() < end, f'{what} did not come'
            if time.monotonic() > again:
                meanwhile()
                again = time.monotonic() + 2.0
            time.sleep(0.005)

    def show(self, data: bytes) -> None:
        """Publish an image and record it."""
        self.keep_image(data)
        self.publishers[self.camera].publish(data)

    def set_clock(self, now: int) -> None:
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(now, 10**9)
        self.clock.publish(message)

    def instruct(self, data: bytes, now: int) -> None:
        """
        Publish an instruction once the navigator has all that came before.

        Topics are in no order among each other; what has been acknowledged is taken first.
        """
        self.wait(lambda: self.time >= now, 'the time', lambda: self.set_clock(now))
        assert self.publishers['/motion_status'].wait_for_all_acked(Duration(seconds=PATIENCE))
        self.publishers['/instruction'].publish(data)

    def close(self) -> None:
        self.executor.shutdown()
        self.thread.join(10)
        self.context.try_shutdown()
        self.writer.close()


@pytest.fixture
def stage(start_command, tmp_path, checkpoint):
    """Start the navigator on simulated time, ready for an instruction."""
    stages = []

    def start(camera: str, storage: str, mode: str) -> Stage:
        parameters = {
            'use_sim_time': True,
            'autostart': True,
            'checkpoint': checkpoint,
            'device': 'cpu',
            'threads': 1,
            'image_width': 84,
            'execution_mode': mode,
            'image_transport': 'raw' if camera == '/image' else 'compressed',
        }
        start_command('navigator', *ros_arguments(parameters))
        stage = Stage(camera, tmp_path / 'live', storage)
        stages.append(stage)
        stage.wait(lambda: stage.state == NavigatorStatus.STATE_IDLE, 'the navigator')
        for topic in (camera, '/motion_status', '/instruction'):
            publisher = stage.publishers[topic]
            stage.wait(lambda p=publisher: p.get_subscription_count() > 0, f'who hears {topic}')
        return stage

    yield start
    for each in stages:
        each.close()


@pytest.mark.parametrize('camera, storage', [('/image', 'mcap'), ('/image/compressed', 'sqlite3')])
def test_the_navigator_decides_as_in_the_recording(
    request, tmp_path, stage, replay, camera, storage
):
    """
    In step with the bag: the clock stands at every frame that the recording was decided from.

    The bag's motion status names the episode by its recorded id, which is another in every run.
    """
    drive = request.getfixturevalue('drive' if camera == '/image' else 'compressed_drive')
    assert all(action != 0 for *_, action, _ in drive.decisions), 'a STOP would end the episode'
    live = stage(camera, storage, 'step')
    names: dict[str, str] = {}
    decided = {stamp for _, _, stamp, _, _ in drive.decisions}
    with Bag(drive.write(tmp_path / 'bag', storage)) as bag:
        for topic, now, data in bag.messages():
            live.set_clock(now)
            if topic.name == camera:
                live.show(data)
                stamp = now - 3
                if stamp in decided:
                    # Best effort may lose an image; the clock stands, so it can be shown again.
                    live.wait(
                        lambda s=stamp: s in live.actions,
                        f'the decision of {stamp}',
                        lambda d=data: live.publishers[camera].publish(d),
                    )
            elif topic.name == '/navigation_action':
                recorded = deserialize_message(data, NavigationAction)
                if recorded.decision_time > 0:
                    stamp = recorded.header.stamp
                    mine = live.actions[stamp.sec * 10**9 + stamp.nanosec]
                    names[recorded.instruction_id] = mine.instruction_id
            elif topic.name == '/motion_status':
                status = deserialize_message(data, MotionStatus)
                status.instruction_id = names.get(status.instruction_id, status.instruction_id)
                live.publishers[topic.name].publish(status)
            elif topic.name == '/instruction':
                live.instruct(data, now)
    answers = [
        (a.step, a.action, tuple(map(float, a.probabilities)))
        for _, a in sorted(live.actions.items())
    ]
    assert answers == [(step, action, p) for _, step, _, action, p in drive.decisions]
    live.close()
    status, folder = replay(tmp_path / 'live', '--compare', 'live')
    assert status == 0
    assert len(read_decisions(folder / 'decisions.jsonl')) == len(drive.decisions)
    assert 'all settings are as recorded' in (folder / 'report.html').read_text()


def played_by_us(live: Stage, bag: Path) -> None:
    """Play a bag at its own speed."""
    with Bag(bag) as opened:
        begin = offset = None
        for topic, now, data in opened.messages([live.camera, '/motion_status', '/instruction']):
            begin, offset = begin or now, offset or time.monotonic()
            time.sleep(max(0.0, (now - begin) / 1e9 - (time.monotonic() - offset)))
            live.set_clock(now)
            live.publishers[topic.name].publish(data)


def played_by_ros2(live: Stage, bag: Path) -> None:
    subprocess.run(
        [
            *('ros2', 'bag', 'play', str(bag), '--clock', '100'),
            *('--topics', live.camera, '/motion_status', '/instruction'),
        ],
        check=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    'play',
    [
        played_by_us,
        pytest.param(
            played_by_ros2,
            marks=pytest.mark.skipif(shutil.which('ros2') is None, reason='needs ros2 bag'),
        ),
    ],
)
def test_whatever_frames_it_took_the_offline_replay_agrees(tmp_path, stage, replay, drive, play):
    """At its own speed and in continuous mode, timing alone says which frames are used."""
    live = stage('/image', 'mcap', 'continuous')
    live.listen_to_camera()
    play(live, drive.write(tmp_path / 'bag'))
    time.sleep(1.0)  # a decision may be under way
    taken = len(live.actions)
    live.close()
    assert taken >= 5
    status, folder = replay(tmp_path / 'live', '--compare', 'live')
    assert status == 0
    decisions = read_decisions(folder / 'decisions.jsonl')
    assert len(decisions) == taken and {d.episode for d in decisions} == {0, 1}
