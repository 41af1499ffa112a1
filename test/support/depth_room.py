"""A room that a scripted policy sees: its depth in metres, and as a network would tell it."""

import math

from janusvln_ros.policy.interface import FrameGeometry
from janusvln_ros.policy.pinhole import downward, Pinhole
import numpy as np

HEIGHT, UNIT = 1.25, 2.5  # m: of the camera; of the network's unit


def room():
    """Give the depth of a floor and a wall 4 m ahead: (84, 112) m, as the encoder sees it."""
    rays = Pinhole.of_field(112, 84, math.radians(79)).rays()
    with np.errstate(divide='ignore'):
        floor = HEIGHT / (rays @ downward(0.0))
    return np.where(floor > 0, np.minimum(floor, 4.0), 4.0)


def seen():
    """Give what the heads say of it; the lower a pixel, the surer they are."""
    depth = (room() / UNIT).astype(np.float32)
    return FrameGeometry(depth, np.linspace(1, 9, depth.size, dtype=np.float32).reshape(84, 112))
