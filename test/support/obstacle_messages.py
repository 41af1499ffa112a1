"""Messages of obstacle sensors: scans, depth images and clouds of simple scenes."""

import array
import math

import numpy as np
from sensor_msgs.msg import Image, LaserScan, PointCloud2, PointField


def depth_image(metres, encoding='16UC1', padding=0, big=False):
    """Return a message that holds metres (H, W)."""
    kind, scale = ('f4', 1.0) if encoding == '32FC1' else ('u2', 1000.0)
    values = np.asarray(metres * scale).astype(('>' if big else '<') + kind)
    rows = values.view(np.uint8).reshape(values.shape[0], -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=7)
    return Image(
        height=values.shape[0],
        width=values.shape[1],
        encoding=encoding,
        is_bigendian=int(big),
        step=rows.shape[1],
        data=array.array('B', rows.tobytes()),
    )


def cloud(points, kind=PointField.FLOAT32, padding=0, big=False, rows=1):
    """Return a message that holds points, (N, 3) m, in rows with padding."""
    order, size = '>' if big else '<', 4 if kind == PointField.FLOAT32 else 8
    values = np.asarray(points).astype(f'{order}f{size}').reshape(rows, -1, 3)
    data = values.view(np.uint8).reshape(rows, -1, 3 * size)
    data = np.pad(data, ((0, 0), (0, 0), (4, 4)), constant_values=9).reshape(rows, -1)
    data = np.pad(data, ((0, 0), (0, padding)), constant_values=7)
    return PointCloud2(
        height=rows,
        width=values.shape[1],
        fields=[
            PointField(name=name, offset=4 + size * index, datatype=kind, count=1)
            for index, name in enumerate('xyz')
        ],
        is_bigendian=big,
        point_step=8 + 3 * size,
        row_step=data.shape[1],
        data=array.array('B', data.tobytes()),
    )


def scan(**values):
    """Return a laser's message: nothing within range all around."""
    values = {
        'angle_min': -math.pi,
        'angle_max': math.pi - math.tau / 360,
        'angle_increment': math.tau / 360,
        'range_min': 0.1,
        'range_max': 10.0,
        'ranges': [math.inf] * 360,
        **values,
    }
    message = LaserScan(**values)
    message.header.frame_id = 'laser'
    return message


def ahead(value, other=math.inf):
    """Return ranges: a value within 60 degrees of ahead, else another one."""
    return [value if abs(index - 180) < 60 else other for index in range(360)]


def room(distance):
    """Return points of a wall ahead, as seen from a lidar 0.4 m above the floor; (N, 3) m."""
    y, z = np.meshgrid(np.arange(-2.0, 2.0, 0.05), np.arange(-0.4, 1.0, 0.05))
    return np.stack([np.full(y.size, distance), y.ravel(), z.ravel()], axis=1)
