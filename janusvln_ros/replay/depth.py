"""What a replay makes of a frame's depth: metres where they are known, and a picture of it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from janusvln_ros.imaging.depth import DepthPicture
from janusvln_ros.policy.interface import FrameGeometry
from janusvln_ros.policy.metric_depth import DepthParameters, Measured, MetricDepth
from janusvln_ros.policy.pinhole import as_camera_sees, downward, Pinhole
from janusvln_ros.recordings.mounts import Mount
from janusvln_ros.recordings.timeline import RecordedPath
import numpy as np


def level_mount(tilt: float) -> Mount:
    """Say where a camera sits that looks ahead and down, rad, above the middle of its base."""
    down = downward(tilt)
    ahead, left = [0.0, -down[2], down[1]], [-1.0, 0.0, 0.0]
    return Mount(np.array([ahead, left, -down]), np.zeros(3))


class SeenDepth(NamedTuple):
    """The depth of a frame that was decided from."""

    geometry: FrameGeometry
    measured: Measured | None  # in metres, as soon as they are known
    picture: DepthPicture  # with the pixels of the frame


class DepthReader:
    """Takes in the geometry of an episode's frames, as the navigator does."""

    def __init__(
        self,
        parameters: DepthParameters,
        calibration: Any | None,
        path: RecordedPath,
        mount: Mount | None,
    ) -> None:
        """
        Read what a camera sees.

        calibration: camera_info, a message, if there is any; path: odometry, perhaps empty; mount:
        the camera's by tf, where that tells it, else the parameters do.
        """
        self._calibration, self._path = calibration, path
        self.mount = mount or level_mount(parameters.camera_tilt)
        self._source = 'tf_static' if mount else '--camera-tilt'
        self._gravity = -self.mount.rotation[2]
        self._metric = MetricDepth(parameters)

    @property
    def camera(self) -> str:
        """Say how the camera sits."""
        tilt = math.degrees(math.asin(max(-1.0, min(1.0, float(self._gravity[2])))))
        return f'looks {tilt:.1f} degrees down, by {self._source}'

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
            measured = self._metric.measure(geometry, camera, driven, self._gravity)
            note = self._metric.said
        shown = geometry.depth if measured is None else measured.depth
        picture = DepthPicture(as_camera_sees(shown, *size), measured is not None, note)
        return SeenDepth(geometry, measured, picture)

    def _camera(self, size: tuple[int, int]) -> Pinhole:
        """Return the camera of pictures (width, height); ValueError where it is not known."""
        info = self._calibration
        if info is None:
            raise ValueError('the recording has no camera_info beside its pictures')
        return Pinhole.calibrated((info.width, info.height), info.k, info.d, size)
