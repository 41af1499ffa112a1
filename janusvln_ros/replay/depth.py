"""What a replay makes of a frame's depth: metres where they are known, and a picture of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from janusvln_ros.imaging.depth import DepthPicture
from janusvln_ros.policy.interface import FrameGeometry
from janusvln_ros.policy.metric_depth import DepthParameters, Measured, MetricDepth
from janusvln_ros.policy.pinhole import as_camera_sees, Pinhole
from janusvln_ros.recordings.timeline import RecordedPath
import numpy as np


class SeenDepth(NamedTuple):
    """The depth of a frame that was decided from."""

    geometry: FrameGeometry
    measured: Measured | None  # in metres, as soon as they are known
    picture: DepthPicture  # with the pixels of the frame


class DepthReader:
    """Takes in the geometry of an episode's frames, as the navigator does."""

    def __init__(
        self, parameters: DepthParameters, calibration: Any | None, path: RecordedPath
    ) -> None:
        """calibration: camera_info, a message, if there is any; path: odometry, perhaps empty."""
        self._calibration, self._path = calibration, path
        self._metric = MetricDepth(parameters)

    def begin(self) -> None:
        """Begin another episode, which has another unit of length."""
        self._metric.begin()

    def read(self, geometry: FrameGeometry, rgb: np.ndarray, stamp: int | None) -> SeenDepth:
        """Take in a frame, uint8 (H, W, 3), stamped in ns if at all."""
        size, measured = (rgb.shape[1], rgb.shape[0]), None
        try:
            camera = self._camera(size)
        except ValueError as error:
            note = str(error)
        else:
            pose = None if stamp is None else self._path.pose_at(stamp)
            driven = None if pose is None else np.array(pose[:2])
            measured, note = self._metric.measure(geometry, camera, driven), self._metric.said
        shown = geometry.depth if measured is None else measured.depth
        picture = DepthPicture(as_camera_sees(shown, *size), measured is not None, note)
        return SeenDepth(geometry, measured, picture)

    def _camera(self, size: tuple[int, int]) -> Pinhole:
        """Return the camera of pictures (width, height); ValueError where it is not known."""
        info = self._calibration
        if info is None:
            raise ValueError('the recording has no camera_info beside its pictures')
        return Pinhole.calibrated((info.width, info.height), info.k, info.d, size)
