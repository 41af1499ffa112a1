"""Bags of made-up drives: where the robot was, and pictures that tell their own number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
import math
from pathlib import Path
from typing import Any

import cv2
from janusvln_ros.recordings import topics
from janusvln_ros.recordings.writer import BagWriter
import numpy as np

EPOCH = 1_700_000_000_000_000_000  # ns: when made-up bags begin
Leg = tuple[float, float, float, float]  # s, m/s ahead, m/s to the left, rad/s
FINE = 0.002  # s


def poses(legs: Sequence[Leg], rate: float, yaw: float = 0.4) -> list[tuple[float, ...]]:
    """Give time (s), x, y, yaw and the velocities, `rate` times a second."""
    x = y = now = 0.0
    shown, found = -math.inf, []
    for seconds, ahead, left, turn in [*legs, (FINE, 0.0, 0.0, 0.0)]:
        for _ in range(round(seconds / FINE)):
            if now >= shown + 1.0 / rate - 1e-9:
                shown = now
                found.append((now, x, y, math.remainder(yaw, math.tau), ahead, left, turn))
            x += FINE * (ahead * math.cos(yaw) - left * math.sin(yaw))
            y += FINE * (ahead * math.sin(yaw) + left * math.cos(yaw))
            yaw += FINE * turn
            now += FINE
    return found


def number_of(picture: np.ndarray) -> int:
    """Read the number that a picture tells, uint8 (H, W, 3)."""
    middle, low, high = picture.reshape(-1, 3).mean(0).tolist()
    return round(high / 64) * 256 + round(middle / 16) * 16 + round(low / 16)


class MadeBag:
    """
    Writes a bag of a drive.

    legs: the drive. said: (s, instruction). source: 'odometry', 'tf', 'twist', 'stamped' or ''.
    rate, camera_rate: Hz. kind: 'raw', 'jpeg'. skew: s by which the stamps of pictures are late.
    keeps: tells of (s) whether there is a picture. begin: s after EPOCH. hfov: rad, of the lens
    that camera_info tells of; 0: there is none. mount: m ahead and rad down of the camera, which
    tf_static tells.
    """

    def __init__(
        self,
        legs: Sequence[Leg],
        said: Iterable[tuple[float, str]] = ((0.0, 'go to the door'),),
        source: str = 'odometry',
        rate: float = 30.0,
        camera_rate: float = 20.0,
        kind: str = 'raw',
        skew: float = 0.0,
        keeps: Callable[[float], bool] = lambda now: True,
        stamp: Callable[[float], float] = lambda now: now,
        begin: float = 0.0,
        first_number: int = 0,
        hfov: float = 0.0,
        mount: tuple[float, float] | None = None,
    ) -> None:
        self.legs, self.said, self.source, self.rate = legs, list(said), source, rate
        self.camera_rate, self.kind, self.skew, self.keeps = camera_rate, kind, skew, keeps
        self.stamp, self.begin, self.first_number = stamp, begin, first_number
        self.hfov, self.mount = hfov, mount
        self.times: dict[int, float] = {}  # s of each picture, by its number

    def write(self, path: Path, storage: str = 'mcap') -> Path:
        """Write it; give its path."""
        found: list[tuple[float, str, Any]] = [
            (when, '/instruction', text) for when, text in self.said
        ]
        found += [(pose[0], 'pose', pose[1:]) for pose in poses(self.legs, self.rate)]
        end = sum(leg[0] for leg in self.legs)
        for number in range(int(end * self.camera_rate) + 1):
            when = number / self.camera_rate + 0.007  # not when odometry comes
            if when <= end and self.keeps(when):
                self.times[number + self.first_number] = when
                found.append((when, '/image', number + self.first_number))
        with BagWriter(path, storage) as writer:
            self._writer = writer
            if self.mount:
                self._fixed_frames(*self.mount)
            for when, name, content in sorted(found, key=lambda one: one[0]):
                logged = EPOCH + round((when + self.begin) * 1e9)
                getattr(self, '_' + name.strip('/'))(when + self.begin, logged, content)
        return path

    def _of(self, msgtype: str, **fields: Any) -> Any:
        return self._writer.message_class(msgtype)(**fields)

    def _header(self, when: float, frame: str) -> Any:
        nanoseconds = EPOCH + round(self.stamp(when) * 1e9)
        time = self._of(
            'builtin_interfaces/msg/Time', sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9
        )
        return self._of('std_msgs/msg/Header', stamp=time, frame_id=frame)

    def _instruction(self, when: float, logged: int, content: str) -> None:
        said = self._of(topics.INSTRUCTION, data=content)
        self._writer.write_message('/instruction', said, logged)

    def _image(self, when: float, logged: int, number: int) -> None:
        pixels = np.zeros((24, 32, 3), np.uint8)
        pixels[:] = (number // 16 % 16 * 16, number % 16 * 16, number // 256 * 64)
        header = self._header(when + self.skew, 'camera')
        if self.hfov:
            self._lens(header, logged)
        if self.kind == 'raw':
            message = self._of(topics.IMAGE, header=header, height=24, width=32, encoding='rgb8',
                               is_bigendian=0, step=96, data=pixels.ravel())  # fmt: skip
            self._writer.write_message('/image', message, logged)
            return
        packed = cv2.imencode('.jpg', pixels[..., ::-1])[1]
        message = self._of(topics.COMPRESSED_IMAGE, header=header, format='jpeg', data=packed)
        self._writer.write_message('/image/compressed', message, logged)

    def _fixed_frames(self, ahead: float, down: float) -> None:
        """Put a camera's body on the base, and its optical frame into the body."""
        half, cos, sin = 0.5, math.cos(down / 2), math.sin(down / 2)
        parts = [
            self._of(
                'geometry_msgs/msg/TransformStamped',
                header=self._header(0.0, parent),
                child_frame_id=child,
                transform=self._of(
                    'geometry_msgs/msg/Transform',
                    translation=self._vector(x, 0.0, z),
                    rotation=self._of('geometry_msgs/msg/Quaternion', **dict(zip('xyzw', turned))),
                ),
            )
            for parent, child, x, z, turned in (
                ('camera_link', 'camera', 0.0, 0.0, (-half, half, -half, half)),
                ('base_link', 'camera_link', ahead, 0.9, (0.0, sin, 0.0, cos)),
            )
        ]
        message = self._of(topics.TF, transforms=parts)
        self._writer.write_message('/tf_static', message, EPOCH)

    def _lens(self, header: Any, logged: int) -> None:
        focal, none = 16 / math.tan(self.hfov / 2), np.zeros(5)
        region = self._of('sensor_msgs/msg/RegionOfInterest', x_offset=0, y_offset=0, height=0,
                          width=0, do_rectify=False)  # fmt: skip
        k = np.array([focal, 0.0, 15.5, 0.0, focal, 11.5, 0.0, 0.0, 1.0])
        message = self._of(topics.CAMERA_INFO, header=header, height=24, width=32, d=none, k=k,
                           distortion_model='plumb_bob', r=np.eye(3).ravel(), p=np.zeros(12),
                           binning_x=0, binning_y=0, roi=region)  # fmt: skip
        self._writer.write_message('/camera_info', message, logged)

    def turned(self, when: float, yaw: float) -> tuple[float, float, float, float]:
        """Give the quaternion, x y z w, that odometry and tf tell."""
        return 0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)

    def height(self, when: float) -> float:
        """Give the height, m, that odometry and tf tell."""
        return 0.0

    def _vector(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Any:
        return self._of('geometry_msgs/msg/Vector3', x=x, y=y, z=z)

    def _pose(self, when: float, logged: int, content: tuple[float, ...]) -> None:
        x, y, yaw, ahead, left, turn = content
        turned = self._of(
            'geometry_msgs/msg/Quaternion', **dict(zip('xyzw', self.turned(when, yaw)))
        )
        twist = self._of(topics.TWIST, linear=self._vector(ahead, left),
                         angular=self._vector(z=turn))  # fmt: skip
        if self.source == 'odometry':
            place = self._of('geometry_msgs/msg/Point', x=x, y=y, z=self.height(when))
            pose = self._of('geometry_msgs/msg/Pose', position=place, orientation=turned)
            none = np.zeros(36)
            message = self._of(
                topics.ODOMETRY,
                header=self._header(when, 'odom'),
                child_frame_id='base_link',
                pose=self._of('geometry_msgs/msg/PoseWithCovariance', pose=pose, covariance=none),
                twist=self._of(
                    'geometry_msgs/msg/TwistWithCovariance', twist=twist, covariance=none
                ),
            )
            self._writer.write_message('/odom', message, logged)
        elif self.source == 'tf':
            place = self._vector(x, y, self.height(when))
            moved = self._of('geometry_msgs/msg/Transform', translation=place, rotation=turned)
            parts = [
                self._of(
                    'geometry_msgs/msg/TransformStamped',
                    header=self._header(when, parent),
                    child_frame_id=child,
                    transform=moved,
                )  # fmt: skip
                for parent, child in (('odom', 'base_link'), ('base_link', 'wheel'))
            ]
            message = self._of(topics.TF, transforms=parts)
            self._writer.write_message('/tf', message, logged)
        elif self.source == 'twist':
            self._writer.write_message('/cmd_vel', twist, logged)
        elif self.source == 'stamped':
            header = self._header(when, 'base_link')
            message = self._of(topics.TWIST_STAMPED, header=header, twist=twist)
            self._writer.write_message('/cmd_vel', message, logged)
