"""The tracker on a base that does exactly what it is told, plus what is done to it here."""

import math

from janusvln_ros.motion.geometry import Pose
from janusvln_ros.motion.tracking import CommandHistory, DrivingParameters, Goal, Tracker
from janusvln_ros.motion.types import Velocity
import pytest

DT = 0.02
CONFIG = DrivingParameters()


def follow(tracker, goal, pose, drift=0.0):
    """Follow a goal; return the poses on the way. drift: rad per m that the base veers."""
    tracker.follow(goal)
    poses = [pose]
    while True:
        velocity, arrived = tracker.step(poses[-1], DT)
        if arrived:
            return poses
        forward = velocity.linear * DT
        poses.append(poses[-1].moved(forward, velocity.angular * DT + drift * forward))
        assert len(poses) < 1000, 'never arrives'


@pytest.mark.parametrize('degrees', [15.0, -15.0, 90.0, 300.0])
def test_turn_does_not_overshoot(degrees):
    goal = math.radians(degrees)
    poses = follow(Tracker(CONFIG), Goal(Pose(yaw=goal), 0.0, drive=False), Pose())
    assert abs(poses[-1].yaw - goal) <= CONFIG.angle_tolerance
    farthest = max(pose.yaw * math.copysign(1.0, goal) for pose in poses)
    assert farthest <= abs(goal) + CONFIG.angle_tolerance / 4.0


@pytest.mark.parametrize('metres', [0.25, 2.0])
def test_move_does_not_overshoot(metres):
    poses = follow(Tracker(CONFIG), Goal(Pose(x=metres), 0.0, drive=True), Pose())
    assert max(pose.x for pose in poses) <= metres + CONFIG.position_tolerance / 4.0
    assert poses[-1].x == pytest.approx(metres, abs=CONFIG.position_tolerance)


def test_base_that_veers_is_kept_on_the_line():
    poses = follow(Tracker(CONFIG), Goal(Pose(x=1.0), 0.0, drive=True), Pose(), drift=0.5)
    assert max(abs(pose.y) for pose in poses) < 0.05  # unsteered: 0.25
    assert abs(poses[-1].y) < 0.03 and abs(poses[-1].yaw) <= CONFIG.angle_tolerance


@pytest.mark.parametrize('aside', [0.03, -0.07, 0.15])
def test_goal_off_the_line_is_driven_to_and_its_heading_taken(aside):
    poses = follow(Tracker(CONFIG), Goal(Pose(x=0.25), 0.0, drive=True), Pose(y=aside))
    assert math.hypot(poses[-1].x - 0.25, poses[-1].y) < 0.02
    assert abs(poses[-1].yaw) <= CONFIG.angle_tolerance


def test_goal_elsewhere_is_turned_to_before_driving():
    goal = Goal(Pose(x=0.5, yaw=math.radians(20.0)), 0.0, drive=True)
    poses = follow(Tracker(CONFIG), goal, Pose(yaw=math.radians(60.0)))
    assert max(abs(pose.y) for pose in poses) < 0.02
    assert poses[-1].x == pytest.approx(0.5, abs=0.02)
    assert poses[-1].yaw == pytest.approx(math.radians(20.0), abs=CONFIG.angle_tolerance)


def test_robot_that_went_too_far_comes_back():
    poses = follow(Tracker(CONFIG, reverse=True), Goal(Pose(), 0.0, drive=True), Pose(x=0.05))
    assert poses[-1].x == pytest.approx(0.0, abs=CONFIG.position_tolerance)


def test_commands_under_way_are_looked_ahead_of():
    history = CommandHistory()
    for i in range(10):
        history.add(0.1 * i, 0.1 * (i + 1), Velocity(0.5, 0.0))
    assert history.predict(Pose(), since=0.75).x == pytest.approx(0.125)
    assert history.predict(Pose(), since=2.0) == Pose()
