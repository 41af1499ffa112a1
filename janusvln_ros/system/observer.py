"""The demo's eyes: what the nodes say, where the robot truly is, and a film of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
import threading
from typing import Any

from janusvln_ros.actions import ACTION_NAMES
from janusvln_ros.episodes.vln_ce import Episode
from janusvln_ros.imaging.depth import DepthPicture
from janusvln_ros.imaging.encodings import to_rgb
from janusvln_ros.imaging.overlay import annotate
from janusvln_ros.imaging.video import VideoWriter
from janusvln_ros.msg import MotionStatus, NavigationAction, NavigatorStatus
from janusvln_ros.navigation.mission import Reason
from janusvln_ros.nodes.common.conversions import seconds, yaw
from janusvln_ros.nodes.common.qos import LATCHED, LATEST, RELIABLE
from janusvln_ros.nodes.obstacle_sensors import depth_metres
from janusvln_ros.policy.pinhole import as_camera_sees
from nav_msgs.msg import Odometry
import numpy as np
from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.task import Future
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger

CAMERA_RATE = 10.0  # Hz; the video has as many frames a second


@dataclass
class Run:
    """One instruction: what was asked, and what came of it."""

    instruction: str
    episode: Episode  # gives the house; its goal counts if the instruction is its own
    start: tuple[float, float, float]  # x, y in m, yaw in rad
    poses: list[tuple[float, float, float]] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)  # s, image stamp to action
    times: list[float] = field(default_factory=list)  # s, the policy's part of it
    status: NavigatorStatus | None = None  # the last one

    @property
    def has_goal(self) -> bool:
        """Tell whether it is known where the instruction leads."""
        return self.instruction == self.episode.instruction.text

    @property
    def distance(self) -> float:
        """Metres driven."""
        points = np.array([pose[:2] for pose in [self.start, *self.poses]])
        return float(np.hypot(*np.diff(points, axis=0).T).sum())

    @property
    def outcome(self) -> str:
        """How it ended, in one word."""
        return Reason(self.status.reason).name if self.status else 'INTERRUPTED'


class Observer(Node):
    """Watches the other nodes from outside, as a user would, and films what the camera sees."""

    def __init__(self, video: Path, depth: bool) -> None:
        """depth: whether to film the navigator's depth beside the camera's pictures."""
        super().__init__('demo')
        self.pose: tuple[float, float, float] | None = None
        self.status: NavigatorStatus | None = None
        self.motion: MotionStatus | None = None
        self.frames = 0
        self.run: Run | None = None
        self.actions: list[tuple[NavigationAction, float]] = []  # with its latency, s
        self._video_path = video
        self._video: VideoWriter | None = None
        self._lock = threading.Lock()  # guards the video
        self._failure: Exception | None = None
        self._depth: Image | None = None  # of the newest decision
        self._metric = False
        self._instruction = self.create_publisher(String, 'instruction', RELIABLE)
        self._release = self.create_client(Trigger, 'reset_e_stop')
        self._released: Future | None = None  # the call that is under way, or was the last
        self.create_subscription(Image, 'image', self._on_image, qos_profile_sensor_data)
        self.create_subscription(Odometry, 'ground_truth', self._on_pose, qos_profile_sensor_data)
        self.create_subscription(MotionStatus, 'motion_status', self._on_motion, LATEST)
        self.create_subscription(NavigatorStatus, 'navigator_status', self._on_status, LATCHED)
        self.create_subscription(NavigationAction, 'navigation_action', self._on_action, RELIABLE)
        self._films_depth = depth
        if depth:
            for topic, callback in (
                ('depth/image', self._on_depth),
                ('depth/relative', self._on_relative_depth),
            ):
                self.create_subscription(Image, topic, callback, qos_profile_sensor_data)

    @property
    def ready(self) -> bool:
        """Tell whether all three nodes are at work."""
        return (
            self.pose is not None
            and self.motion is not None
            and self.frames > 0
            and self.motion.state == MotionStatus.STATE_IDLE
            and self.status is not None
            and self.status.state == NavigatorStatus.STATE_IDLE
            and self._instruction.get_subscription_count() > self._own_listeners
        )

    @property
    def _own_listeners(self) -> int:
        """Count who listens to instructions here, as what records a bag does."""
        return sum(one.topic_name == self._instruction.topic_name for one in self.subscriptions)

    def spin(self, executor: Executor) -> None:
        """Watch until the executor is shut down; what goes wrong in it, `check` raises."""
        try:
            executor.spin()
        except Exception as error:  # of any callback, a full disk's among them
            self._failure = error

    def check(self) -> None:
        """Raise what has ended the watching."""
        if self._failure:
            raise self._failure

    def release(self) -> None:
        """
        Call reset_e_stop where the simulated robot stands for a fault; an e-stop is a person's.

        Not where another robot is on the network: its faults are not the demo's to reset.
        """
        stands = self.motion and self.motion.state == MotionStatus.STATE_FAULT
        alone = self.count_publishers('motion_status') == 1
        over = self._released is None or self._released.done()
        if stands and alone and over and self._release.service_is_ready():
            self._released = self._release.call_async(Trigger.Request())

    def forget(self) -> None:
        """Wait for a new simulator to be heard; its poses are not those of the run before."""
        self.run = self.pose = self.motion = None
        self.frames = 0
        self._depth, self._metric = None, False

    def begin(self, run: Run) -> None:
        """Send an instruction."""
        self.actions.clear()
        self._depth, self._metric = None, False
        self.run = run
        self._instruction.publish(String(data=run.instruction))

    def close_video(self) -> None:
        """Finish the file; later frames are dropped."""
        with self._lock:
            self.run = None
            if self._video:
                self._video.close()
                self._video = None

    def _on_image(self, message: Image) -> None:
        self.frames += 1
        with self._lock:
            if not self.run:
                return
            facts: dict[str, Any] = {'step': 0, 'action_name': '', 'probabilities': (0, 0, 0, 0)}
            if self.actions:
                action, latency = self.actions[-1]
                facts = {
                    'step': action.step,
                    'action_name': ACTION_NAMES[action.action],
                    'probabilities': action.probabilities,
                    'latency': latency,
                }
            if self._films_depth:
                facts['depth'] = self._depth_picture(message.width, message.height)
            frame = annotate(to_rgb(message), instruction=self.run.instruction, **facts)
            if not self._video:
                self._video = VideoWriter(
                    self._video_path, CAMERA_RATE, (frame.shape[1], frame.shape[0])
                )
            self._video.write(frame)

    def _on_depth(self, message: Image) -> None:
        self._depth, self._metric = message, True

    def _on_relative_depth(self, message: Image) -> None:
        if not self._metric:  # there is more to say once there are metres
            self._depth = message

    def _depth_picture(self, width: int, height: int) -> DepthPicture:
        """Give the newest depth for a camera's picture, which may be a little newer."""
        if self._depth is None:
            return DepthPicture(np.full((height, width), np.nan), False, 'nothing decided yet')
        values = as_camera_sees(depth_metres(self._depth), width, height)
        note = 'seen at the last decision' if self._metric else 'no floor has been seen yet'
        return DepthPicture(values, self._metric, note)

    def _on_pose(self, message: Odometry) -> None:
        position = message.pose.pose.position
        self.pose = (position.x, position.y, yaw(message.pose.pose.orientation))
        if self.run:
            self.run.poses.append(self.pose)

    def _on_motion(self, message: MotionStatus) -> None:
        self.motion = message

    def _on_status(self, message: NavigatorStatus) -> None:
        self.status = message
        if self.run and message.instruction == self.run.instruction and message.reason:
            self.run.status = message

    def _on_action(self, message: NavigationAction) -> None:
        latency = self.get_clock().now().nanoseconds * 1e-9 - seconds(message.header.stamp)
        if self.run and message.decision_time > 0:  # not the STOP of a canceled episode
            self.run.latencies.append(latency)
            self.run.times.append(message.decision_time)
            self.actions.append((message, latency))
