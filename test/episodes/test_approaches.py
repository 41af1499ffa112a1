"""Straight drives: what is driven at is what is hit first, and free ways are free."""

from itertools import islice
import math

from janusvln_ros.episodes.approaches import approaches, FREE_WAY, Target, way_ahead
from janusvln_ros.episodes.driven import DrivenWorld
from janusvln_ros.episodes.scene import scene_of
from janusvln_ros.episodes.splits import find_split
from janusvln_ros.motion.types import Result
from janusvln_ros.policy.pinhole import Pinhole
from janusvln_ros.sim.house import ROBOT_RADIUS
import numpy as np
import pytest

SPLIT = find_split('val_unseen_small')


def test_way_ahead_ends_where_the_robot_would_touch():
    box, ball = (2.0, 0.0, 0.0, 0.5, 1.0, 0.0), (0.0, 1.0, 0.0, 0.0, 0.0, 0.3)
    obstacles = np.array([box, ball])
    ahead = way_ahead(obstacles, 0.0, 0.0, 0.0)
    assert ahead.free == pytest.approx(1.5 - ROBOT_RADIUS, abs=0.02) and ahead.obstacle == 0
    aside = way_ahead(obstacles, 0.0, 0.0, math.pi / 2)
    assert aside.free == pytest.approx(0.7 - ROBOT_RADIUS, abs=0.02) and aside.obstacle == 1
    assert way_ahead(obstacles, 0.0, 0.0, math.pi).free == math.inf


@pytest.mark.parametrize('target', Target)
def test_drives_are_what_they_are_called(target):
    drawn = list(islice(approaches(SPLIT, target), 3))
    assert drawn == list(islice(approaches(SPLIT, target), 3))
    for approach in drawn:
        house = scene_of(approach.episode.scene_id).house
        way = way_ahead(house.obstacles(), *approach.start)
        walls = len(house.obstacles()) - len(house.furniture)
        if target is Target.NOTHING:
            assert way.free > FREE_WAY + 1.0
        else:
            assert 1.5 <= way.free <= 3.5
            assert (way.obstacle >= walls) == (target is Target.FURNITURE)


@pytest.mark.slow
@pytest.mark.parametrize('target', [Target.WALL, Target.FURNITURE])
def test_who_sees_true_depth_stands_before_what_it_drives_at(target):
    approach = next(approaches(SPLIT, target))
    house = scene_of(approach.episode.scene_id).house
    world = DrivenWorld(house, parameters={'guessed_depth': 'stop'})
    world.reset(*approach.start)
    camera = world.camera
    lens = Pinhole.of_field(camera.width, camera.height, camera.hfov)
    world.rest(0.1)
    for _ in range(20):
        world.render()
        assert not world.show_depth(world.depth(), (lens.fx, lens.fy), (lens.cx, lens.cy))
        if world.step(1):
            break
    assert world.status.result is Result.BLOCKED and "network's guess" in world.status.message
    assert not world.touches
    assert 0.2 < way_ahead(house.obstacles(), *world.pose).free < 0.8
    world.close()
