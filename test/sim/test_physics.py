"""The base with its dynamics: it drives, turns, brakes, collides, and stops by itself."""

import math

from janusvln_ros.sim.generator import generate_house
from janusvln_ros.sim.house import clearance, free_start, Furniture, House, ROBOT_RADIUS, Room
from janusvln_ros.sim.physics import COMMAND_TIMEOUT, MAX_SPEED, MAX_TURN_RATE, PhysicsWorld
import numpy as np
import pytest

HALL = House(0, (Room(0, 'office', -3.0, -3.0, 3.0, 3.0),), (), ())


def drive(world: PhysicsWorld, speed: float, turn_rate: float, seconds: float) -> None:
    """Command a velocity ten times a second."""
    for _ in range(round(seconds * 10)):
        world.set_velocity(speed, turn_rate)
        world.advance(0.1)


@pytest.fixture
def world():
    made = PhysicsWorld(HALL, (0.0, 0.0, 0.0))
    made.advance(0.5)
    return made


def test_it_stands_still_without_commands(world: PhysicsWorld):
    before = world.pose
    world.advance(5.0)
    assert world.pose == pytest.approx(before, abs=1e-5)
    assert world.time == pytest.approx(5.5)


@pytest.mark.parametrize(
    ('speed', 'turn_rate'),
    [(0.3, 0.0), (-0.2, 0.0), (0.0, 1.0), (0.0, -1.5), (0.3, 0.8), (0.05, 0.1)],
)
def test_it_reaches_and_holds_a_velocity(world: PhysicsWorld, speed: float, turn_rate: float):
    drive(world, speed, turn_rate, 1.5)
    x, y, yaw = world.pose
    drive(world, speed, turn_rate, 1.0)
    later = world.pose
    assert math.dist((x, y), later[:2]) == pytest.approx(
        abs(speed) * abs(np.sinc(turn_rate / 2 / math.pi)), rel=0.03, abs=0.003
    )
    assert math.remainder(later[2] - yaw, math.tau) == pytest.approx(turn_rate, rel=0.03, abs=0.01)
    odometry = world.odometry
    assert odometry.speed == pytest.approx(speed, rel=0.03, abs=0.003)
    assert odometry.turn_rate == pytest.approx(turn_rate, rel=0.03, abs=0.01)


def test_odometry_follows_the_truth(world: PhysicsWorld):
    """From (0, 0, 0) at the start; after a tour of 4 m it is off by centimetres, not more."""
    for speed, turn_rate, seconds in ((0.4, 0.0, 3), (0.0, 1.0, 2), (0.3, -0.6, 6), (0.3, 0, 2)):
        drive(world, speed, turn_rate, seconds)
    drive(world, 0.0, 0.0, 1.0)
    odometry, (x, y, yaw) = world.odometry, world.pose
    assert math.hypot(x, y) > 0.5
    assert math.dist((odometry.x, odometry.y), (x, y)) < 0.08
    assert abs(math.remainder(odometry.yaw - yaw, math.tau)) < 0.05


def test_speed_grows_and_falls_with_limited_acceleration(world: PhysicsWorld):
    world.set_velocity(0.6, 0.0)
    world.advance(0.2)
    assert 0.2 < world.odometry.speed < 0.35
    drive(world, 0.6, 0.0, 1.0)
    world.set_velocity(0.0, 0.0)
    world.advance(0.1)
    assert world.odometry.speed > 0.35
    world.advance(0.6)
    assert world.odometry.speed == pytest.approx(0.0, abs=0.01)


def test_it_stops_by_itself_when_commands_cease(world: PhysicsWorld):
    world.set_velocity(0.3, 0.5)
    world.advance(COMMAND_TIMEOUT - 0.05)
    assert world.odometry.speed == pytest.approx(0.3, abs=0.02)
    world.advance(0.05 + 0.4)
    assert world.odometry.speed == pytest.approx(0.0, abs=0.01)
    before = world.pose
    world.advance(2.0)
    assert world.pose == pytest.approx(before, abs=2e-3)


def test_commands_beyond_the_limits_are_cut(world: PhysicsWorld):
    drive(world, 9.0, 0.0, 1.5)
    assert world.odometry.speed == pytest.approx(MAX_SPEED, rel=0.03)
    drive(world, 0.0, -50.0, 2.0)
    assert world.odometry.turn_rate == pytest.approx(-MAX_TURN_RATE, rel=0.03)


@pytest.mark.parametrize('speed', [math.nan, math.inf])
def test_commands_that_are_no_numbers_are_refused(world: PhysicsWorld, speed: float):
    with pytest.raises(ValueError, match='finite'):
        world.set_velocity(speed, 0.0)


def test_a_wall_stops_it_and_its_wheels_do_not_spin(world: PhysicsWorld):
    drive(world, 0.6, 0.0, 7.0)
    x, y, _ = world.pose
    assert world.in_contact
    assert x == pytest.approx(3.0 - ROBOT_RADIUS, abs=0.01)
    before = world.odometry
    drive(world, 0.6, 0.0, 2.0)
    assert abs(world.odometry.x - before.x) < 0.05
    drive(world, -0.3, 0.0, 2.0)
    assert not world.in_contact and world.pose[0] < 2.4


@pytest.mark.parametrize('category', ['sofa', 'ball', 'shelf', 'lamp'])
def test_furniture_stops_it(category: str):
    half = 0.3
    piece = Furniture(0, category, 'red', 1.5, 0.0, 0.0, half, half, 0.8, 0)
    world = PhysicsWorld(House(0, HALL.rooms, (), (piece,)), (0.0, 0.0, 0.0))
    drive(world, 0.5, 0.0, 5.0)
    assert world.pose[0] == pytest.approx(1.5 - half - ROBOT_RADIUS, abs=0.02)


def test_it_does_not_get_through_anything_in_real_houses():
    rng = np.random.default_rng(0)
    for seed in range(6):
        house = generate_house(seed, rooms=4)
        world = PhysicsWorld(house, free_start(house))
        for _ in range(40):
            drive(world, float(rng.uniform(-0.2, 0.8)), float(rng.uniform(-1.5, 1.5)), 0.6)
            x, y, _ = world.pose
            assert clearance(house.obstacles(), np.array([x, y])) > ROBOT_RADIUS - 0.02
            assert house.is_inside(x, y)


def test_reset_puts_it_back_at_rest(world: PhysicsWorld):
    drive(world, 0.5, 0.5, 2.0)
    time = world.time
    world.reset(-1.0, 1.0, 2.0)
    assert world.time == time
    assert world.pose == pytest.approx((-1.0, 1.0, 2.0))
    world.advance(1.0)
    assert world.pose == pytest.approx((-1.0, 1.0, 2.0), abs=1e-3)
    odometry = world.odometry
    assert (odometry.x, odometry.y, odometry.yaw) == pytest.approx((0, 0, 0), abs=1e-3)


def test_equal_seeds_drive_equally_and_wheels_may_be_wrong():
    poses = []
    for seed, error in ((1, 0.03), (1, 0.03), (2, 0.03), (1, 0.0)):
        world = PhysicsWorld(HALL, (0.0, 0.0, 0.0), wheel_error=error, seed=seed)
        drive(world, 0.3, 0.2, 3.0)
        poses.append((world.odometry.x, world.odometry.y, world.odometry.yaw))
    assert poses[0] == poses[1]
    assert poses[0] != poses[2] and poses[0] != poses[3]
