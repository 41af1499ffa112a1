"""What scans, depth images and clouds tell of scenes whose answer is known."""

import math

from hypothesis import given
from hypothesis import strategies as st
from janusvln_ros.motion.safety.footprint import BodyParameters
from janusvln_ros.motion.safety.rays import cloud_rays, depth_rays, Lens, Mount, scan_rays
from janusvln_ros.motion.safety.sight import BACKWARD, FORWARD, look
import numpy as np
import pytest
from sights import ANGLES, BEAMS, scan, wall

ROBOT = BodyParameters(robot_front=0.2, robot_half_width=0.22)
HFOV = 1.38


def view(rays, distance=0.3):
    return look(rays, ROBOT, distance, 0.5, 2.0)


def clear(rays):
    """Return how far the way ahead is free (m); NaN when it was not seen."""
    seen = view(rays)
    if not seen.ways[FORWARD].seen.all():
        return math.nan
    return ROBOT.outline.way(seen.points, FORWARD).min(initial=math.inf)


def beam(x, y):
    """Return the index of the beam that goes to a place."""
    return round((math.atan2(y, x) + math.pi) / (math.tau / BEAMS)) % BEAMS


# ---- scans ----


@pytest.mark.parametrize(
    ('mount', 'turned'),
    [
        (Mount.of(z=0.2), lambda ranges: ranges),
        (Mount.of(z=0.2, yaw=math.pi / 2), lambda ranges: np.roll(ranges, -BEAMS // 4)),
        (Mount.of(z=0.2, yaw=math.pi), lambda ranges: np.roll(ranges, BEAMS // 2)),
        (Mount.of(z=0.2, roll=math.pi), lambda ranges: np.roll(ranges[::-1], 1)),
        (
            Mount.of_transform((0.0, 0.0, 0.2), (1.0, 0.0, 0.0, 0.0)),
            lambda ranges: np.roll(ranges[::-1], 1),
        ),
    ],
)
def test_wall_and_pole_by_a_laser_however_it_is_turned(mount, turned):
    ranges = wall(1.5)
    ranges[beam(1.0, 0.15)] = math.hypot(1.0, 0.15)
    assert clear(scan(turned(ranges), mount)) == pytest.approx(0.8, abs=0.01)
    ranges = wall(1.5)
    ranges[beam(1.0, -0.25)] = math.hypot(1.0, 0.25)  # beside the way
    assert clear(scan(turned(ranges), mount)) == pytest.approx(1.3, abs=0.01)


def test_laser_that_sits_ahead():
    assert clear(scan(wall(1.5), Mount.of(x=0.1, z=0.2))) == pytest.approx(1.4, abs=1e-6)


@pytest.mark.parametrize(
    'mount',
    [
        Mount.of(z=0.02),  # it looks along the floor
        Mount.of(z=2.0),  # and over everything
        Mount.of(z=0.2, pitch=1.0),  # and down
        Mount.of(z=0.2, roll=math.pi / 2),  # on its side: one line of the way
    ],
)
def test_laser_that_cannot_see_the_way_sees_nothing_free(mount):
    assert math.isnan(clear(scan(np.full(BEAMS, np.inf), mount)))


def test_nothing_within_range_is_free_as_far_as_that_reaches():
    nothing = np.full(BEAMS, np.inf)
    assert clear(scan(nothing)) == math.inf
    short = scan_rays(nothing, ANGLES[0], ANGLES[-1], math.tau / BEAMS, 0.05, 0.4, Mount.of(z=0.2))
    way = view(short).ways[FORWARD]
    assert not way.seen.any() and way.short == way.rays


@pytest.mark.parametrize('value', [math.nan, 0.0, -1.0, 20.0])
def test_no_measurement_is_not_free(value):
    ranges = np.full(BEAMS, np.inf)
    ranges[beam(0.5, -0.1) : beam(0.5, 0.1)] = value  # as wide as two strips
    seen = view(scan(ranges)).ways[FORWARD]
    assert 0 < seen.seen.sum() < len(seen.seen) and not seen.too_near
    assert math.isnan(clear(scan(np.full(BEAMS, value))))
    ranges = np.full(BEAMS, np.inf)
    ranges[::3] = value
    assert clear(scan(ranges)) == math.inf  # two thirds between them see


def test_too_near_is_said_of_the_side_where_it_is():
    for direction in (FORWARD, BACKWARD):
        ranges = np.full(BEAMS, np.inf)
        ranges[beam(direction, 0.0)] = -math.inf
        ways = view(scan(ranges)).ways
        assert ways[direction].too_near and not ways[-direction].too_near


def test_the_robot_itself_is_no_obstacle_and_hides_what_is_behind():
    ranges = np.full(BEAMS, np.inf)
    ranges[beam(0.0, 1.0)] = 0.12  # a post beside the laser
    assert clear(scan(ranges, Mount.of(x=0.05, z=0.2))) == math.inf
    assert math.isnan(clear(scan(np.full(BEAMS, 0.05))))  # the laser is covered


@pytest.mark.parametrize(
    'values',
    [
        {'ranges': np.zeros(0)},
        {'angle_min': math.nan},
        {'angle_increment': math.nan},
        {'angle_increment': 0.0},
        {'angle_increment': math.inf},
        {'angle_max': 3.0},
        {'angle_max': math.nan},
        {'angle_max': -0.5},
        {'angle_increment': -0.01},
        {'range_min': 10.0},
        {'range_min': math.nan},
        {'range_min': -1.0},
        {'range_max': 0.0},
        {'range_max': math.nan},
        {'angle_increment': 0.2, 'angle_max': 19.5},
    ],
)
def test_scan_that_contradicts_itself_is_refused(values):
    values = {
        'ranges': np.ones(101),
        'angle_min': -0.5,
        'angle_max': 0.5,
        'angle_increment': 0.01,
        'range_min': 0.1,
        'range_max': 10.0,
    } | values
    with pytest.raises(ValueError):
        scan_rays(**values, mount=Mount.of())


def test_clockwise_scan():
    ranges = wall(1.5)[::-1]
    rays = scan_rays(ranges, ANGLES[-1], ANGLES[0], -math.tau / BEAMS, 0.1, 12.0, Mount.of(z=0.2))
    assert clear(rays) == pytest.approx(1.3, abs=1e-6)


@given(
    st.lists(st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 0.05, 0.4, 1.0]), max_size=40),
    st.tuples(*[st.floats(width=32)] * 5),
    st.tuples(*[st.floats(-3.0, 3.0)] * 6),
)
def test_whatever_a_scan_says_it_is_read_or_refused(ranges, numbers, place):
    try:
        rays = scan_rays(np.array(ranges, np.float32), *numbers, Mount.of(*place))
    except ValueError:
        return
    seen = view(rays)
    assert np.isfinite(seen.points).all()
    if not np.isfinite(ranges).any() and math.inf not in ranges and -math.inf not in ranges:
        assert not any(way.seen.any() for way in seen.ways.values())


# ---- depth images ----


def depth_image(distance=None, pitch=0.0, height=0.4, size=(120, 160)):
    """Return the depth of a floor, and of a wall across the way at a distance (m)."""
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    focal = size[1] / 2.0 / math.tan(HFOV / 2.0)
    down = (rows - size[0] / 2.0) / focal
    forward = math.cos(pitch) - down * math.sin(pitch)  # of a ray with depth 1
    falling = math.sin(pitch) + down * math.cos(pitch)
    with np.errstate(divide='ignore'):
        depth = np.where(falling > 0.0, height / falling, np.inf)
        if distance is not None:
            depth = np.minimum(depth, np.where(forward > 0.0, distance / forward, np.inf))
    return np.where(depth < 10.0, depth, np.inf)


def depth(image, **mount):
    lens = Lens.of_view(HFOV, image.shape[1], image.shape[0])
    return depth_rays(image, lens, Mount.of(**{'z': 0.4, **mount}).optical)


@pytest.mark.parametrize('pitch', [0.0, 0.3])
@pytest.mark.parametrize('size', [(120, 160), (480, 640)])
def test_depth_image_of_a_wall(pitch, size):
    rays = depth(depth_image(1.5, pitch, size=size), x=0.1, pitch=pitch)
    assert clear(rays) == pytest.approx(1.4, abs=0.02)


def test_camera_that_hangs_upside_down():
    image = depth_image(1.5)[::-1, ::-1]
    assert clear(depth(image, x=0.1, roll=math.pi)) == pytest.approx(1.4, abs=0.02)


@pytest.mark.parametrize('pitch', [0.0, 0.3])
def test_floor_is_no_obstacle(pitch):
    assert clear(depth(depth_image(None, pitch), pitch=pitch)) == math.inf


@pytest.mark.parametrize('value', [0.0, math.nan, 65.535, -1.0])
@pytest.mark.parametrize('part', [3, 5])
def test_depth_image_whose_middle_is_no_measurement(value, part):
    image = depth_image(3.0)
    height, width = image.shape
    rows = slice(height // 2 - height // part // 2, height // 2 + height // part // 2)
    columns = slice(width // 2 - width // part // 2, width // 2 + width // part // 2)
    image[rows, columns] = value
    assert math.isnan(clear(depth(image)))


@pytest.mark.parametrize('column', [80, 20])  # ahead, and 32 degrees to the left
def test_depth_too_near(column):
    image = depth_image(3.0)
    image[60, column] = -math.inf
    assert view(depth(image)).ways[FORWARD].too_near


def test_sensor_that_sits_beyond_the_way_sees_nothing_of_it():
    assert math.isnan(clear(scan(np.full(BEAMS, np.inf), Mount.of(x=0.6, z=0.2))))


def test_depth_image_without_any_value():
    assert math.isnan(clear(depth(np.full((4, 4), np.nan))))


# ---- clouds ----


def cloud(distance, hole=0.0):
    """Return the points of a floor and a wall, as rings of a lidar at 0.4 m; (N, 3) m."""
    azimuths, rings = np.meshgrid(
        np.radians(np.arange(0, 360, 2)), np.radians(np.arange(-30, 31, 2))
    )
    x, y, z = (np.cos(rings) * np.cos(azimuths), np.cos(rings) * np.sin(azimuths), np.sin(rings))
    with np.errstate(divide='ignore'):
        length = np.minimum(
            np.where(x > 0.01, distance / x, 20.0), np.where(z < 0.0, -0.4 / z, 20.0)
        )
    there = (length < 20.0) & ~((np.abs(azimuths) < hole) | (np.abs(azimuths - math.tau) < hole))
    return np.stack([x * length, y * length, z * length], axis=-1)[there]


@pytest.mark.parametrize(
    'mount', [Mount.of(z=0.4), Mount.of(z=0.4, yaw=2.0), Mount.of(z=0.4, roll=3.0, pitch=0.4)]
)
def test_cloud_of_a_wall(mount):
    points = cloud(1.5) @ mount.rotation  # in the sensor's frame
    assert clear(cloud_rays(points, mount)) == pytest.approx(1.3, abs=0.01)


def test_cloud_is_blind_where_it_has_no_points():
    assert math.isnan(clear(cloud_rays(cloud(1.5, hole=0.15), Mount.of(z=0.4))))
    for value in (math.nan, 0.0, math.inf):
        rays = cloud_rays(np.full((500, 3), value), Mount.of(z=0.4))
        assert math.isnan(clear(rays)) and not rays.ranges.size
    mixed = np.concatenate([cloud(1.5), np.full((500, 3), math.nan)])
    assert clear(cloud_rays(mixed, Mount.of(z=0.4))) == pytest.approx(1.3, abs=0.01)


# ---- mounts ----


def test_transform_and_angles_mean_the_same():
    half = math.sin(math.pi / 8), math.cos(math.pi / 8)
    for axis, quaternion in (
        ('roll', (half[0], 0.0, 0.0, half[1])),
        ('pitch', (0.0, half[0], 0.0, half[1])),
        ('yaw', (0.0, 0.0, half[0], half[1])),
    ):
        mount = Mount.of_transform((1.0, 2.0, 3.0), quaternion)
        np.testing.assert_allclose(
            mount.rotation, Mount.of(**{axis: math.pi / 4}).rotation, atol=1e-9
        )
        np.testing.assert_allclose(mount.position, [1.0, 2.0, 3.0])
    np.testing.assert_allclose(
        Mount.of(pitch=0.1).rotation @ [1, 0, 0], [0.995, 0, -0.0998], atol=1e-3
    )


@pytest.mark.parametrize('quaternion', [(0.0, 0.0, 0.0, 0.0), (math.nan, 0.0, 0.0, 1.0)])
def test_transform_that_is_none_is_refused(quaternion):
    with pytest.raises(ValueError, match='is none'):
        Mount.of_transform((0.0, 0.0, 0.0), quaternion)
