"""Somebody drives a robot of the simulator by joystick while a bag is recorded."""

from __future__ import annotations

import math
from pathlib import Path
import shutil
from typing import Any

import cv2
from janusvln_ros.episodes.driven import DrivenWorld
from janusvln_ros.episodes.joystick import drive
from janusvln_ros.episodes.scene import scene_of
from janusvln_ros.episodes.splits import build_episode, route_of, Split
from janusvln_ros.recordings import topics
from janusvln_ros.recordings.writer import BagWriter
from janusvln_ros.sim.physics import WheelOdometry
import numpy as np

_EPOCH = 1_700_000_000  # s since 1970, of the first drive
_APART = 3600  # s between two drives, so that each is one of its own
_CAMERA_EVERY, _ODOMETRY_EVERY = 5, 2  # periods of 20 ms


def record(split: Split, number: int, bag: Path) -> bool:
    """
    Drive an episode of a split and record it as a rosbag2: pictures, odometry, instruction.

    The bag appears when it is whole. Return whether the drive arrived; a bag of one that did not
    is thrown away.
    """
    episode, _ = build_episode(split, number)
    scene = scene_of(episode.scene_id)
    world = DrivenWorld(scene.house)
    world.reset(*episode.start)
    part = bag.with_name(bag.name + '.part')
    shutil.rmtree(part, ignore_errors=True)
    with BagWriter(part) as writer:
        recorder = _Recorder(writer, world, _EPOCH + _APART * number)
        recorder.say(episode.instruction.text)
        world.watch = recorder.watch
        for _ in range(10):
            world.steer(0.0, 0.0)
        arrived = drive(world, scene.space, route_of(episode), np.random.default_rng([7, number]))
    world.close()
    if arrived:
        part.rename(bag)
    else:
        shutil.rmtree(part)
    return arrived


class _Recorder:
    """Writes what the robot's driver nodes would publish."""

    def __init__(self, writer: BagWriter, world: DrivenWorld, begin: int) -> None:
        self._writer, self._world, self._begin = writer, world, begin
        self._count = 0
        self._before = 0.0  # s, when the world's pose, which the camera sees, was

    def say(self, instruction: str) -> None:
        self._write('/instruction', 0.0, self._of(topics.INSTRUCTION, data=instruction))

    def watch(self, seen: WheelOdometry) -> None:
        """Take what odometry tells, every 20 ms, and pictures now and then."""
        if self._count % _ODOMETRY_EVERY == 0:
            self._odometry(seen)
        if self._count % _CAMERA_EVERY == 0:
            self._picture(self._before)
        self._count += 1
        self._before = seen.time

    def _picture(self, when: float) -> None:
        bgr = self._world.render()[..., ::-1]
        jpeg = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
        header = self._header(when, 'camera')
        message = self._of(topics.COMPRESSED_IMAGE, header=header, format='jpeg', data=jpeg)
        self._write('/camera/image_raw/compressed', when, message)

    def _odometry(self, seen: WheelOdometry) -> None:
        turned = self._of('geometry_msgs/msg/Quaternion', x=0.0, y=0.0,
                          z=math.sin(seen.yaw / 2), w=math.cos(seen.yaw / 2))  # fmt: skip
        place = self._of('geometry_msgs/msg/Point', x=seen.x, y=seen.y, z=0.0)
        pose = self._of('geometry_msgs/msg/Pose', position=place, orientation=turned)
        still = self._of('geometry_msgs/msg/Vector3', x=0.0, y=0.0, z=0.0)
        twist = self._of(topics.TWIST, linear=still, angular=still)
        unknown = np.zeros(36)
        message = self._of(
            topics.ODOMETRY,
            header=self._header(seen.time, 'odom'),
            child_frame_id='base_link',
            pose=self._of('geometry_msgs/msg/PoseWithCovariance', pose=pose, covariance=unknown),
            twist=self._of(
                'geometry_msgs/msg/TwistWithCovariance', twist=twist, covariance=unknown
            ),
        )
        self._write('/odom', seen.time, message)

    def _write(self, topic: str, when: float, message: Any) -> None:
        self._writer.write_message(topic, message, self._nanoseconds(when))

    def _nanoseconds(self, when: float) -> int:
        return self._begin * 10**9 + round(when * 1e9)

    def _header(self, when: float, frame: str) -> Any:
        sec, nanosec = divmod(self._nanoseconds(when), 10**9)
        stamp = self._of('builtin_interfaces/msg/Time', sec=sec, nanosec=nanosec)
        return self._of('std_msgs/msg/Header', stamp=stamp, frame_id=frame)

    def _of(self, msgtype: str, **fields: Any) -> Any:
        return self._writer.message_class(msgtype)(**fields)
