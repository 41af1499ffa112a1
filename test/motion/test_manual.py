"""Driving by hand: a velocity counts while it comes, within its limits, and every guard asks."""

from __future__ import annotations

import math

from janusvln_ros.motion.commands import Command, Kind
from janusvln_ros.motion.types import Result, State, Velocity
import pytest
from robot import FORWARD, Robot, ZERO
from sights import see, wall

PERIOD = 0.06  # s between two velocities


def hold(robot: Robot, velocity: Velocity, seconds: float) -> list[Velocity]:
    """Hold a velocity; return what was commanded; the first refusal fails."""
    commanded = []
    for tick in range(round(seconds / 0.02)):
        if tick % 3 == 0:
            assert give(robot, velocity) == ''
        commanded.append(robot.tick() or ZERO)
    return commanded


def give(robot: Robot, velocity: Velocity, age: float = 0.0) -> str:
    executor = robot.executor
    request = executor.manual.request(velocity, robot.now - age, robot.now)
    return executor.on_request(request, robot.now)


@pytest.mark.parametrize('mode', ['step', 'continuous'])
def test_it_keeps_the_velocity_within_its_limits(mode):
    robot = Robot(execution_mode=mode)
    commanded = hold(robot, Velocity(9.0, -9.0), 15.0)  # longer than a motion's time allowance
    assert commanded[-1].linear == pytest.approx(0.2, abs=1e-3)
    assert commanded[-1].angular == pytest.approx(-0.6, abs=1e-3)
    steps = [b.linear - a.linear for a, b in zip(commanded, commanded[1:])]
    assert max(map(abs, steps)) <= 0.5 * 0.02 + 1e-9  # the executor's acceleration
    hold(robot, ZERO, 2.0)
    assert robot.status.state is State.IDLE and robot.base.linear == 0.0


def test_silence_halts_it_within_its_time():
    robot = Robot()
    hold(robot, Velocity(0.2), 1.0)
    give(robot, Velocity(0.2))
    last = robot.now
    while robot.tick() != ZERO:
        assert robot.now - last < 0.29
    robot.assert_stands()
    assert robot.status.result is Result.INPUT_LOST and 'silent' in robot.status.message


def test_a_velocity_that_is_old_repeated_or_no_number_counts_for_nothing():
    robot = Robot()
    for velocity, age in (
        (Velocity(0.2), 0.3),
        (Velocity(0.2), -0.2),
        (Velocity(math.nan), 0.0),
        (Velocity(0.0, math.inf), 0.0),
    ):
        with pytest.raises(ValueError, match='by hand'):
            give(robot, velocity, age)
    give(robot, ZERO)
    with pytest.raises(ValueError, match='older than the one before'):
        give(robot, Velocity(0.2))
    robot.assert_stands()


def test_the_hand_stops_an_action_and_keeps_others_away():
    robot = Robot.on_the_way()
    assert give(robot, Velocity(0.1)) == 'another action was moving'
    robot.tick()
    give(robot, ZERO)
    while not robot.executor.stands:
        robot.tick()
        give(robot, ZERO)
    assert robot.act(FORWARD) == 'a person drives by hand'
    assert robot.ask(Command(Kind.MOVE, 0.1)) == 'a person drives by hand'
    robot.run(0.4)
    position, _ = robot.do(FORWARD)
    assert position < 0.012


def test_pressing_again_goes_on_while_it_still_settles():
    robot = Robot()
    hold(robot, Velocity(0.2), 1.0)
    hold(robot, ZERO, 0.3)
    assert not robot.executor.stands
    assert hold(robot, Velocity(0.2), 1.0)[-1].linear > 0.15


def test_it_stands_before_an_obstacle_and_halts_when_one_comes_near():
    robot = Robot(stop_distance=0.4)
    start, gap = robot.base.pose, 1.0

    def drive(seconds: float, velocity: Velocity) -> None:
        for _ in range(round(seconds / 0.02)):
            driven = robot.base.pose.seen_from(start)[0]
            see(robot.executor.obstacles, wall(gap - driven), robot.now)
            give(robot, velocity)
            robot.tick()

    drive(10.0, Velocity(0.2))
    driven = robot.base.pose.seen_from(start)[0]
    assert 0.38 < driven < 0.41 and robot.commanded.linear < 1e-3
    gap -= 0.3
    drive(0.3, Velocity(0.2))
    assert robot.commanded == ZERO
    drive(1.0, Velocity(0.2))
    assert 'obstacle ahead' in robot.status.message and robot.executor.stands
    assert give(robot, Velocity(0.2)) == 'the robot has halted under the hand: let go first'
    robot.tick()
    drive(1.0, ZERO)
    assert give(robot, Velocity(-0.1)) == 'driving backwards is not allowed (allow_reverse)'


def test_the_e_stop_and_a_base_of_commands_refuse_it():
    robot = Robot()
    hold(robot, Velocity(0.2), 0.5)
    robot.executor.on_e_stop(True, robot.now)
    robot.tick()
    assert 'let go first' in give(robot, Velocity(0.2)) and robot.commanded == ZERO
    robot.run_until_standing()
    give(robot, ZERO)
    robot.tick()
    assert give(robot, Velocity(0.2)) == 'e-stop' and robot.commanded == ZERO
    with pytest.raises(ValueError, match='takes commands'):
        give(Robot(output='command'), Velocity(0.2))


@pytest.mark.parametrize('hand', [Velocity(0.2), Velocity(0.0, 0.6), Velocity(0.2, 0.6)])
def test_frozen_odometry_bounds_a_hand_that_lets_go_and_tries_again(hand):
    robot = Robot()
    hear, where = robot.executor.on_odometry, robot.base.pose
    robot.executor.on_odometry = lambda stamp, x, y, yaw, now, *more: hear(
        stamp, where.x, where.y, where.yaw, now, *more
    )
    for tick in range(500):
        if tick % 3 == 0:
            give(robot, hand if tick // 15 % 2 else ZERO)
        robot.tick()
    way = math.hypot(robot.base.pose.x - where.x, robot.base.pose.y - where.y)
    assert 0.0 < way + abs(math.remainder(robot.base.pose.yaw - where.yaw, math.tau))
    assert way <= 0.40
    assert abs(math.remainder(robot.base.pose.yaw - where.yaw, math.tau)) <= math.radians(25)
