"""Messages to numbers and back."""

from __future__ import annotations

import array
import math

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion
import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

_NANO = 10**9


def nanoseconds(stamp: Time) -> int:
    """Return a stamp in nanoseconds."""
    return stamp.sec * _NANO + stamp.nanosec


def seconds(stamp: Time) -> float:
    """Return a stamp in seconds."""
    return stamp.sec + stamp.nanosec * 1e-9


def to_stamp(time: float) -> Time:
    """Return the stamp of a time in seconds."""
    whole = round(time * _NANO)
    return Time(sec=whole // _NANO, nanosec=whole % _NANO)


def yaw(q: Quaternion) -> float:
    """Return a quaternion's yaw in rad; NaN for no rotation, or one that leans over 60 degrees."""
    norm = q.x * q.x + q.y * q.y + q.z * q.z + q.w * q.w
    upright = norm - 2.0 * (q.x * q.x + q.y * q.y)
    if not 0.5 < norm < 2.0 or upright < 0.5 * norm:
        return math.nan
    return math.atan2(2.0 * (q.w * q.z + q.x * q.y), norm - 2.0 * (q.y * q.y + q.z * q.z))


def to_quaternion(yaw: float) -> Quaternion:
    """Return the quaternion of a yaw in rad."""
    return Quaternion(z=math.sin(yaw / 2.0), w=math.cos(yaw / 2.0))


def to_image(rgb: np.ndarray, header: Header) -> Image:
    """Return the message of a picture, uint8 (H, W, 3), RGB."""
    height, width, _ = rgb.shape
    return Image(
        header=header,
        height=height,
        width=width,
        encoding='rgb8',
        step=3 * width,
        data=array.array('B', rgb.tobytes()),
    )
