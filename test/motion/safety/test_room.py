"""Obstacles on the way of a robot that drives."""

import math

from janusvln_ros.motion.types import Result, State
import pytest
from robot import FORWARD, LEFT, Robot, START, ZERO


class Wall:
    """Something across the way, seen by a scanner at 10 Hz."""

    def __init__(self, robot, distance):
        self.robot, self.distance = robot, distance
        self.start, self._tick = robot.base.pose, 0
        robot.executor.obstacles.on_clear_distance('scan', distance, robot.now)
        self._odometry = robot.odometry
        robot.odometry = self.look

    @property
    def clear(self):
        return self.distance - self.robot.base.pose.seen_from(self.start)[0]

    def look(self, stamp, pose):
        self._tick += 1
        if self._tick % 5 == 0:
            self.robot.executor.obstacles.on_clear_distance('scan', self.clear, self.robot.now)
        return self._odometry(stamp, pose)


def test_obstacle_ahead_blocks_forward_motion_only():
    robot = Robot(stop_distance=0.3)
    Wall(robot, 0.25)
    robot.act(FORWARD)
    robot.run_until_standing()
    assert robot.status.result is Result.BLOCKED and robot.status.state is State.IDLE
    assert robot.base.pose.seen_from(START)[0] == 0.0
    assert robot.do(LEFT)[1] < math.radians(1.0)


def test_robot_comes_to_rest_before_an_obstacle():
    robot = Robot(stop_distance=0.3)
    wall = Wall(robot, 0.42)
    robot.act(FORWARD)
    robot.run_until_standing()
    assert robot.status.result is Result.BLOCKED
    assert wall.clear == pytest.approx(0.3, abs=0.015)
    robot.assert_stands()


def test_far_obstacle_does_not_matter():
    robot = Robot(stop_distance=0.3)
    Wall(robot, 0.6)
    assert robot.do(FORWARD)[0] < 0.012


def test_without_a_fresh_scan_there_is_no_forward_motion():
    robot = Robot(stop_distance=0.3)
    robot.act(FORWARD)
    robot.run_until_standing()
    assert robot.status.result is Result.INPUT_LOST and 'scan' in robot.status.message
    robot.executor.obstacles.on_clear_distance('scan', math.nan, robot.now)  # says nothing
    robot.act(FORWARD)
    robot.run_until_standing()
    assert robot.status.result is Result.INPUT_LOST
    robot.executor.obstacles.on_clear_distance('scan', math.inf, robot.now)
    robot.act(FORWARD)
    robot.run(0.4)
    assert robot.commanded.linear > 0.0
    robot.run(0.2)  # the scan of the start is too old by now
    assert robot.commanded == ZERO
    robot.assert_stands()
