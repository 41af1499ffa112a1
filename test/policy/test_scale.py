"""Metres from the mounted height and from odometry, where the truth is known."""

import json
import math
from pathlib import Path

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from janusvln_ros.policy.interface import FrameGeometry, GeometryInHeights
from janusvln_ros.policy.metric_depth import DepthParameters, MetricDepth
from janusvln_ros.policy.pinhole import (
    as_camera_sees,
    as_encoder_sees,
    downward,
    Pinhole,
    resized_height,
)
from janusvln_ros.policy.preprocessing import resize
from janusvln_ros.policy.scale import (
    camera_place,
    find_floor,
    fit_pose,
    OdometryScale,
    Scale,
    ScaleFilter,
)
import numpy as np
import pytest
from safetensors.numpy import load_file

GOLDEN = Path(__file__).parent / 'data' / 'goldens' / 'scale_example'
CAMERA = Pinhole.of_field(64, 48, math.radians(79))
LENS = Pinhole.of_field(112, 84, math.radians(79))  # as the encoder of janusvln-tiny sees it
few = settings(max_examples=25, deadline=None)


def room(height, tilt, camera=CAMERA, table=None, wall=4.0):
    """Depth in metres of a floor, a wall ahead and perhaps a table top (its height, near, far)."""
    rays, down = camera.rays(), downward(tilt)
    ahead = np.array([0.0, -down[2], down[1]])
    with np.errstate(divide='ignore'):
        floor, front = height / (rays @ down), wall / (rays @ ahead)
    depth = np.minimum(np.where(floor > 0, floor, np.inf), np.where(front > 0, front, np.inf))
    if table:
        top, near, far = table
        on_top = (height - top) / (rays @ down)
        reach = on_top * (rays @ ahead)
        depth = np.where((on_top > 0) & (near < reach) & (reach < far), on_top, depth)
    return depth


def floor_of(depth, tilt, confidence=None, camera=CAMERA, expected=None):
    confidence = np.ones(depth.shape) if confidence is None else confidence
    return find_floor(camera.points(depth), confidence, downward(tilt), expected)


@few
@given(st.floats(0.3, 2.0), st.floats(-0.05, 0.5), st.floats(0.05, 20.0), st.integers(0, 99))
def test_the_mounted_height_gives_the_scale(height, tilt, unit, seed):
    depth = room(height, tilt, wall=4 * height)
    depth *= np.random.default_rng(seed).normal(1, 0.01, (48, 64)) / unit
    floor = floor_of(depth, tilt)
    assert height / floor.distance == pytest.approx(unit, rel=0.02)
    assert floor.tilt < math.radians(2)
    assert 0.15 < floor.inliers <= 1


@few
@given(st.floats(0.4, 0.9), st.integers(0, 99))
def test_a_table_top_is_not_the_floor(top, seed):
    depth = room(1.25, 0.3, table=(top, 0.9, 1.6))
    depth *= np.random.default_rng(seed).normal(1, 0.005, depth.shape)
    assert 1.25 / floor_of(depth, 0.3).distance == pytest.approx(1, rel=0.03)


def test_below_a_floor_is_nothing():
    depth = room(1.25, 0.3, table=(0.75, 0.5, 2.0))  # of the floor behind it a little is seen
    assert (depth > 0.99 * room(1.25, 0.3))[24:].mean() < 0.2
    assert floor_of(depth, 0.3) is None


@few
@given(st.integers(0, 99))
def test_no_floor_is_made_up(seed):
    rng = np.random.default_rng(seed)
    ahead = np.full(CAMERA.rays().shape[:2], 0.8) * rng.normal(1, 0.01, (48, 64))
    assert floor_of(ahead, 0.0) is None  # a wall right ahead
    assert floor_of(np.full((48, 64), np.nan), 0.0) is None
    assert floor_of(rng.uniform(0.1, 10, (48, 64)), 0.0) is None


@few
@given(st.floats(0.9, 1.1), st.integers(0, 99))
def test_a_strip_is_enough_of_a_floor_that_is_expected(off, seed):
    depth = off / 1.25 * room(1.25, 0.0, LENS, wall=2.3)  # in heights, as a head tells them
    depth *= np.random.default_rng(seed).normal(1, 0.01, depth.shape)
    floor = floor_of(depth, 0.0, camera=LENS, expected=1.0)
    assert floor.distance == pytest.approx(off, rel=0.04)


@few
@given(st.floats(0.6, 1.8), st.floats(0.0, 0.03), st.integers(0, 99))
def test_a_wall_alone_is_not_the_floor_that_is_expected(wall, noise, seed):
    ahead = np.full(LENS.rays().shape[:2], wall)
    ahead *= np.random.default_rng(seed).normal(1, noise, ahead.shape)
    assert floor_of(ahead, 0.0, camera=LENS, expected=1.0) is None


def test_a_bed_contradicts_the_floor_that_is_expected():
    metric = MetricDepth(DepthParameters(camera_height=1.25))
    bed, floor = (GeometryInHeights(*seen(room(height, 0.0, LENS))) for height in (0.6, 1.0))
    for _ in range(7):  # nothing but its top is below the camera
        assert metric.measure(bed, LENS) is None
    metric.measure(floor, LENS)
    assert metric.measure(floor, LENS) is not None
    assert metric.measure(bed, LENS) is not None
    assert metric.measure(bed, LENS) is None and 'contradict' in metric.said


def test_what_the_network_is_unsure_of_does_not_count():
    rng = np.random.default_rng(0)
    depth, wild = room(1.25, 0.1), rng.random((48, 64)) < 0.15
    depth = np.where(wild, rng.uniform(0.1, 9, depth.shape), depth)
    floor = floor_of(depth, 0.1, np.where(wild, 1.01, 5.0))
    assert floor.distance == pytest.approx(1.25, rel=0.01)


@few
@given(st.floats(-3, 3), st.floats(-1, 1), st.tuples(*[st.floats(-5, 5)] * 3), st.integers(0, 99))
def test_a_rigid_fit_finds_the_pose(turn, lean, place, seed):
    rng = np.random.default_rng(seed)
    own = rng.uniform(-2, 2, (60, 3)) + [0, 0, 3]
    a, b = (math.cos(turn), math.sin(turn)), (math.cos(lean), math.sin(lean))
    rotation = np.array([[a[0], 0, a[1]], [0, 1, 0], [-a[1], 0, a[0]]]) @ np.array(
        [[1, 0, 0], [0, b[0], -b[1]], [0, b[1], b[0]]]
    )
    there = own @ rotation.T + place
    weights = rng.uniform(0.5, 3, 60)
    there[:5] += 50  # outliers that weigh nothing
    weights[:5] = 0
    found, at = fit_pose(own, there, weights)
    assert np.allclose(found, rotation, atol=1e-9) and np.allclose(at, place, atol=1e-8)
    assert np.linalg.det(found) == pytest.approx(1)


def test_a_rigid_fit_of_nothing_is_refused():
    with pytest.raises(ValueError, match='three points'):
        fit_pose(np.zeros((9, 3)), np.zeros((9, 3)), np.eye(1, 9)[0])


@few
@given(st.floats(0.1, 10.0), st.integers(0, 99))
def test_the_way_driven_gives_the_scale(unit, seed):
    rng = np.random.default_rng(seed)
    odometry, measured = OdometryScale(), []
    for step in range(12):
        driven = np.array([0.25 * step, 0.02 * step, 0.0])
        depth = room(1.2, 0.1) * rng.normal(1, 0.02, (48, 64)) / unit
        own = CAMERA.points(depth)
        there = own + np.array([-0.02 * step, 0.0, 0.25 * step]) / unit
        there[0, :7] = 1e3  # nonsense, with a little confidence
        certain = np.ones((48, 64))
        place = camera_place(own, there, certain, certain)
        found = odometry.add(place, driven)
        assert (found is None) == (step < 2)  # 0.3 m are needed
        measured += [found] if found else []
    assert np.median(measured) == pytest.approx(unit, rel=0.05)


def test_standing_still_tells_nothing():
    odometry = OdometryScale()
    assert [odometry.add(np.zeros(3), np.zeros(2)) for _ in range(5)] == [None] * 5
    assert odometry.add(np.zeros(3), np.array([1.0, 0.0])) is None  # the picture has not moved


@few
@given(st.floats(0.05, 20), st.floats(0.0, 0.06), st.integers(0, 999))
def test_the_filter_tells_value_and_spread(truth, noise, seed):
    rng, scales = np.random.default_rng(seed), ScaleFilter()
    for measured in truth * np.exp(rng.normal(0, noise, 40)):
        scales.add(3 * measured if rng.random() < 0.1 else measured)
    assume(not scales.doubtful)
    scale = scales.scale('height')
    assert scale.known and scale.source == 'height'
    assert abs(scale.value - truth) < 2 * scale.spread
    assert 0.02 < scale.spread / scale.value < 0.08 + 4 * noise


def test_one_measurement_alone_is_not_trusted():
    scales = ScaleFilter()
    assert not scales.scale('height').known and scales.scale('height').source == ''
    assert [scales.add(bad) for bad in (math.nan, -1.0, 0.0, math.inf)] == [False] * 4
    assert not scales.waits
    assert not scales.add(1.0) and scales.waits  # of a table top
    assert not scales.add(2.0) and not scales.scale('height').known
    assert scales.add(2.1) and not scales.waits
    assert scales.scale('height').value == pytest.approx(2.05, abs=0.01)
    assert not Scale().known


def test_the_filter_drops_outliers_and_follows_a_change():
    scales = ScaleFilter()
    scales.add(2.0)
    scales.add(2.0)
    first = scales.scale('height').spread
    assert all(scales.add(2.0) for _ in range(9))
    assert scales.scale('height').spread < 0.7 * first
    assert not scales.add(3.0) and scales.scale('height').value == pytest.approx(2)
    assert scales.add(2.0)  # and what was dropped is forgotten
    assert not any(scales.add(wild) for wild in 3 * (3.0, 0.5, 7.0))
    assert all(scales.add(2.0) for _ in range(5))  # of the last six
    assert scales.scale('height').value == pytest.approx(2)
    assert [scales.add(3.0) for _ in range(6)] == 4 * [False] + 2 * [True]
    assert scales.scale('height').value == pytest.approx(3)


def test_measurements_that_contradict_each_other_tell_nothing():
    scales = ScaleFilter()
    for measured in (2.5, 2.7, 3.8):  # as of real pictures, by a network that never saw any
        scales.add(measured)
    assert scales.scale('height').known and not scales.doubtful
    scales.add(3.3)
    assert not scales.scale('height').known and scales.doubtful and not scales.waits
    for measured in (3.4, 2.6, 2.6, 2.6, 2.6, 2.6):
        scales.add(measured)
    assert scales.scale('height').known  # one of six
    for measured in (1.0, 6.0):
        scales.add(measured)
    assert not scales.scale('height').known
    assert [scales.add(3.5) for _ in range(5)] == 4 * [False] + [True]
    assert scales.scale('height').value == pytest.approx(3.5)  # another number, without a doubt


@pytest.mark.parametrize('size', [(640, 480), (320, 240), (478, 637), (1280, 720)])
def test_the_encoders_pixels_are_the_cameras(size):
    camera = Pinhole.of_field(*size, 1.2)
    seen = camera.seen_by_encoder(112)
    picture = resize(np.zeros((*size[::-1], 3), np.uint8), 112)
    assert (seen.height, seen.width) == picture.shape[:2]
    # the corners of the middle half of the picture, by both cameras
    for x, y in ((0.3, 0.3), (0.7, 0.6)):
        u, v = x * size[0] - 0.5, y * size[1] - 0.5
        full = 14 * round(size[1] * (112 / size[0]) / 14)
        there = x * 112 - 0.5, y * full - 0.5 - max(0, (full - 112) // 2)
        ray = (u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy
        assert ((there[0] - seen.cx) / seen.fx, (there[1] - seen.cy) / seen.fy) == pytest.approx(
            ray
        )


def test_numbers_of_no_camera_are_refused():
    with pytest.raises(ValueError, match='focal lengths are above 0'):
        Pinhole(64, 48, 0.0, 50.0, 32.0, 24.0)
    with pytest.raises(ValueError, match='depth of 8 x 4 pixels for a camera of 64 x 48'):
        CAMERA.points(np.ones((4, 8)))


def test_the_golden_example():
    tensors = load_file(GOLDEN / 'example.safetensors')
    about = json.loads((GOLDEN / 'example.json').read_text())
    (fx, _, cx), (_, fy, cy), _ = about['camera_matrix']
    camera, odometry = Pinhole(48, 36, fx, fy, cx, cy), OdometryScale()
    ratios = []
    for number, frame in enumerate(about['frames']):
        depth, certain, there = (
            tensors[f's{number:03d}.{name}'].astype(float)
            for name in ('depth', 'depth_conf', 'world_points')
        )
        own, down = camera.points(depth), downward(math.radians(about['pitch_down_deg']))
        floor = find_floor(own, certain, down)
        assert about['camera_height_m'] / floor.distance == pytest.approx(2.5, rel=0.02)
        place = camera_place(own, there, certain, certain)
        true = np.array(frame['position_in_first_camera_m'])
        assert np.linalg.norm(2.5 * place - true) < 0.02
        ratios.append(odometry.add(place, true))
    assert ratios == [None, None, pytest.approx(2.5, rel=0.02)]


@pytest.mark.parametrize('size', [(320, 240), (480, 640)])
def test_a_picture_is_sampled_where_the_encoder_looks(size):
    camera = Pinhole.of_field(*size, 1.3)
    seen = camera.seen_by_encoder(112)
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    ray = as_encoder_sees((columns - camera.cx) / camera.fx, 112)
    assert np.abs(ray - seen.rays()[..., 0]).max() < 0.6 / camera.fx
    ray = as_encoder_sees((rows - camera.cy) / camera.fy, 112)
    assert np.abs(ray - seen.rays()[..., 1]).max() < 0.02


@pytest.mark.parametrize('size', [(320, 240), (64, 48), (480, 640), (100, 300)])
def test_depth_is_spread_where_the_camera_looks(size):
    camera = Pinhole.of_field(*size, 1.3)
    seen = camera.seen_by_encoder(112)
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    x, y = (as_camera_sees(seen.rays()[..., axis], *size) for axis in (0, 1))
    known = np.isfinite(y)
    true_x, true_y = (columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy
    assert np.abs(x - true_x)[known].max() < 0.6 / min(seen.fx, camera.fx)
    assert np.abs(y - true_y)[known].max() < 0.6 / min(seen.fy, camera.fy)
    assert np.array_equal(known.any(axis=1), known.all(axis=1))
    cropped = resized_height(*size, 112) / 112
    assert known.mean() == pytest.approx(min(1.0, 1 / cropped), abs=0.02)
    assert np.array_equal(known, known[::-1])  # as much above as below


def seen(depth):
    return FrameGeometry(depth.astype(np.float32), np.full(depth.shape, 2.0, np.float32))


def test_gravity_that_is_told_counts_before_the_tilt_by_parameter():
    geometry = seen(room(1.25, 0.5, LENS, wall=6.0) / 2.5)
    metric = MetricDepth(DepthParameters(camera_height=1.25))
    assert [metric.measure(geometry, LENS) for _ in range(3)] == 3 * [None]  # level: no floor
    metric.measure(geometry, LENS, gravity=downward(0.5))
    assert metric.measure(geometry, LENS, gravity=downward(0.5)) is not None
    assert metric.scale.value == pytest.approx(2.5, rel=0.01)


@pytest.mark.parametrize('in_heights', [True, False])
def test_in_a_small_room_metres_take_a_head_that_tells_heights(in_heights):
    geometry = seen(room(1.25, 0.0, LENS, wall=2.3) / 1.2)
    if in_heights:
        geometry = GeometryInHeights(*geometry)
    metric = MetricDepth(DepthParameters(camera_height=1.25))
    assert metric.measure(geometry, LENS) is None  # one frame alone does not do here either
    assert (metric.measure(geometry, LENS) is not None) == in_heights
    if in_heights:
        assert metric.scale.value == pytest.approx(1.2, rel=0.04)


def test_one_frame_alone_gives_no_metres():
    metric = MetricDepth(DepthParameters(camera_height=1.25, camera_tilt=0.5))
    assert 'not been seen' in metric.said
    right, wrong = (seen(room(height, 0.5, LENS) / 2.5) for height in (1.25, 0.6))
    for geometry in (wrong, right):  # neither agrees with one before
        assert metric.measure(geometry, LENS) is None and not metric.scale.known
        assert 'not twice' in metric.said
    assert metric.measure(right, LENS) is not None
    assert metric.scale.value == pytest.approx(2.5, rel=0.01)
    assert 'scale from height' in metric.said
    metric.begin()  # another episode, another unit
    assert metric.measure(right, LENS) is None
