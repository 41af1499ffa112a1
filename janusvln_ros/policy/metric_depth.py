"""Depth of an episode's frames in metres, as soon as the scale is known."""

from __future__ import annotations

from dataclasses import dataclass, field
import math
from typing import NamedTuple

from janusvln_ros.parameters import parameter
from janusvln_ros.policy.interface import FrameGeometry
from janusvln_ros.policy.pinhole import downward, Pinhole
from janusvln_ros.policy.scale import (
    agree,
    camera_place,
    find_floor,
    Floor,
    OdometryScale,
    Scale,
    ScaleFilter,
)
import numpy as np

HEIGHT, ODOMETRY = 'height', 'odometry'


@dataclass(frozen=True)
class DepthParameters:
    """What depth needs to know of the camera, and what is left out of it."""

    camera_height: float = parameter(
        0.0,
        'Height of the camera above the floor, which makes metres of depth; 0: not known, then '
        'odometry does where geometry_heads is points.',
        unit='m',
        low=0.0,
        high=10.0,
    )
    camera_tilt: float = parameter(
        0.0,
        'Angle by which the camera looks down, where tf does not tell it.',
        unit='rad',
        low=-1.2,
        high=1.2,
    )
    depth_left_out: float = parameter(
        0.1,
        'Share of the pixels, the least certain ones, that are NaN in depth/image and '
        'depth/points.',
        low=0.0,
        high=0.9,
    )
    points_stride: int = parameter(
        1, 'Every how many pixels, in rows and columns, depth/points has one.', low=1, high=64
    )


class Measured(NamedTuple):
    """A frame in metres."""

    camera: Pinhole  # of the pixels below
    depth: np.ndarray  # float32 (H, W), metres along the axis; NaN: not certain
    points: np.ndarray  # float32 (H, W, 3), metres, optical frame


@dataclass
class MetricDepth:
    """Makes metres of what the heads say, frame by frame."""

    parameters: DepthParameters = field(default_factory=DepthParameters)

    def __post_init__(self) -> None:
        """Begin an episode."""
        self.begin()

    def begin(self) -> None:
        """Begin another episode, which has another unit."""
        self.floor: Floor | None = None  # in the last frame
        self._by_height, self._by_odometry = ScaleFilter(), ScaleFilter()
        self._odometry = OdometryScale()

    @property
    def scale(self) -> Scale:
        """Metres per unit: by the height where that is known, else by odometry."""
        by_height = self._by_height.scale(HEIGHT)
        return by_height if by_height.known else self._by_odometry.scale(ODOMETRY)

    @property
    def said(self) -> str:
        """Say where metres are known from, or why they are not."""
        scale = self.scale
        if scale.known:
            return f'scale from {scale.source}, +- {100 * scale.spread / scale.value:.0f} %'
        if self._by_height.doubtful or self._by_odometry.doubtful:
            return 'measurements of the scale contradict each other'
        if self._by_height.waits or self._by_odometry.waits:
            return 'the scale was measured, but not twice with the same result yet'
        if self.parameters.camera_height:
            return 'the floor has not been seen yet'
        return 'camera_height is not set, and odometry has not told the scale'

    @property
    def disagreement(self) -> float:
        """How far odometry's scale is from that of the height, relative; NaN: not both known."""
        return self._by_odometry.scale('').value / self._by_height.scale('').value - 1

    def measure(
        self,
        geometry: FrameGeometry,
        camera: Pinhole,
        driven: np.ndarray | None = None,
        gravity: np.ndarray | None = None,
    ) -> Measured | None:
        """
        Take in a frame; give it in metres, or None as long as the scale is not known.

        camera: the one that took it, not distorted; driven: where it was by odometry, metres;
        gravity: its direction in the optical frame, (3,) of length 1, else camera_tilt tells it.
        ValueError where the heads' pixels are not of such a camera.
        """
        seen = camera.seen_by_encoder(geometry.depth.shape[1])
        own = seen.points(geometry.depth.astype(float))
        self.floor = None
        if self.parameters.camera_height:
            if gravity is None:
                gravity = downward(self.parameters.camera_tilt)
            expected = 1.0 if geometry.in_heights else None
            self.floor = find_floor(own, geometry.depth_confidence, gravity, expected)
            if self.floor is not None and expected and not agree(self.floor.distance, expected):
                self._by_height.contradict()
            elif self.floor is not None:
                self._by_height.add(self.parameters.camera_height / self.floor.distance)
        points, confidence = geometry.points, geometry.points_confidence
        if driven is not None and points is not None and confidence is not None:
            place = camera_place(own, points.astype(float), geometry.depth_confidence, confidence)
            ratio = self._odometry.add(place, driven)
            if ratio is not None:
                self._by_odometry.add(ratio)
        scale = self.scale
        if not scale.known:
            return None
        least = np.quantile(geometry.depth_confidence, self.parameters.depth_left_out)
        metres = np.where(
            geometry.depth_confidence >= least, scale.value * geometry.depth, math.nan
        )
        cloud = metres[..., None] * seen.rays()
        return Measured(seen, metres.astype(np.float32), cloud.astype(np.float32))
