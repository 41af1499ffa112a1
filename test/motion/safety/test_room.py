"""Obstacles on the way of a robot that drives, turns or backs off."""

import math

from hypothesis import given
from hypothesis import settings as search
from hypothesis import strategies as st
from janusvln_ros.motion.commands import Command, Kind
from janusvln_ros.motion.testing import BaseConfig
from janusvln_ros.motion.types import Result, State
import numpy as np
import pytest
from robot import FORWARD, LEFT, RIGHT, Robot, START, ZERO
from sights import ANGLES, see, wall


class Scene:
    """
    Points in the house, seen by a laser on base_link at 10 Hz.

    look: makes the ranges from the points in base_link; others are free.
    """

    def __init__(self, robot, points, every=5):
        self.robot, self.every = robot, every
        self.points = np.asarray(points, float).reshape(-1, 2)
        self._tick, self._odometry = 0, robot.odometry
        robot.odometry = self.look
        self.see()

    def see(self):
        see(self.robot.executor.obstacles, self.ranges(), self.robot.now)

    def here(self):
        """Return the points in base_link, (N, 2) m."""
        pose = self.robot.base.pose
        cosine, sine = math.cos(pose.yaw), math.sin(pose.yaw)
        return (self.points - (pose.x, pose.y)) @ np.array([[cosine, -sine], [sine, cosine]])

    def ranges(self):
        ranges = np.full(len(ANGLES), np.inf)
        for x, y in self.here():
            beam = round((math.atan2(y, x) + math.pi) / math.tau * len(ANGLES)) % len(ANGLES)
            ranges[beam] = min(ranges[beam], math.hypot(x, y))
        return ranges

    def look(self, stamp, pose):
        self._tick += 1
        if self._tick % self.every == 0:
            self.see()
        return self._odometry(stamp, pose)


def at(x, y=0.0):
    """Return a place (m) in the house, given where it is from the robot's start."""
    pose = START.moved(x)
    return pose.x - y * math.sin(START.yaw), pose.y + y * math.cos(START.yaw)


def across(distance):
    """Return places all over the width of the way, this far (m) before the robot's front."""
    return [at(0.2 + distance, y) for y in np.linspace(-0.3, 0.3, 25)]


def run(robot, action):
    robot.act(action)
    robot.run_until_standing()
    return robot.status


def test_obstacle_ahead_blocks_forward_motion_only():
    robot = Robot(stop_distance=0.3)
    Scene(robot, across(0.25))
    status = run(robot, FORWARD)
    assert status.result is Result.BLOCKED and status.state is State.IDLE
    assert 'an obstacle ahead, at 0.25 m' in status.message
    assert robot.base.pose.seen_from(START)[0] == 0.0
    assert robot.do(LEFT)[1] < math.radians(1.0)


@pytest.mark.parametrize('slowdown', [0.0, 0.3])
@pytest.mark.parametrize('every', [5, 20])
def test_robot_comes_to_rest_before_an_obstacle(slowdown, every):
    robot = Robot(stop_distance=0.3, slowdown_distance=slowdown)
    scene = Scene(robot, across(0.42), every)
    assert run(robot, FORWARD).result is Result.BLOCKED
    assert scene.here()[:, 0].min() - 0.2 == pytest.approx(0.3, abs=0.015)
    robot.assert_stands()


def test_robot_with_a_least_speed_stops_in_time():
    legs = BaseConfig(delay=0.15)
    robot = Robot(legs, stop_distance=0.3, min_linear_speed=0.15, actuation_delay=0.15)
    scene = Scene(robot, across(0.45))
    assert run(robot, FORWARD).result is Result.BLOCKED
    robot.run(1.0)
    assert scene.here()[:, 0].min() - 0.2 > 0.29


def test_far_obstacle_does_not_matter():
    robot = Robot(stop_distance=0.3)
    Scene(robot, across(0.6))
    assert robot.do(FORWARD)[0] < 0.012


def test_speed_falls_evenly_before_the_stop_distance():
    robot = Robot(stop_distance=0.3, slowdown_distance=0.6)
    scene = Scene(robot, across(1.4))
    robot.ask(Command(Kind.MOVE, 1.5))
    while not robot.executor.stands:
        robot.tick()
        room = scene.here()[:, 0].min() - 0.2 - 0.3
        if robot.commanded.linear > 0.03:
            assert robot.commanded.linear < 0.3 * min(1.0, (room + 0.03) / 0.6) + 0.01
    assert robot.status.result is Result.BLOCKED


@pytest.mark.slow
@search(max_examples=25, deadline=None)
@given(
    st.floats(0.05, 1.5),
    st.floats(0.1, 0.5),
    st.floats(0.0, 0.6),
    st.floats(0.2, 1.0),
    st.sampled_from([2, 5, 20]),
)
def test_it_always_stands_before_what_it_could_see(distance, stop, slowdown, speed, every):
    robot = Robot(
        BaseConfig(linear_acceleration=2.0),
        stop_distance=stop,
        slowdown_distance=slowdown,
        max_linear_speed=speed,
        max_linear_acceleration=1.0,
        max_move=5.0,
    )
    scene = Scene(robot, across(distance), every)
    robot.ask(Command(Kind.MOVE, 2.0))
    robot.run_until_standing()
    assert robot.status.result is Result.BLOCKED
    assert scene.here()[:, 0].min() - 0.2 > min(stop, distance) - 0.02


def test_without_a_fresh_scan_there_is_no_motion():
    robot = Robot(stop_distance=0.3)
    for action in (FORWARD, LEFT):
        status = run(robot, action)
        assert status.result is Result.INPUT_LOST and 'scan silent' in status.message
    see(robot.executor.obstacles, np.full(len(ANGLES), math.nan), robot.now)
    status = run(robot, FORWARD)
    assert status.result is Result.INPUT_LOST and 'scan is blind' in status.message
    see(robot.executor.obstacles, np.full(len(ANGLES), math.inf), robot.now)
    robot.act(FORWARD)
    robot.run(0.4)
    assert robot.commanded.linear > 0.0
    robot.run(0.2)  # the scan of the start is too old by now
    assert robot.commanded == ZERO
    robot.assert_stands()


# ---- turning ----

LONG = '[[0.4, 0.2], [0.4, -0.2], [-0.4, -0.2], [-0.4, 0.2]]'


@pytest.mark.parametrize(('action', 'side'), [(LEFT, 'left'), (RIGHT, 'right')])
def test_a_turn_that_would_touch_something_is_not_begun(action, side):
    robot = Robot(stop_distance=0.3, footprint=LONG)
    y = 0.22 if side == 'left' else -0.22
    Scene(robot, [at(0.38, y)])
    status = run(robot, action)
    assert status.result is Result.BLOCKED and f'turning {side}' in status.message
    assert robot.base.pose.yaw == START.yaw
    assert robot.do(RIGHT if action == LEFT else LEFT)[1] < math.radians(1.0)


def test_a_turn_ends_when_something_comes():
    robot = Robot(stop_distance=0.3, footprint=LONG)
    scene = Scene(robot, [at(3.0)])
    robot.act(LEFT)
    robot.run(0.2)
    assert robot.commanded.angular > 0.0
    scene.points = np.array([at(0.36, 0.25)])
    robot.run_until_standing()
    assert robot.status.result is Result.BLOCKED
    assert robot.base.pose.yaw - START.yaw < math.radians(15.0)


# ---- reversing ----


def back(robot, way=-0.25):
    robot.ask(Command(Kind.MOVE, way))
    robot.run_until_standing()
    return robot.status


def test_backing_off_is_guarded_by_a_laser_that_sees_behind():
    robot = Robot(stop_distance=0.3, allow_reverse=True)
    scene = Scene(robot, [at(-0.62)])  # 0.42 m behind the rear
    assert back(robot).result is Result.BLOCKED
    assert 'behind' in robot.status.message
    assert 0.28 < -scene.here()[0, 0] - 0.2 < 0.33


def test_backing_off_needs_what_is_looked_at_and_no_more():
    robot = Robot(stop_distance=0.3, allow_reverse=True)
    behind = np.abs(ANGLES) > 2.0
    scene = Scene(robot, [])
    scene.ranges = lambda: np.where(behind, math.nan, math.inf)
    status = back(robot)
    assert status.result is Result.INPUT_LOST and 'behind are not seen' in status.message
    scene.ranges = lambda: np.where(behind, 0.0, math.inf)
    scene.see()
    assert run(robot, FORWARD).result is Result.SUCCEEDED


def test_wall_behind_does_not_matter_ahead():
    robot = Robot(stop_distance=0.3)
    scene = Scene(robot, [])
    scene.ranges = lambda: wall(math.inf, behind=0.25)
    scene.see()
    assert robot.do(FORWARD)[0] < 0.012


@pytest.mark.parametrize('mode', ['step', 'continuous'])
def test_open_loop_remembers_where_it_saw_what(mode):
    robot = Robot(stop_distance=0.3, allow_open_loop=True, execution_mode=mode)
    scene = Scene(robot, across(0.52), every=20)
    robot.odometry = lambda stamp, pose: scene.look(stamp, pose) and None
    robot.run(1.0)
    for _ in range(2):
        robot.act(FORWARD)
        robot.run_until_standing()
    robot.run(1.0)
    assert scene.here()[:, 0].min() - 0.2 > 0.25


def test_a_base_that_takes_commands_is_told_to_stop():
    robot = Robot(output='command', stop_distance=0.3)
    scene = Scene(robot, [at(3.0)])
    robot.act(FORWARD)
    assert robot.executor.base.take_command().command.kind is Kind.MOVE
    robot.run(0.4)
    assert robot.executor.base.take_command() is None and not robot.executor.stands
    scene.points = np.array(across(0.25))
    robot.run(1.0)
    assert robot.status.result is Result.BLOCKED
    assert robot.executor.base.take_command().command.kind is Kind.STOP


def test_odometry_that_jumps_makes_what_was_seen_void():
    robot = Robot(stop_distance=0.3, recovery_time=0.0)
    Scene(robot, [], every=1000)
    odometry = robot.odometry
    robot.odometry = lambda stamp, pose: odometry(stamp, pose.moved(5.0))
    robot.tick()
    robot.tick()
    assert run(robot, FORWARD).result is Result.INPUT_LOST
    assert 'scan silent' in robot.status.message
