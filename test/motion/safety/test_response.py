"""Odometry that lies: how far the robot goes, and what it says; and odometry that is only poor."""

from collections import deque
import math

from janusvln_ros.motion.geometry import Pose
from janusvln_ros.motion.testing import BaseConfig
from janusvln_ros.motion.types import Result, State
import pytest
from robot import FORWARD, LEFT, RIGHT, Robot, START, ZERO

MODES = {'step': {}, 'continuous': {'execution_mode': 'continuous', 'navigator_timeout': 0.0}}


def scaled(way=1.0, turn=1.0, side=0.0):
    """Return odometry that tells a multiple of what is done, or turns it to the side (rad)."""

    def odometry(stamp, pose):
        forward, left, yaw = pose.seen_from(START)
        there = Pose(START.x, START.y, START.yaw + side)
        x = there.x + way * (forward * math.cos(there.yaw) - left * math.sin(there.yaw))
        y = there.y + way * (forward * math.sin(there.yaw) + left * math.cos(there.yaw))
        return stamp, Pose(x, y, START.yaw + turn * yaw)

    return lambda robot: odometry


def late(seconds, fresh_stamps):
    """Return odometry that comes late, stamped when it was measured or when it comes."""

    def make(robot):
        under_way = deque()

        def odometry(stamp, pose):
            under_way.append((stamp, pose))
            if under_way[0][0] > stamp - seconds:
                return None
            while len(under_way) > 1 and under_way[1][0] <= stamp - seconds:
                under_way.popleft()
            then, pose = under_way[0]
            return (stamp if fresh_stamps else then), pose

        return odometry

    return make


def shifted(seconds):
    return lambda robot: lambda stamp, pose: (stamp + seconds, pose)


def freezing(way, turn):
    """Return odometry that is true until the robot has moved (m) or turned (rad) so far."""

    def make(robot):
        last = []

        def odometry(stamp, pose):
            forward, _, yaw = pose.seen_from(START)
            if not last and (abs(forward) > way or abs(yaw) > turn):
                last.append(pose)
            return stamp, last[0] if last else pose

        return odometry

    return make


def running_away(robot):
    return lambda stamp, pose: (stamp, Pose(pose.x + 0.8 * (stamp - 0.5), pose.y, pose.yaw))


def every(number):
    """Return odometry of which only one message of a number comes."""

    def make(robot):
        count = [0]

        def odometry(stamp, pose):
            count[0] += 1
            return (stamp, pose) if count[0] % number == 0 else None

        return odometry

    return make


LIES = {
    'frozen': (lambda robot: lambda stamp, pose: (stamp, START), 'stands still'),
    'inverted': (scaled(-1.0, -1.0), 'opposite sign'),
    'a third': (scaled(0.3, 0.3), 'odometry says'),
    'a half': (scaled(0.5, 0.5), 'odometry says'),
    'threefold': (scaled(3.0, 3.0), 'wheel radius'),
    'late by 1 s': (late(1.0, True), 'late'),
    'late by 2 s': (late(2.0, True), 'late'),
    'late by 1 s, and told so': (late(1.0, False), 'clock'),
    'an hour behind': (shifted(-3600.0), 'clock'),
    'a day ahead': (shifted(86400.0), 'clock'),
    'runs away': (running_away, ''),
}


@pytest.mark.parametrize('mode', MODES.values(), ids=MODES)
@pytest.mark.parametrize('action', [FORWARD, LEFT, RIGHT])
@pytest.mark.parametrize(('way', 'turn'), [(0.1, 0.1), (0.2, 0.2), (0.24, 0.25)])
def test_odometry_that_freezes_on_the_way_lets_the_robot_go_one_step_more(way, turn, action, mode):
    robot = Robot(**mode)
    robot.odometry = freezing(way, turn)(robot)
    for _ in range(20):
        robot.act(action)
        robot.run(1.0)
    forward, left, turned = robot.base.pose.seen_from(START)
    assert math.hypot(forward, left) < way + 0.40 and abs(turned) < turn + math.radians(25.0)
    assert robot.commanded in (None, ZERO)


@pytest.mark.slow
@pytest.mark.parametrize('mode', MODES.values(), ids=MODES)
@pytest.mark.parametrize('action', [FORWARD, LEFT, RIGHT])
@pytest.mark.parametrize(('lie', 'word'), LIES.values(), ids=LIES)
def test_robot_with_lying_odometry_goes_one_step_at_most_and_says_why(lie, word, action, mode):
    robot = Robot(**mode)
    robot.odometry = lie(robot)
    robot.run(3.0)  # a motion begins while all seems well
    said = set()
    for second in range(30):
        robot.act(action)
        for _ in range(50):
            velocity = robot.tick()
            assert velocity is None or velocity.linear >= 0.0
            assert second < 12 or velocity is None or velocity.linear == velocity.angular == 0.0
            said.add(robot.status.message)
    forward, left, turn = robot.base.pose.seen_from(START)
    assert math.hypot(forward, left) < 0.40 and abs(turn) < math.radians(25.0)
    assert any(word in message for message in said), said


@pytest.mark.parametrize(
    ('lie', 'action', 'word'),
    [
        (scaled(-1.0), FORWARD, 'opposite sign'),
        (scaled(1.0, -1.0), LEFT, 'opposite sign'),
        (scaled(1.0, -1.0), RIGHT, 'opposite sign'),
        (scaled(side=math.pi / 2.0), FORWARD, 'sideways'),
    ],
)
def test_lie_about_one_axis_ends_motions_along_it(lie, action, word):
    robot = Robot()
    robot.odometry = lie(robot)
    robot.run(3.0)
    robot.act(action)
    robot.run_until_standing()
    forward, left, turn = robot.base.pose.seen_from(START)
    assert math.hypot(forward, left) < 0.2 and abs(turn) < math.radians(20.0)
    assert robot.status.state is State.FAULT and word in robot.status.message
    robot.assert_stands()


GOOD = {
    'slips': (BaseConfig(scale=0.8), lambda robot: robot.odometry, 0.012),
    '5 Hz': (None, every(10), 0.02),
    'late by 0.2 s': (None, late(0.2, False), 0.012),
    'late by 0.2 s, and says it is not': (None, late(0.2, True), 0.02),
    'slips, 5 Hz': (BaseConfig(scale=0.8), every(10), 0.02),
    'slips, late by 0.2 s': (BaseConfig(scale=0.8), late(0.2, False), 0.012),
    'overdrives': (BaseConfig(scale=1.2, drift=0.2), lambda robot: robot.odometry, 0.02),
    'sluggish': (
        BaseConfig(linear_acceleration=0.3, angular_acceleration=1.0),
        late(0.2, False),
        0.02,
    ),
}


@pytest.mark.parametrize(('base', 'odometry', 'error'), GOOD.values(), ids=GOOD)
def test_robot_with_poor_odometry_drives_all_the_same(base, odometry, error):
    robot = Robot(base)
    robot.odometry = odometry(robot)
    robot.run(1.0)
    for action in (FORWARD, LEFT, FORWARD, RIGHT, FORWARD, FORWARD, LEFT, LEFT):
        position, angle = robot.do(action)
        assert robot.status.result is Result.SUCCEEDED, robot.status.message
        assert position < error and angle < math.radians(1.5)


def test_fault_of_response_lasts_until_it_is_reset():
    robot = Robot()
    good, robot.odometry = robot.odometry, scaled(-1.0)(robot)
    robot.act(FORWARD)
    robot.run(3.0)
    assert robot.status.state is State.FAULT and 'reset_e_stop' in robot.status.message
    robot.odometry = good
    robot.run(5.0)
    assert robot.status.state is State.FAULT and robot.act(FORWARD) != ''
    robot.assert_stands()
    assert robot.executor.reset() == (
        True,
        'the fault is reset; the robot stands until the next action',
    )
    assert robot.do(FORWARD)[0] < 0.012


@pytest.mark.parametrize(
    ('frames', 'word'),
    [
        (('odom', 'base_link', (-1.0, 0.0, 0.0)), 'unknown'),
        (('odom', 'base_link', (0.0, 0.0, math.nan)), 'unknown'),
        (('odom', 'base_link', (math.inf, 0.0, 0.0)), 'unknown'),
        (('base_link', 'base_link', ()), 'in itself'),
        (('map', 'base_link', ()), 'two programs'),
    ],
)
def test_odometry_that_says_it_is_no_use(frames, word):
    robot = Robot.on_the_way()
    assert robot.executor.odometry.on_frames('odom', 'base_link', (0.1, 0.1, 0.1)) == ''
    problem = robot.executor.odometry.on_frames(*frames)
    pose = robot.base.pose
    robot.executor.on_odometry(robot.now, pose.x, pose.y, pose.yaw, robot.now, problem)
    assert robot.status.state is State.FAULT and word in robot.status.message
    assert robot.executor.base.velocity.linear == 0.0


@pytest.mark.parametrize('mode', MODES.values(), ids=MODES)
@pytest.mark.parametrize('action', [FORWARD, LEFT])
def test_base_that_moves_on_though_zero_is_commanded_is_told_of(action, mode):
    robot = Robot.on_the_way(action, **mode)
    rolls = robot.base.linear, robot.base.angular
    robot.base.wheels = lambda linear, angular: rolls
    robot.act(0)
    robot.run(3.0)
    assert robot.status.state is State.FAULT and 'commanded zero' in robot.status.message
    robot.base.wheels = lambda linear, angular: (linear, angular)
    robot.assert_stands()
    assert robot.act(action) != ''
    assert robot.executor.reset()[0]
    assert robot.do(action)[0] < 0.02
