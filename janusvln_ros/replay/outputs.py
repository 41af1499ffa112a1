"""A replay as a video and as a bag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import cv2
from janusvln_ros.actions import ACTION_NAMES
from janusvln_ros.imaging.depth_fields import (
    camera_fields,
    cloud_fields,
    image_fields,
    POINT_FIELDS,
)
from janusvln_ros.imaging.overlay import annotate
from janusvln_ros.imaging.video import VideoWriter
from janusvln_ros.policy.pinhole import as_encoder_sees
from janusvln_ros.recordings import topics
from janusvln_ros.recordings.messages import RawMessage
from janusvln_ros.recordings.writer import BagWriter
from janusvln_ros.replay.depth import SeenDepth
from janusvln_ros.replay.run import Seen, Step
import numpy as np

VIDEO_RATE = 4.0  # decisions shown in a second
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 85]
_FLOAT32 = 7  # PointField
_STATE_DECIDING = 3  # NavigatorStatus


def draw(step: Step, seen: Seen) -> np.ndarray:
    """Draw a decision on its frame."""
    timing = step.timing
    return annotate(
        seen.rgb,
        instruction=step.decision.instruction,
        step=step.decision.step,
        action_name=step.decision.action,
        probabilities=step.decision.probabilities,
        latency=timing.total,
        memory=(timing.memory_frames, timing.memory_capacity),
        depth=None if seen.depth is None else seen.depth.picture,
    )


class AnnotatedVideo:
    """An MP4 of the frames that decisions were taken from, each with its decision drawn in."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: VideoWriter | None = None

    def add(self, step: Step, seen: Seen) -> None:
        """Append one picture."""
        picture = draw(step, seen)
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
    `replay/image/compressed` (the annotated picture), at the times their images were recorded;
    where depth was asked for, also the navigator's topics of depth.
    """

    def __init__(self, path: Path, storage: str, namespace: str, stride: int) -> None:
        """stride: of points, in rows and columns."""
        self._writer = BagWriter(path, storage)
        self._prefix = namespace.rstrip('/') + '/replay/'
        make = self._writer.message_class
        self._time = make('builtin_interfaces/msg/Time')
        self._header = make('std_msgs/msg/Header')
        self._action = make(topics.NAVIGATION_ACTION)
        self._status = make(topics.NAVIGATOR_STATUS)
        self._image = make(topics.COMPRESSED_IMAGE)
        self._depth = DepthMessages(make, stride)
        self._known: set[str] = set()

    def add_original(self, message: RawMessage) -> None:
        """Copy a message of the recording as it is."""
        topic, time, data = message
        if topic.name not in self._known:
            self._writer.add_topic(topic.name, topic.msgtype, topic.definition, topic.digest)
            self._known.add(topic.name)
        self._writer.write(topic.name, topic.msgtype, data, time)

    def add(self, step: Step, seen: Seen) -> None:
        """Write the messages of one decision."""
        decision, timing, frame = step.decision, step.timing, seen.frame
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
        _, jpeg = cv2.imencode('.jpg', draw(step, seen)[..., ::-1], _JPEG)
        image = self._image(header=header, format='jpeg', data=jpeg.reshape(-1))
        messages = [
            ('navigation_action', action),
            ('navigator_status', status),
            ('image/compressed', image),
        ]
        if seen.depth is not None:
            messages += self._depth.of(seen.depth, seen.rgb, header)
        for name, message in messages:
            self._writer.write_message(self._prefix + name, message, frame.logged)

    def close(self) -> None:
        """Finish the bag."""
        self._writer.close()


class DepthMessages:
    """Makes the messages of the navigator's depth topics."""

    def __init__(self, make: Callable[[str], type], stride: int) -> None:
        """make: gives the class of a message's type; stride: of points, in rows and columns."""
        self._stride = stride
        self._image, self._info, self._cloud = map(
            make, (topics.IMAGE, topics.CAMERA_INFO, topics.CLOUD)
        )
        self._field = make('sensor_msgs/msg/PointField')
        self._region = make('sensor_msgs/msg/RegionOfInterest')

    def of(self, depth: SeenDepth, rgb: np.ndarray, header: Any) -> list[tuple[str, Any]]:
        """Give a frame's, by names of topics; those in metres where they are known."""
        geometry, measured = depth.geometry, depth.measured
        found = [
            ('depth/relative', self._float_image(geometry.depth, header)),
            ('depth/confidence', self._float_image(geometry.depth_confidence, header)),
        ]
        if measured is None:
            return found
        region = self._region(x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
        info = self._info(
            header=header,
            binning_x=0,
            binning_y=0,
            roi=region,
            **camera_fields(*astuple(measured.camera)),
        )
        some = slice(None, None, self._stride)
        colours = as_encoder_sees(rgb, measured.camera.width)
        content = cloud_fields(measured.points[some, some], colours[some, some])
        fields = [
            self._field(name=name, offset=offset, datatype=_FLOAT32, count=1)
            for name, offset in POINT_FIELDS
        ]
        content['data'] = np.frombuffer(content['data'], np.uint8)
        return [
            *found,
            ('depth/image', self._float_image(measured.depth, header)),
            ('depth/camera_info', info),
            ('depth/points', self._cloud(header=header, fields=fields, **content)),
        ]

    def _float_image(self, values: np.ndarray, header: Any) -> Any:
        fields = image_fields(values)
        return self._image(
            header=header, **fields | {'data': np.frombuffer(fields['data'], np.uint8)}
        )
