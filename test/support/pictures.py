"""What a camera 1.25 m above the floor shows of things ahead, as depth: made, not drawn."""

from __future__ import annotations

from janusvln_ros.motion.safety.rays import Lens, Mount
from janusvln_ros.motion.safety.standing import Picture
import numpy as np

HEIGHT = 1.25  # m, of the camera
LENS = Lens(68.0, 68.0, 56.0, 42.0)  # 112 x 84 pixels


def depth_of(*things: tuple[float, float]) -> np.ndarray:
    """
    Return depth (84, 112) in metres of a floor and of things across the way.

    things: how far ahead of the camera (m), and how high (m); from the floor, 0.6 m wide.
    """
    rows, columns = np.mgrid[0:84, 0:112] + 0.5
    down, across = (rows - LENS.centre_y) / LENS.focal_y, (columns - LENS.centre_x) / LENS.focal_x
    with np.errstate(divide='ignore'):
        depth = np.where(down > 0.0, HEIGHT / down, np.inf)
    for ahead, height in sorted(things, reverse=True):
        shown = (HEIGHT - down * ahead < height) & (np.abs(across * ahead) < 0.3)
        depth = np.where(shown & (ahead < depth), ahead, depth)
    return depth


def picture(*things: tuple[float, float]) -> Picture:
    """Return the picture of a camera above the origin of base_link."""
    return Picture(depth_of(*things), LENS, Mount.of(z=HEIGHT).optical)
