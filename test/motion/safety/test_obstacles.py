"""The free way ahead, from scans and depth images of scenes whose answer is known."""

import math

from janusvln_ros.motion.safety.obstacles import depth_clearance, Footprint, Mount, scan_clearance
import numpy as np
import pytest

ROBOT = Footprint(front=0.2, half_width=0.22)
ANGLES = np.linspace(-math.pi, math.pi, 720, endpoint=False)


def scan(ranges, mount=None):
    return scan_clearance(ranges, -math.pi, math.tau / 720, 0.1, 12.0, mount or Mount(), ROBOT)


def wall(distance):
    """Return the scan of an endless wall across the way."""
    with np.errstate(divide='ignore'):
        ranges = distance / np.cos(ANGLES)
    return np.where((ranges > 0.0) & (ranges < 12.0), ranges, np.inf)


def test_wall_ahead():
    assert scan(wall(1.5)) == pytest.approx(1.3, abs=1e-6)


def test_laser_that_sits_ahead_and_looks_backwards():
    turned = np.roll(wall(1.5), 360)
    assert scan(turned, Mount(x=0.1, yaw=math.pi)) == pytest.approx(1.4, abs=1e-6)


@pytest.mark.parametrize(('left', 'clear'), [(0.0, 0.8), (0.2, 0.8), (0.3, math.inf)])
def test_pole_counts_when_it_stands_in_the_way(left, clear):
    ranges = np.full(720, np.inf)
    index = round((math.atan2(left, 1.0) + math.pi) / (math.tau / 720))
    ranges[index] = math.hypot(1.0, left)
    assert scan(ranges) == pytest.approx(clear, abs=0.01)


def test_what_is_no_measurement_is_not_seen():
    ranges = np.full(720, np.inf)
    ranges[350:370] = 0.05  # below range_min: the robot's own body
    ranges[340:350] = np.nan
    ranges[370:380] = 20.0  # above range_max
    ranges[0:10] = 0.3  # behind
    assert scan(ranges) == math.inf


def test_posts_of_the_robot_are_no_obstacles():
    ranges = np.full(720, np.inf)
    ranges[540] = 0.12  # beside the laser, which sits a little ahead
    assert scan(ranges, Mount(x=0.05)) == math.inf


@pytest.mark.parametrize('ranges', [np.full(720, np.nan), np.zeros(0)])
def test_blind_scanner_is_an_error(ranges):
    with pytest.raises(ValueError):
        scan(ranges)


def depth_image(distance=None, pitch=0.0, height=0.4, size=(120, 160), hfov=1.38):
    """Return the depth of a floor, and of a wall across the way at a distance (m)."""
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    focal = size[1] / 2.0 / math.tan(hfov / 2.0)
    down = (rows - size[0] / 2.0) / focal
    forward = math.cos(pitch) - down * math.sin(pitch)  # of a ray with depth 1
    falling = math.sin(pitch) + down * math.cos(pitch)
    with np.errstate(divide='ignore'):
        depth = np.where(falling > 0.0, height / falling, np.inf)
        if distance is not None:
            depth = np.minimum(depth, np.where(forward > 0.0, distance / forward, np.inf))
    return np.where(depth < 10.0, depth, 0.0)


@pytest.mark.parametrize('pitch', [0.0, 0.3])
@pytest.mark.parametrize('size', [(120, 160), (480, 640)])
def test_depth_image_of_a_wall(pitch, size):
    mount = Mount(x=0.1, z=0.4, pitch=pitch)
    clear = depth_clearance(depth_image(1.5, pitch, size=size), 1.38, mount, ROBOT)
    assert clear == pytest.approx(1.4, abs=0.02)


@pytest.mark.parametrize('pitch', [0.0, 0.3])
def test_floor_is_no_obstacle(pitch):
    mount = Mount(z=0.4, pitch=pitch)
    assert depth_clearance(depth_image(None, pitch), 1.38, mount, ROBOT) == math.inf


def test_depth_image_without_any_value_is_an_error():
    with pytest.raises(ValueError, match='no pixel'):
        depth_clearance(np.full((4, 4), np.nan), 1.0, Mount(), ROBOT)
