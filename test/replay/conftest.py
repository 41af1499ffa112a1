"""A short drive, decided live by the real policy with random weights, to be written as bags."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
import math
from pathlib import Path

import cv2
from janusvln_ros.actions import FORWARD_STEP, TURN_STEP
from janusvln_ros.imaging.encodings import to_rgb
from janusvln_ros.policy import Action, JanusPolicy
from janusvln_ros.policy.random_checkpoint import write_random_checkpoint
from janusvln_ros.recordings.messages import standard_types
from janusvln_ros.recordings.writer import BagWriter
from janusvln_ros.replay.command import main
import numpy as np
import pytest
import torch

TYPES = standard_types()
START = 1_700_000_000_000_000_000  # ns
FRAME, ODOMETRY = 100_000_000, 50_000_000  # ns between images, between poses
MOTION, THINKING = 700_000_000, 250_000_000  # ns that a motion, a decision takes
SENTENCES = ('Walk past the sofa and stop at the door.', 'Turn around and wait by the lamp.')


def make(msgtype: str, **values: object) -> object:
    """Make a message."""
    return TYPES.types[msgtype](**values)


def time_message(stamp: int) -> object:
    return make('builtin_interfaces/msg/Time', sec=stamp // 10**9, nanosec=stamp % 10**9)


def header(stamp: int, frame: str = 'camera_optical_frame') -> object:
    return make('std_msgs/msg/Header', stamp=time_message(stamp), frame_id=frame)


def view(x: float, yaw: float) -> np.ndarray:
    """Draw what a camera might see from a pose: uint8 (120, 160, 3), different from everywhere."""
    rgb = np.zeros((120, 160, 3), np.uint8)
    rgb[:60], rgb[60:] = (150, 190, 230), (130, 110, 90)
    for i in range(12):
        place = (i * 0.7 + yaw) % (2 * math.pi)
        size = 8 + 60 / (1 + (i * 0.9 - x) % 6)
        centre = (int(place * 50) % 200 - 20, 60 + i % 3 * 12)
        colour = tuple(int(c) for c in (40 * i % 255, 90 + 13 * i, 255 - 20 * i))
        cv2.circle(rgb, centre, int(size / 2), colour, -1)
    return rgb


def image(stamp: int, rgb: np.ndarray, compressed: bool = False) -> object:
    if compressed:
        data = cv2.imencode('.jpg', rgb[..., ::-1])[1].reshape(-1)
        return make(
            'sensor_msgs/msg/CompressedImage', header=header(stamp), format='jpeg', data=data
        )
    return make(
        'sensor_msgs/msg/Image',
        header=header(stamp),
        height=rgb.shape[0],
        width=rgb.shape[1],
        encoding='rgb8',
        is_bigendian=0,
        step=3 * rgb.shape[1],
        data=rgb.reshape(-1),
    )


def odometry(stamp: int, x: float, y: float, yaw: float) -> object:
    point = make('geometry_msgs/msg/Point', x=x, y=y, z=0.0)
    turn = make(
        'geometry_msgs/msg/Quaternion', x=0.0, y=0.0, z=math.sin(yaw / 2), w=math.cos(yaw / 2)
    )
    zero = make('geometry_msgs/msg/Vector3', x=0.0, y=0.0, z=0.0)
    unknown = np.zeros(36)
    return make(
        'nav_msgs/msg/Odometry',
        header=header(stamp, 'odom'),
        child_frame_id='base_link',
        pose=make(
            'geometry_msgs/msg/PoseWithCovariance',
            covariance=unknown,
            pose=make('geometry_msgs/msg/Pose', position=point, orientation=turn),
        ),
        twist=make(
            'geometry_msgs/msg/TwistWithCovariance',
            covariance=unknown,
            twist=make('geometry_msgs/msg/Twist', linear=zero, angular=zero),
        ),
    )


def motion_status(stamp: int, moving: bool, end: int, name: str, step: int, action: int) -> object:
    return make(
        'janusvln_ros/msg/MotionStatus',
        header=header(stamp, 'odom'),
        state=int(moving),
        result=1,
        instruction_id=name,
        step=step,
        action=action,
        motion_end=time_message(end),
        progress=0.0 if moving else FORWARD_STEP if action == 1 else TURN_STEP,
        open_loop=False,
        message='',
        session_id='',
        execution_mode=0,  # unknown: it is played to navigators of both modes
    )


def navigation_action(
    stamp: int,
    name: str,
    step: int,
    action: int,
    probabilities: Iterable[float],
    decision_time: float = 0.1,
) -> object:
    return make(
        'janusvln_ros/msg/NavigationAction',
        header=header(stamp),
        instruction_id=name,
        step=step,
        action=action,
        probabilities=np.array(probabilities, np.float32),
        decision_time=decision_time,
        session_id='',
    )


def navigator_status(stamp: int, name: str, sentence: str, step: int, frames: int) -> object:
    return make(
        'janusvln_ros/msg/NavigatorStatus',
        header=header(stamp),
        state=3,
        reason=0,
        instruction_id=name,
        instruction=sentence,
        step=step,
        memory_frames=frames,
        memory_bytes=0,
        message='',
        session_id='',
        execution_mode=0,  # unknown: it is played to navigators of both modes
    )


@dataclass
class Drive:
    """Messages of a drive in the order of recording, and what was decided in it."""

    messages: list[tuple[str, int, object]] = field(default_factory=list)
    decisions: list[tuple[int, int, int, int, tuple[float, ...]]] = field(default_factory=list)

    def write(
        self,
        path: Path,
        storage: str = 'mcap',
        without: Iterable[str] = (),
        compress: bool = False,
    ) -> Path:
        """Write a bag without the named topics."""
        with BagWriter(path, storage, compress=compress) as writer:
            for topic, time, message in self.messages:
                if topic not in without:
                    writer.write_message(topic, message, time)
        return path


def record_drive(
    policy: JanusPolicy,
    *,
    compressed: bool = False,
    steps: int = 5,
    reset_before: int | None = None,
) -> Drive:
    """Drive: decide from a frame at rest, move, decide again; two episodes one after the other."""
    drive = Drive()
    camera = '/image/compressed' if compressed else '/image'
    now, x, y, yaw, end, status = START, 0.0, 0.0, 0.0, 0, ('', 0, 0)

    def report(moving: bool) -> None:
        drive.messages.append(
            ('/motion_status', now + 2, motion_status(now, moving, end, *status))
        )

    def advance(
        until: int, moving: bool, velocity: float = 0.0, rate: float = 0.0, camera_on: bool = True
    ) -> None:
        nonlocal now, x, y, yaw
        while now < until:
            now += ODOMETRY
            seconds = ODOMETRY / 1e9
            x += velocity * seconds * math.cos(yaw)
            y += velocity * seconds * math.sin(yaw)
            yaw += rate * seconds
            drive.messages.append(('/odom', now + 1, odometry(now, x, y, yaw)))
            report(moving)
            if camera_on and (now - START) % FRAME == 0:
                drive.messages.append((camera, now + 3, image(now, view(x, yaw), compressed)))

    advance(now + 3 * FRAME, moving=False)
    end = now + ODOMETRY
    advance(end, moving=False)
    for episode, sentence in enumerate(SENTENCES):
        name = f'episode-{episode}'
        # The base has come to stand after the last frame, so that the next is the first to use.
        drive.messages.append(
            ('/instruction', now + 4, make('std_msgs/msg/String', data=sentence))
        )
        policy.reset(sentence)
        for step in range(steps):
            if step == reset_before:
                policy.reset(sentence)
            while True:  # the next frame, taken at rest
                advance(now + ODOMETRY, moving=False)
                topic, _, seen = drive.messages[-1]
                if topic == camera:
                    break
            answer = policy.step(to_rgb(seen))
            usage = policy.memory_usage()
            stamp = now
            advance(now + THINKING, moving=False)
            probabilities = tuple(float(np.float32(answer.probabilities[a])) for a in Action)
            action = int(answer.action)
            drive.decisions.append((episode, step, stamp, action, probabilities))
            drive.messages += [
                (
                    '/navigation_action',
                    now + 5,
                    navigation_action(stamp, name, step, action, probabilities),
                ),
                (
                    '/navigator_status',
                    now + 6,
                    navigator_status(now, name, sentence, step + 1, usage.frames),
                ),
            ]
            status = (name, step, action)
            # A STOP is recorded like the others here, and the drive goes on by turning.
            moves = action == Action.MOVE_FORWARD
            speed = 0.25 / (MOTION / 1e9) if moves else 0.0
            turn = math.radians(15) / (MOTION / 1e9)
            advance(now + MOTION, True, speed, 0.0 if moves else -turn if action == 3 else turn)
            end = now
            report(moving=False)
        # What the navigator sends when it ends an episode; it was decided from no frame.
        drive.messages.append(
            (
                '/navigation_action',
                now + 7,
                navigation_action(now, name, steps, 0, (1.0, 0.0, 0.0, 0.0), decision_time=0.0),
            )
        )
    advance(now + 6 * ODOMETRY, moving=False, camera_on=False)
    return drive


@pytest.fixture(scope='session')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights whose answers differ from frame to frame."""
    torch.set_num_threads(1)
    return write_random_checkpoint(tmp_path_factory.mktemp('checkpoint') / 'random', seed=10)


@pytest.fixture
def replay(checkpoint: Path, tmp_path: Path) -> Callable[..., tuple[int, Path]]:
    """Give a function that runs `janusvln replay INPUT ...` and returns its status and folder."""

    def run(source: Path, *options: str, output: str = 'out') -> tuple[int, Path]:
        folder = tmp_path / output
        words = ['--device=cpu', '--image-width=84', f'--model={checkpoint}', f'--output={folder}']
        return main([str(source), *words, *options]), folder

    return run


@pytest.fixture(scope='session')
def policy(checkpoint: Path) -> JanusPolicy:
    """Load those weights."""
    return JanusPolicy.from_pretrained(checkpoint, device='cpu', dtype='float32', image_width=84)


@pytest.fixture(scope='session')
def drive(policy: JanusPolicy) -> Drive:
    """Drive with a raw camera."""
    return record_drive(policy)


@pytest.fixture(scope='session')
def compressed_drive(policy: JanusPolicy) -> Drive:
    """Drive with a JPEG camera."""
    return record_drive(policy, compressed=True)


@pytest.fixture(scope='session')
def make_drive(policy: JanusPolicy) -> Callable[..., Drive]:
    """Give the function that records other drives."""
    return lambda policy=policy, **options: record_drive(policy, **options)


@pytest.fixture(scope='session')
def make_settings() -> Callable[[dict[str, str]], tuple[str, int, object]]:
    """Give a function that makes the navigator's message of what its policy runs with."""

    def make_message(settings: dict[str, str]) -> tuple[str, int, object]:
        values = [
            make('diagnostic_msgs/msg/KeyValue', key=key, value=value)
            for key, value in settings.items()
        ]
        status = make(
            'diagnostic_msgs/msg/DiagnosticStatus',
            level=0,
            name='policy',
            message='',
            hardware_id='',
            values=values,
        )
        return '/policy_settings', START - 1, status

    return make_message
