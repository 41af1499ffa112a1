"""The embedded world with a real body: steps as the executor makes them, and what stops them."""

import math

from janusvln_ros.actions import Action
from janusvln_ros.episodes.driven import DrivenWorld
from janusvln_ros.sim.generator import generate_house
from janusvln_ros.sim.house import ROBOT_RADIUS
import pytest


@pytest.fixture
def world():
    world = DrivenWorld(generate_house(3, rooms=1))
    world.reset(*world.house.rooms[0].centre, 0.0)
    return world


def free_heading(world):
    """Give a heading in which there is a metre of room."""
    x, y, _ = world.pose
    for heading in range(0, 360, 15):
        bare = DrivenWorld(world.house, driven=False)
        bare.reset(x, y, math.radians(heading))
        if not any(bare.step(Action.MOVE_FORWARD) for _ in range(4)):
            return math.radians(heading)
    raise AssertionError('no room')


def test_a_step_is_nearly_exact_and_slips_a_little(world):
    x, y, _ = world.pose
    world.reset(x, y, free_heading(world))
    before = world.pose
    assert not world.step(Action.MOVE_FORWARD)
    after = world.pose
    driven = math.hypot(after[0] - before[0], after[1] - before[1])
    assert driven == pytest.approx(0.25, abs=0.02) and driven != 0.25
    assert not world.step(Action.TURN_LEFT)
    turned = math.remainder(world.pose[2] - after[2], math.tau)
    assert turned == pytest.approx(math.radians(15), abs=math.radians(2))
    assert not world.step(Action.STOP)


@pytest.mark.slow
def test_what_it_runs_into_holds_it_and_turning_frees_it(world):
    hits = 0
    for _ in range(40):
        hits += world.step(Action.MOVE_FORWARD)
    assert hits > 20
    x, y, yaw = world.pose
    room = world.house.rooms[0]
    assert room.x0 - ROBOT_RADIUS < x < room.x1 + ROBOT_RADIUS
    world.recover()
    for _ in range(12):
        world.step(Action.TURN_LEFT)
        world.recover()
    assert not world.step(Action.MOVE_FORWARD)
    assert math.hypot(world.pose[0] - x, world.pose[1] - y) > 0.1


def test_it_may_move_exactly_instead(world):
    world.driven = False
    world.reset(*world.pose)
    x, y, yaw = world.pose
    world.step(Action.TURN_LEFT)
    assert world.pose[2] == pytest.approx(yaw + math.radians(15), abs=1e-12)
    assert world.pose[:2] == (x, y)
