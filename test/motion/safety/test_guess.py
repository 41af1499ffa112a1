"""The guard of what the network guesses: what it remembers, when it slows, stops, and waits."""

import math

from janusvln_ros.motion.commands import Kind
from janusvln_ros.motion.geometry import Pose
from janusvln_ros.motion.safety.footprint import BodyParameters
from janusvln_ros.motion.safety.guess import Guess, GuessParameters
from janusvln_ros.motion.safety.rays import Mount
from janusvln_ros.motion.safety.sensors import Use
from janusvln_ros.motion.safety.standing import Picture, Standing
from janusvln_ros.motion.types import Result, State
import numpy as np
from pictures import depth_of, HEIGHT, LENS, picture
import pytest
from robot import FORWARD, LEFT, Robot, START
from sights import Driver, see, wall

FRONT = 0.2  # m, of the default body
STOOL = 0.5  # m high: out of view within 1.2 m


def guard(use=Use.STOP, slowest=0.0, **values):
    driver = Driver()
    guess = Guess(use, BodyParameters(), driver)
    guess.driver = driver
    guess.configure(GuessParameters(**values), slowest=slowest, fastest=0.3, braking=0.5)
    return guess


def show(guess, seen, now, frame='camera'):
    """Let a guard have a picture that was just taken; return what is wrong with it."""
    return guess.on_picture(frame, now, now, lambda: seen)


def at(guess, x=0.0, yaw=0.0):
    guess.driver.pose = Pose(x, 0.0, yaw)


def says(guess, now):
    verdict = guess.verdict(now)
    return (verdict.result, verdict.message) if verdict else (Result.NONE, '')


def test_a_wall_stops_it_and_the_message_says_that_it_is_a_guess():
    guess = guard()
    assert show(guess, picture((1.0, 2.0)), 1.0) == ''
    assert says(guess, 1.0) == (Result.NONE, '')
    assert guess.room(1.0) == pytest.approx(1.0 - FRONT - 0.4, abs=0.03)
    at(guess, 0.5)
    result, message = says(guess, 1.0)
    assert result is Result.BLOCKED
    assert "network's guess" in message and "no sensor's" in message and '0.40 m' in message


def test_a_hint_only_slows_and_is_not_missed():
    guess = guard(Use.SLOW)
    assert says(guess, 1.0) == (Result.NONE, '') and math.isinf(guess.fastest(1.0))
    assert 'geometry_heads' in guess.told(1.0)
    show(guess, picture((1.0, 2.0)), 1.0)
    assert guess.fastest(1.0) == pytest.approx(0.3 * 0.4 / 0.6, abs=0.02)
    at(guess, 0.7)
    assert guess.fastest(1.0) == 0.1 and math.isinf(guess.room(1.0))
    assert says(guess, 1.0) == (Result.NONE, '') and not guess.waits(1.0)
    assert 'something at 0.1' in guess.told(1.0)


def test_who_does_not_ask_is_not_touched():
    guess = guard(Use.NONE)
    show(guess, picture((0.3, 2.0)), 1.0)
    assert says(guess, 9.0) == (Result.NONE, '') and math.isinf(guess.fastest(9.0))
    assert guess.told(9.0) == 'not asked for'


def test_a_base_that_cannot_go_slowly_stands_earlier():
    guess = guard(slowest=0.2)
    show(guess, picture((1.0, 2.0)), 1.0)
    assert guess.room(1.0) == pytest.approx(0.4 - 0.2**2 / 2 / 0.5, abs=0.03)
    at(guess, 0.39)
    assert guess.fastest(1.0) == 0.2 and says(guess, 1.0)[0] is Result.BLOCKED


def test_as_a_stop_it_does_not_drive_without_and_says_why():
    guess = guard()
    assert says(guess, 1.0)[0] is Result.INPUT_LOST and 'camera_height' in says(guess, 1.0)[1]
    show(guess, picture(), 1.0)
    assert says(guess, 5.9) == (Result.NONE, '')
    assert says(guess, 6.1)[0] is Result.INPUT_LOST and '5.1 s old' in says(guess, 6.1)[1]
    at(guess, yaw=0.4)
    assert '23 degrees from here' in says(guess, 1.1)[1]
    at(guess, 1.1)
    assert '1.1 m and' in says(guess, 1.1)[1]


@pytest.mark.parametrize('wants', [(0.0, 0.26), (-0.25, 0.0), (0.0, 0.0)])
def test_turning_and_driving_back_are_not_its_matter(wants):
    guess = guard()
    guess.driver.wants = wants
    assert says(guess, 1.0) == (Result.NONE, '') and not guess.waits(1.0)
    show(guess, picture((0.3, 2.0)), 1.0)
    assert says(guess, 1.0) == (Result.NONE, '') and math.isinf(guess.room(1.0))


def test_what_has_left_the_view_is_remembered():
    guess = guard()
    show(guess, picture((1.8, STOOL)), 1.0)
    for step in range(1, 5):
        at(guess, 0.25 * step)
        show(guess, picture((1.8 - 0.25 * step, STOOL)), 1.0 + step)
    assert 1.8 - 1.0 < (HEIGHT - STOOL) / (42 / 68)  # not in the picture any more
    assert guess.room(5.0) == pytest.approx(1.8 - 1.0 - FRONT - 0.4, abs=0.05)
    at(guess, 1.25)
    assert says(guess, 5.0)[0] is Result.BLOCKED


def test_three_newer_pictures_take_away_what_they_see_through():
    guess = guard()
    show(guess, picture((1.8, STOOL)), 1.0)
    for now in (2.0, 3.0):
        show(guess, picture(), now)
        assert guess.room(now) == pytest.approx(1.8 - FRONT - 0.4, abs=0.05)
    show(guess, picture(), 4.0)
    assert math.isinf(guess.room(4.0))
    show(guess, picture((1.4, 2.0)), 5.0)
    for now in (6.0, 7.0, 8.0):
        show(guess, picture((1.6, 2.0)), now)  # the same, seen better
    assert guess.room(8.0) == pytest.approx(1.6 - FRONT - 0.4, abs=0.03)
    show(guess, picture((0.9, 2.0)), 9.0)  # hides what is behind
    at(guess, 0.2)
    assert guess.room(9.0) == pytest.approx(0.9 - 0.2 - FRONT - 0.4, abs=0.03)


def test_a_thing_that_comes_and_goes_stays():
    guess = guard()
    for step in range(9):  # every third picture shows it
        at(guess, 0.1 * step)
        things = () if step % 3 else ((1.8 - 0.1 * step, STOOL),)
        show(guess, picture(*things), 1.0 + step)
        assert guess.room(1.0 + step) < 1.8 - 0.1 * step


def test_low_things_are_told_by_the_floor_that_the_picture_shows():
    for off in (0.9, 1.0, 1.1):  # a floor that is guessed too near is as high as they are
        guess = guard()
        show(guess, Picture(off * depth_of(), LENS, Mount.of(z=HEIGHT).optical), 1.0)
        assert math.isinf(guess.room(1.0))
        low = off * depth_of((1.9, 0.2))
        show(guess, Picture(low, LENS, Mount.of(z=HEIGHT).optical), 2.0)
        assert guess.room(2.0) == pytest.approx(off * 1.9 - FRONT - 0.4, abs=0.05)


def test_what_is_seen_again_and_again_is_kept_once():
    standing = Standing(BodyParameters())
    sizes = set()
    for _ in range(3):
        assert standing.see(picture((1.02, 2.0)), Pose(), 0.4) > 0.99
        sizes.add(len(standing))
    assert len(sizes) == 1 and sizes.pop() > 10
    standing.see(picture(), Pose(9.0, 0.0, 0.0), 0.4)
    assert not len(standing)  # far away by now


def test_a_floor_that_seems_too_near_and_single_points_are_nothing():
    guess = guard()
    seen = np.minimum(0.85 * depth_of(), 5.0)
    seen[30, 56] = seen[20, 50] = 0.7
    show(guess, Picture(seen, LENS, Mount.of(z=HEIGHT).optical), 1.0)
    assert math.isinf(guess.room(1.0))


def test_a_camera_that_looks_down_sees_what_it_sees():
    tilted = Mount.of(x=0.1, z=HEIGHT, pitch=0.3)
    level = depth_of()
    rows = (np.arange(84) + 0.5 - 42) / 68
    floor = HEIGHT / np.maximum(np.sin(0.3) + rows * np.cos(0.3), 1e-3)
    seen = np.minimum(np.broadcast_to(floor[:, None], level.shape), 6.0)
    guess = guard()
    assert show(guess, Picture(seen, LENS, tilted.optical), 1.0) == ''
    assert math.isinf(guess.room(1.0))


@pytest.mark.parametrize(
    ('seen', 'word'),
    [
        (np.full((84, 112), math.nan), '0 % of its pixels'),
        (np.where(np.arange(112) % 3, math.nan, 4.0) * np.ones((84, 1)), 'are needed'),
    ],
)
def test_a_picture_that_does_not_know_the_way_is_none(seen, word):
    guess = guard()
    assert word in show(guess, Picture(seen, LENS, Mount.of(z=HEIGHT).optical), 1.0)
    result, message = says(guess, 1.0)
    assert result is Result.INPUT_LOST and 'the newest was refused' in message and word in message
    sideways = Picture(depth_of(), LENS, Mount.of(z=HEIGHT, yaw=math.pi).optical)
    assert 'does the camera look' in show(guess, sideways, 2.0)


def test_messages_that_cannot_be():
    guess = guard()
    assert show(guess, picture(), 0.0) == 'it has no stamp'
    assert 'clocks' in guess.on_picture('camera', 1.0, 9.0, picture)
    show(guess, picture(), 2.0)
    assert 'go back' in show(guess, picture(), 1.5)
    assert '"elsewhere"' in show(guess, picture(), 3.0, 'elsewhere')

    def refuse():
        raise ValueError('no depth')

    assert guess.on_picture('camera', 4.0, 4.0, refuse) == 'no depth'
    assert says(guess, 4.0) == (Result.NONE, '')  # what was seen before is fresh
    guess.forget()
    assert says(guess, 4.0)[0] is Result.INPUT_LOST


# ---- in the executor ----


def look(robot, *things):
    """Let a robot's executor have a picture from where it stands."""
    now = robot.now
    assert robot.executor.guess.on_picture('camera', now, now, lambda: picture(*things)) == ''


def test_the_robot_waits_for_the_depth_of_the_picture_it_acts_on():
    robot = Robot(guessed_depth='stop')
    start = robot.base.pose
    assert robot.act(FORWARD) == ''
    robot.run(0.5)
    assert robot.status.state is State.MOVING and robot.base.pose == start
    look(robot)
    robot.run_until_standing()
    assert robot.status.result is Result.SUCCEEDED
    assert robot.base.pose.seen_from(start)[0] == pytest.approx(0.25, abs=0.02)


def test_depth_that_does_not_come_leaves_it_where_it_is():
    robot = Robot(guessed_depth='stop')
    start = robot.base.pose
    robot.act(FORWARD)
    robot.run_until_standing(2.0)
    assert robot.status.result is Result.INPUT_LOST and robot.base.pose == start
    robot.assert_stands()
    robot.do(LEFT)
    assert robot.status.result is Result.SUCCEEDED


def test_a_base_that_takes_commands_gets_none_before_depth_is_there():
    robot = Robot(guessed_depth='stop', output='command')
    sent = []

    def run(seconds):
        for _ in range(round(seconds / 0.02)):
            robot.tick()
            sent.append(robot.executor.base.take_command())

    robot.act(FORWARD)
    assert robot.executor.base.take_command() is None
    run(0.5)
    assert not any(sent)
    look(robot)
    run(0.1)
    assert [one.command.kind for one in sent if one] == [Kind.MOVE]
    assert robot.executor.on_done('a', 0, 0.25, robot.now) == ''
    run(0.5)
    robot.executor.guess.forget()
    robot.act(FORWARD)
    run(1.5)
    assert robot.status.result is Result.INPUT_LOST
    assert [one.command.kind for one in sent if one] == [Kind.MOVE, Kind.STOP]


def test_depth_that_ends_on_the_way_stops_it():
    robot = Robot(guessed_depth='stop', guess_timeout=0.5)
    look(robot)
    robot.act(FORWARD)
    robot.run_until_standing(2.0)
    assert robot.status.result is Result.INPUT_LOST
    robot.assert_stands()


def test_it_drives_up_to_a_wall_and_no_farther():
    robot = Robot(guessed_depth='stop')
    start = robot.base.pose
    for _ in range(8):
        driven = robot.base.pose.seen_from(start)[0]
        look(robot, (1.5 - driven, 2.0))
        robot.act(FORWARD)
        robot.run_until_standing()
    assert robot.status.result is Result.BLOCKED
    driven = robot.base.pose.seen_from(start)[0]
    assert 1.5 - driven - FRONT == pytest.approx(0.4, abs=0.05)


def test_a_hint_slows_it_down_and_lets_it_arrive():
    times = []
    for things in ([], [(0.6, 2.0)]):
        robot = Robot(guessed_depth='slow')
        look(robot, *things)
        robot.do(FORWARD)
        assert robot.status.result is Result.SUCCEEDED
        times.append(robot.now)
    assert times[1] > times[0] + 0.8


def test_it_clears_nothing_that_a_sensor_reports_and_replaces_none():
    robot = Robot(guessed_depth='stop', stop_distance=0.3)
    look(robot)
    robot.act(FORWARD)
    robot.run_until_standing(0.5)
    assert 'scan silent' in robot.status.message
    see(robot.executor.obstacles, wall(0.4), robot.now)
    robot.act(FORWARD)
    robot.run_until_standing(0.5)
    assert robot.status.result is Result.BLOCKED and 'guess' not in robot.status.message


@pytest.mark.parametrize('share', [1.0, 0.5, 0.3, 0.1])
def test_what_seems_to_be_within_the_robot_is_in_its_way_or_not_known(share):
    robot = Robot(guessed_depth='stop')
    depth = np.minimum(depth_of((0.62, 2.0)), 9.0) * share
    near = Picture(depth, LENS, Mount.of(z=HEIGHT).optical)
    for _ in range(4):
        show(robot.executor.guess, near, robot.now)
        robot.act(FORWARD)
        robot.run_until_standing()
    assert robot.status.result in (Result.BLOCKED, Result.INPUT_LOST)
    assert robot.base.pose.seen_from(START)[0] < 0.05


def test_odometry_that_may_begin_elsewhere_after_a_silence_makes_it_forget():
    robot = Robot(guessed_depth='stop')
    look(robot, (0.5, 2.0))
    assert robot.act(FORWARD) == ''
    robot.run_until_standing()
    assert robot.status.result is Result.BLOCKED
    flows, robot.odometry = robot.odometry, lambda stamp, pose: None
    robot.run(0.7)
    robot.odometry = flows
    robot.run(1.2)
    robot.act(FORWARD)
    robot.run_until_standing()
    assert robot.status.result is Result.INPUT_LOST
