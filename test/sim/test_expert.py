"""The expert arrives, from everywhere, in the kinematic world."""

import math

from janusvln_ros.actions import Action
from janusvln_ros.sim.expert import Expert
from janusvln_ros.sim.free_space import FreeSpace
from janusvln_ros.sim.generator import generate_house
from janusvln_ros.sim.world import KinematicWorld
import numpy as np
import pytest


def walk(world, expert, limit=300):
    """Walk until Action.STOP; return the actions, and metres."""
    actions, metres = [], 0.0
    while len(actions) < limit:
        actions.append(expert.act(*world.pose))
        if actions[-1] == Action.STOP:
            break
        before = world.pose
        world.step(actions[-1])
        metres += math.dist(before[:2], world.pose[:2])
    return actions, metres


@pytest.mark.parametrize('seed', range(8))
def test_arrives_by_a_short_way(seed):
    house = generate_house(seed)
    space, world = FreeSpace(house), KinematicWorld(house)
    rng = np.random.default_rng(seed)
    for _ in range(4):
        start, goal = space.points[rng.integers(len(space.points), size=2)]
        shortest = space.field(goal).distance(*start)
        if shortest < 2.0 or not space.field(goal).reaches(*start):
            continue
        world.reset(*start, rng.uniform(-math.pi, math.pi))
        expert = Expert(space, [goal[None]])
        actions, metres = walk(world, expert)
        assert actions[-1] == Action.STOP
        assert space.field(goal).distance(*world.pose[:2]) < 0.5
        assert shortest / max(shortest, metres) > 0.9


def test_takes_over_from_any_state():
    """Wherever a policy has run the robot into something, the expert leads it out."""
    house = generate_house(11, rooms=3)
    space, world = FreeSpace(house), KinematicWorld(house)
    rng = np.random.default_rng(2)
    goal = space.points[len(space.points) // 2]
    expert = Expert(space, [goal[None]])
    arrived = 0
    for _ in range(15):
        while True:
            start = space.points[rng.integers(len(space.points))]
            if space.field(goal).reaches(*start):
                break
        world.reset(*start, rng.uniform(-math.pi, math.pi))
        for _ in range(40):  # a drunken policy, mostly forward into things
            world.step(int(rng.choice([1, 1, 1, 2, 3])))
        actions, _ = walk(world, expert)
        arrived += actions[-1] == Action.STOP
    assert arrived == 15


def test_visits_come_first_and_in_order():
    house = generate_house(4, rooms=1)
    space, world = FreeSpace(house), KinematicWorld(house)
    rng = np.random.default_rng(0)
    first, second, start = space.points[rng.integers(len(space.points), size=3)]
    world.reset(*start, 0.0)
    expert = Expert(space, [first[None], second[None]])
    near = []
    while (action := expert.act(*world.pose)) != Action.STOP:
        near.append(space.field(first).distance(*world.pose[:2]) < 0.5)
        world.step(action)
        assert len(near) < 300
    assert any(near)
    assert space.field(second).distance(*world.pose[:2]) < 0.5
    assert expert.reached == 1
    expert.reset()
    assert expert.reached == 0


def test_turns_to_the_nearer_side():
    house = generate_house(0, rooms=1)
    space = FreeSpace(house)
    clear = space.points[space.clearance_at(space.points) > 0.55]
    for goal in clear[::37]:
        x, y = clear[0]
        if math.dist((x, y), goal) > 1.0 and space.line_is_free((x, y), goal, 0.4):
            expert = Expert(space, [goal[None]])
            bearing = math.atan2(goal[1] - y, goal[0] - x)
            assert expert.act(x, y, bearing) == Action.MOVE_FORWARD
            assert expert.act(x, y, bearing - 1.0) == Action.TURN_LEFT
            assert expert.act(x, y, bearing + 1.0) == Action.TURN_RIGHT
            return
    pytest.fail('no clear line in the room')


def test_an_empty_route_is_refused():
    with pytest.raises(ValueError, match='the route is empty'):
        Expert(FreeSpace(generate_house(0)), [])
