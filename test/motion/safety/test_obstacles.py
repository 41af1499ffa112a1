"""Messages of obstacle sensors: frames, stamps, several of them, and what is said of each."""

import math

from hypothesis import given
from hypothesis import strategies as st
from janusvln_ros.motion.safety.footprint import BodyParameters
from janusvln_ros.motion.safety.obstacles import ObstacleParameters, Obstacles
from janusvln_ros.motion.safety.rays import cloud_rays, Mount, scan_rays
from janusvln_ros.motion.safety.sensors import MountParameters, SensorParameters
from janusvln_ros.motion.types import Result
import numpy as np
import pytest
from sights import ANGLES, BEAMS, Driver, scan, see, wall

FREE = np.full(BEAMS, math.inf)
BLIND = np.full(BEAMS, math.nan)
AHEAD = np.abs(ANGLES) < 1.0


def guard(*sensors, **values):
    obstacles = Obstacles(BodyParameters(), sensors or ('scan',), Driver())
    parameters = ObstacleParameters(**{'stop_distance': 0.3, **values})
    obstacles.configure(parameters, slowest=0.0, fastest=0.3, braking=0.5)
    return obstacles


def says(obstacles, now):
    verdict = obstacles.verdict(now)
    return (verdict.result, verdict.message) if verdict else (Result.NONE, '')


def test_free_way_and_an_end_of_it():
    obstacles = guard()
    assert says(obstacles, 0.0) == (
        Result.INPUT_LOST,
        'scan silent: nothing has come yet; does its driver run, and publish there?',
    )
    assert see(obstacles, FREE, 1.0) == ''
    assert says(obstacles, 1.4) == (Result.NONE, '')
    assert says(obstacles, 1.6) == (
        Result.INPUT_LOST,
        'scan silent for 0.6 s: does its driver run?',
    )


@pytest.mark.parametrize(
    ('ranges', 'result', 'word'),
    [
        (np.full(BEAMS, -math.inf), Result.BLOCKED, 'too near'),
        (np.zeros(BEAMS), Result.INPUT_LOST, 'is blind'),
        (BLIND, Result.INPUT_LOST, 'is blind'),
        (np.full(BEAMS, 0.05), Result.INPUT_LOST, 'is blind'),
        (np.full(BEAMS, 13.0), Result.INPUT_LOST, 'is blind'),
        (np.where(AHEAD, 0.0, math.inf), Result.INPUT_LOST, '0 of its 79 beams'),
        (np.where(np.arange(BEAMS) == 0, 1.0, math.nan), Result.INPUT_LOST, '0 of its 79 beams'),
        (wall(0.4), Result.BLOCKED, 'at 0.20 m'),
    ],
)
def test_what_is_seen_ahead(ranges, result, word):
    obstacles = guard()
    assert see(obstacles, ranges, 1.0) == ''
    found, message = says(obstacles, 1.0)
    assert found is result and word in message


def test_one_bad_frame_is_waited_out_and_hides_nothing():
    obstacles = guard()
    see(obstacles, wall(0.4), 1.0)
    see(obstacles, BLIND, 1.1)
    assert says(obstacles, 1.1)[0] is Result.BLOCKED
    see(obstacles, FREE, 1.2)
    see(obstacles, BLIND, 1.3)
    assert says(obstacles, 1.3) == (Result.NONE, '')
    for now in (1.4, 1.5, 1.6, 1.71):
        see(obstacles, BLIND, now)
    assert says(obstacles, 1.71)[0] is Result.INPUT_LOST


@pytest.mark.parametrize(
    ('stamp', 'word'), [(-60.0, '70.00 s before'), (9.4, '0.60 s before'), (10.2, '0.20 s after')]
)
def test_stamps_that_cannot_be(stamp, word):
    obstacles = guard()
    see(obstacles, FREE, 9.9)
    problem = obstacles.on_message('scan', 'laser', stamp, 10.0, lambda: scan(FREE))
    assert word in problem and 'clocks' in problem
    assert says(obstacles, 10.0) == (Result.INPUT_LOST, f'scan is refused: {problem}')
    see(obstacles, FREE, 10.4)
    assert says(obstacles, 10.4)[0] is Result.INPUT_LOST
    see(obstacles, FREE, 10.6)
    assert says(obstacles, 10.6)[0] is Result.NONE


def test_without_a_stamp():
    assert guard().on_message('scan', '', 0.0, 0.1, lambda: scan(FREE)) == 'it has no stamp'


def test_a_scan_that_is_fresh_on_arrival_ages_by_its_stamp():
    obstacles = guard()
    for now in (1.3, 1.4):  # the same one again and again
        assert obstacles.on_message('scan', 'laser', 1.0, now, lambda: scan(FREE)) == ''
    assert says(obstacles, 1.45)[0] is Result.NONE
    assert says(obstacles, 1.55)[0] is Result.INPUT_LOST


def test_a_stamp_ahead_of_time_does_not_last_longer():
    obstacles = guard()
    assert obstacles.on_message('scan', 'laser', 1.09, 1.0, lambda: scan(FREE)) == ''
    assert says(obstacles, 1.55)[0] is Result.INPUT_LOST


def test_stamps_that_go_back():
    obstacles = guard()
    see(obstacles, wall(0.4), 1.0)
    problem = obstacles.on_message('scan', 'laser', 0.9, 1.01, lambda: scan(FREE))
    assert 'go back by 0.10 s' in problem and 'two sensors' in problem
    assert says(obstacles, 1.01) == (Result.INPUT_LOST, f'scan is refused: {problem}')


def test_what_came_in_is_not_repeated_at_length():
    obstacles = guard()
    see(obstacles, FREE, 1.0)
    assert len(see(obstacles, FREE, 1.1, frame='x' * 10**6)) < 250

    def refuse():
        raise ValueError('x' * 10**6)

    obstacles.on_message('scan', 'laser', 1.2, 1.2, refuse)
    assert len(says(obstacles, 1.2)[1]) < 250


def test_a_frame_that_changes():
    obstacles = guard()
    assert see(obstacles, FREE, 1.0) == ''
    problem = see(obstacles, FREE, 1.1, frame='other')
    assert '"other"' in problem and '"laser"' in problem
    assert see(obstacles, FREE, 1.2) == ''
    assert says(obstacles, 1.2)[0] is Result.INPUT_LOST
    obstacles.forget()
    assert see(obstacles, FREE, 2.0) == '' and says(obstacles, 2.0)[0] is Result.NONE
    assert see(obstacles, FREE, 2.1, frame='other') == problem


def test_a_message_that_cannot_be_read():
    obstacles = guard()

    def refuse():
        raise ValueError('no beams')

    see(obstacles, FREE, 1.0)
    assert obstacles.on_message('scan', 'laser', 1.1, 1.1, refuse) == 'no beams'
    assert says(obstacles, 1.1) == (Result.INPUT_LOST, 'scan is refused: no beams')


def test_of_several_sensors_each_has_to_live_and_each_may_block():
    obstacles = guard('scan', 'scan2', 'points')
    see(obstacles, FREE, 1.0)
    see(obstacles, FREE, 1.0, 'scan2')
    assert says(obstacles, 1.0)[1].startswith('points silent')
    rays = cloud_rays(np.array([[0.0, 3.0, 0.1]]), Mount.of(z=0.4))
    obstacles.on_message('points', 'lidar', 1.0, 1.0, lambda: rays)
    assert says(obstacles, 1.0)[0] is Result.NONE  # the scans see the whole way
    see(obstacles, wall(0.4), 1.1, 'scan2')
    assert says(obstacles, 1.1)[0] is Result.BLOCKED
    see(obstacles, FREE, 1.2, 'scan2')
    see(obstacles, FREE, 1.6, 'scan2')
    obstacles.on_message('points', 'lidar', 1.6, 1.6, lambda: rays)
    assert says(obstacles, 1.6)[1] == 'scan silent for 0.6 s: does its driver run?'


def test_two_sensors_may_see_half_each():
    obstacles = guard('scan', 'scan2')
    see(obstacles, np.where(ANGLES < 0.02, math.inf, math.nan), 1.0)
    see(obstacles, np.where(ANGLES > -0.02, math.inf, math.nan), 1.0, 'scan2')
    assert says(obstacles, 1.0)[0] is Result.NONE
    see(obstacles, np.where(AHEAD, math.nan, math.inf), 1.6)
    see(obstacles, np.where(ANGLES > -0.02, math.inf, math.nan), 1.6, 'scan2')
    result, message = says(obstacles, 1.6)
    assert result is Result.INPUT_LOST and 'scan looks at 8 of 8; 0 of its' in message
    assert 'scan2 looks at 8 of 8; 4' in message
    see(obstacles, BLIND, 2.2)
    see(obstacles, FREE, 2.2, 'scan2')
    assert says(obstacles, 2.2)[1].startswith('scan is blind')


def test_what_one_message_does_not_look_at_it_does_not_clear():
    obstacles = guard()
    behind = np.where(np.abs(ANGLES) > 2.0, math.inf, math.nan)
    for ranges in (wall(0.4), np.where(AHEAD, -math.inf, math.inf)):
        see(obstacles, ranges, 1.0)
        see(obstacles, behind, 1.05)
        assert says(obstacles, 1.05)[0] is Result.BLOCKED
        obstacles.forget()


def test_a_laser_that_looks_elsewhere():
    obstacles = guard()
    half = np.abs(ANGLES) > 2.0
    turned = Mount.of(z=0.2, yaw=math.pi)
    ranges = np.where(half, math.nan, math.inf)
    obstacles.on_message('scan', 'laser', 1.0, 1.0, lambda: scan(ranges, turned))
    assert says(obstacles, 1.0)[0] is Result.INPUT_LOST
    low = Mount.of(z=0.01)
    obstacles.on_message('scan', 'laser', 1.1, 1.1, lambda: scan(FREE, low))
    obstacles.on_message('scan', 'laser', 1.6, 1.6, lambda: scan(FREE, low))
    assert 'is its mount right?' in says(obstacles, 1.6)[1]


def test_a_sensor_that_does_not_reach_the_stop_distance():
    numbers = (ANGLES[0], ANGLES[-1], math.tau / BEAMS, 0.05, 0.4)
    short = scan_rays(FREE, *numbers, Mount.of(z=0.2))
    obstacles = guard()
    assert obstacles.on_message('scan', 'laser', 1.0, 1.0, lambda: short) == ''
    assert 'does not reach 0.41 m' in says(obstacles, 1.0)[1]


def test_without_a_stop_distance_nothing_is_looked_for():
    assert says(guard(stop_distance=0.0), 9.0)[0] is Result.NONE


@pytest.mark.slow
@given(
    st.lists(st.sampled_from([math.nan, 0.0, -1.0, 13.0, 0.05]), min_size=BEAMS, max_size=BEAMS)
)
def test_no_scan_without_a_measurement_is_driven_on(values):
    obstacles = guard()
    see(obstacles, np.array(values), 1.0)
    assert says(obstacles, 1.0)[0] in (Result.INPUT_LOST, Result.BLOCKED)


@given(st.integers(0, BEAMS - 1), st.floats(0.1, 0.49))
def test_whatever_stands_in_the_way_blocks(index, distance):
    angle = ANGLES[index]
    x, y = distance * math.cos(angle), distance * math.sin(angle)
    ranges = FREE.copy()
    ranges[index] = distance
    obstacles = guard()
    see(obstacles, ranges, 1.0)
    in_the_way = 0.1 < x < 0.5 and abs(y) < 0.22
    assert (says(obstacles, 1.0)[0] is Result.BLOCKED) == in_the_way


# ---- parameters ----


@pytest.mark.parametrize(
    ('text', 'sensors'),
    [
        ('scan', ('scan',)),
        ('both', ('scan', 'depth')),
        ('scan, points', ('scan', 'points')),
        ('scan2,scan,scan2', ('scan2', 'scan')),
    ],
)
def test_names_of_sensors(text, sensors):
    assert SensorParameters(obstacle_sensor=text).sensors == sensors


@pytest.mark.parametrize('text', ['', 'laser', 'scan,both'])
def test_unknown_sensors_are_refused(text):
    with pytest.raises(ValueError, match='scan, scan2, depth, points are right'):
        SensorParameters(obstacle_sensor=text)


def test_mounts_of_parameters():
    mounts = MountParameters(scan_x=0.1, scan_yaw=math.pi / 2, depth_z=0.7)
    np.testing.assert_allclose(mounts.of('scan').position, [0.1, 0.0, 0.2])
    np.testing.assert_allclose(mounts.of('scan').rotation @ [1, 0, 0], [0, 1, 0], atol=1e-9)
    np.testing.assert_allclose(
        mounts.of('depth').optical.rotation @ [0, 0, 1], [1, 0, 0], atol=1e-9
    )
