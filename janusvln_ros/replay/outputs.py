"""A replay as a video and as a bag."""

from __future__ import annotations

from pathlib import Path

import cv2
from janusvln_ros.actions import ACTION_NAMES
from janusvln_ros.imaging.overlay import annotate
from janusvln_ros.imaging.video import VideoWriter
from janusvln_ros.recordings import topics
from janusvln_ros.recordings.frames import Frame
from janusvln_ros.recordings.messages import RawMessage
from janusvln_ros.recordings.writer import BagWriter
from janusvln_ros.replay.run import Step
import numpy as np

VIDEO_RATE = 4.0  # decisions shown in a second
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 85]
_STATE_DECIDING = 3  # NavigatorStatus


def draw(step: Step, rgb: np.ndarray) -> np.ndarray:
    """Draw a decision on its frame."""
    timing = step.timing
    return annotate(
        rgb,
        instruction=step.decision.instruction,
        step=step.decision.step,
        action_name=step.decision.action,
        probabilities=step.decision.probabilities,
        latency=timing.total,
        memory=(timing.memory_frames, timing.memory_capacity),
    )


class AnnotatedVideo:
    """An MP4 of the frames that decisions were taken from, each with its decision drawn in."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: VideoWriter | None = None

    def add(self, step: Step, frame: Frame, rgb: np.ndarray) -> None:
        """Append one picture."""
        picture = draw(step, rgb)
        if self._writer is None:
            self._writer = VideoWriter(self._path, VIDEO_RATE, picture.shape[1::-1])
        self._writer.write(picture)

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()


class ResultBag:
    """
    The recording with our messages beside it, for Foxglove and RViz.

    Adds, in the recording's namespace, `replay/navigation_action`, `replay/navigator_status` and
    `replay/image/compressed` (the annotated picture), at the times their images were recorded.
    """

    def __init__(self, path: Path, storage: str, namespace: str) -> None:
        self._writer = BagWriter(path, storage)
        self._prefix = namespace.rstrip('/') + '/replay/'
        make = self._writer.message_class
        self._time = make('builtin_interfaces/msg/Time')
        self._header = make('std_msgs/msg/Header')
        self._action = make(topics.NAVIGATION_ACTION)
        self._status = make(topics.NAVIGATOR_STATUS)
        self._image = make(topics.COMPRESSED_IMAGE)
        self._known: set[str] = set()

    def add_original(self, message: RawMessage) -> None:
        """Copy a message of the recording as it is."""
        topic, time, data = message
        if topic.name not in self._known:
            self._writer.add_topic(topic.name, topic.msgtype, topic.definition, topic.digest)
            self._known.add(topic.name)
        self._writer.write(topic.name, topic.msgtype, data, time)

    def add(self, step: Step, frame: Frame, rgb: np.ndarray) -> None:
        """Write the messages of one decision."""
        decision, timing = step.decision, step.timing
        assert frame.stamp is not None  # it comes from a bag
        stamp = self._time(sec=frame.stamp // 10**9, nanosec=frame.stamp % 10**9)
        header = self._header(stamp=stamp, frame_id=frame.frame_id)
        episode = f'replay-{decision.episode}'
        action = self._action(
            header=header,
            instruction_id=episode,
            step=decision.step,
            action=ACTION_NAMES.index(decision.action),
            probabilities=np.array(decision.probabilities, np.float32),
            decision_time=timing.total,
            session_id='replay',
        )
        status = self._status(
            header=header,
            state=_STATE_DECIDING,
            reason=0,
            instruction_id=episode,
            instruction=decision.instruction,
            step=decision.step + 1,
            memory_frames=timing.memory_frames,
            memory_bytes=timing.memory_bytes,
            message='',
            session_id='replay',
            execution_mode=0,
        )
        _, jpeg = cv2.imencode('.jpg', draw(step, rgb)[..., ::-1], _JPEG)
        image = self._image(header=header, format='jpeg', data=jpeg.reshape(-1))
        for name, message in (
            ('navigation_action', action),
            ('navigator_status', status),
            ('image/compressed', image),
        ):
            self._writer.write_message(self._prefix + name, message, frame.logged)

    def close(self) -> None:
        """Finish the bag."""
        self._writer.close()
