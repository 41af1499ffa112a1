"""Where in a house a frame's pixels lie, for a policy that prunes its memory by that."""

from __future__ import annotations

import math
from typing import Any

from janusvln_ros.evaluation.environment import HouseEnvironment
from janusvln_ros.policy.interface import FrameGeometry
from janusvln_ros.policy.pinhole import Pinhole
import numpy as np


class HousePlaces:
    """
    Places a frame by its depth, the mounted camera, and the robot's pose as odometry would tell.

    Depth is the policy's own, told in heights of the camera as our stages of kind heads teach it.
    """

    def begin(self, environment: Any) -> None:
        """Get ready for the episode. TypeError outside of our houses, which tell no pose."""
        if not isinstance(environment, HouseEnvironment):
            raise TypeError(
                "pruning 'voxels' by depth needs a house of the embedded world; "
                "geometry_heads 'points' does elsewhere"
            )
        self._world, self._camera = environment.world, environment.camera

    def __call__(self, geometry: FrameGeometry) -> np.ndarray:
        """Give points (H, W, 3) in metres, z up from the camera."""
        camera = self._camera
        lens = Pinhole.of_field(camera.width, camera.height, camera.hfov)
        seen = lens.seen_by_encoder(geometry.depth.shape[1])
        points = camera.elevation * seen.points(geometry.depth)
        right, down, ahead = np.moveaxis(points, -1, 0)
        x, y, yaw = self._world.pose
        forward = ahead * math.cos(camera.tilt) - down * math.sin(camera.tilt)
        return np.stack(
            (
                x + forward * math.cos(yaw) + right * math.sin(yaw),
                y + forward * math.sin(yaw) - right * math.cos(yaw),
                -down * math.cos(camera.tilt) - ahead * math.sin(camera.tilt),
            ),
            axis=-1,
        )
