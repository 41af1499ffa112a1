"""Places that an episode demands are visited in order, before its goal counts."""

from janusvln_ros.episodes.progress import GoalProgress
from janusvln_ros.sim.free_space import FreeSpace
from janusvln_ros.sim.generator import generate_house
import numpy as np
import pytest


@pytest.fixture(scope='module')
def space():
    return FreeSpace(generate_house(3, rooms=1))


def test_there_and_back_needs_the_way_there(space):
    start, far = space.points[0], space.points[-1]
    progress = GoalProgress(space, [far[None], start[None]], radius=0.5)
    assert progress.observe(*start) == pytest.approx(0.0, abs=0.05)
    assert not progress.visited
    assert progress.observe(*far) > 0.5
    assert progress.visited
    assert progress.observe(*start) == pytest.approx(0.0, abs=0.05) and progress.visited


def test_places_count_in_their_order(space):
    first, second, goal = (space.points[i] for i in (0, len(space.points) // 2, -1))
    progress = GoalProgress(space, [first[None], second[None], goal[None]], radius=0.4)
    progress.observe(*second)
    progress.observe(*first)
    assert not progress.visited
    progress.observe(*second)
    assert progress.visited


def test_a_goal_alone_demands_nothing(space):
    progress = GoalProgress(space, [np.array([space.points[0]])], radius=0.5)
    assert progress.visited
