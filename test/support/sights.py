"""What sensors see of simple scenes: walls across the way, ahead and behind, floors."""

from __future__ import annotations

import math

from janusvln_ros.motion.geometry import Pose
from janusvln_ros.motion.safety.obstacles import Obstacles
from janusvln_ros.motion.safety.rays import Mount, Rays, scan_rays
import numpy as np

BEAMS = 720
ANGLES = -math.pi + np.arange(BEAMS) * math.tau / BEAMS  # rad
HEIGHT = 0.2  # m, of a laser


class Driver:
    """A robot that stands somewhere and wants to go ahead, or what it is told (m, rad)."""

    pose = Pose()
    wants = (0.25, 0.0)

    def pose_at(self, stamp: float) -> Pose:
        return self.pose

    def predicted(self, now: float) -> Pose:
        return self.pose

    def ahead(self, now: float) -> tuple[float, float]:
        return self.wants


def wall(distance: float, behind: float = math.inf) -> np.ndarray:
    """Return ranges (BEAMS,): endless walls across, ahead and behind (m from the laser)."""
    with np.errstate(divide='ignore'):
        ahead, back = distance / np.cos(ANGLES), behind / -np.cos(ANGLES)
    ranges = np.minimum(
        np.where(np.cos(ANGLES) > 1e-6, ahead, np.inf),
        np.where(np.cos(ANGLES) < -1e-6, back, np.inf),
    )
    return np.where(ranges < 12.0, ranges, np.inf)


def scan(ranges: np.ndarray, mount: Mount | None = None) -> Rays:
    """Return the rays of a full circle of ranges."""
    first, step = -math.pi, math.tau / BEAMS
    last = first + (BEAMS - 1) * step
    return scan_rays(ranges, first, last, step, 0.1, 12.0, mount or Mount.of(z=HEIGHT))


def see(
    obstacles: Obstacles, ranges: np.ndarray, now: float, name: str = 'scan', frame: str = 'laser'
) -> str:
    """Let a guard have a scan that was just taken; return what is wrong with it."""
    return obstacles.on_message(name, frame, now, now, lambda: scan(ranges))
