"""Driving in physics cut into steps: what an expert sent, where a hand on a joystick went."""

from __future__ import annotations

import math

from janusvln_ros.actions import Action
from janusvln_ros.episodes.driven import DrivenWorld
from janusvln_ros.episodes.joystick import drive
from janusvln_ros.episodes.scene import scene_of
from janusvln_ros.episodes.splits import build_episode, find_split, route_of
from janusvln_ros.motion.types import Mode
from janusvln_ros.sim.expert import Expert
from janusvln_ros.sim.physics import WheelOdometry
from janusvln_ros.sim.world import KinematicWorld
from janusvln_ros.training.data.segmenter import segment
from janusvln_ros.training.data.track import Track
import numpy as np
import pytest

pytestmark = pytest.mark.slow


def watched(world: DrivenWorld) -> Track:
    track = Track()

    def watch(seen: WheelOdometry) -> None:
        track.add(round(seen.time * 1e9), seen.x, seen.y, seen.yaw)

    world.watch = watch
    return track


@pytest.mark.parametrize('mode', list(Mode))
def test_what_an_expert_sent_is_found_in_the_odometry_alone(mode):
    episode, _ = build_episode(find_split('val_unseen'), 0)
    scene = scene_of(episode.scene_id)
    world = DrivenWorld(scene.house, wheel_error=0.02, mode=mode)
    world.reset(*episode.start)
    track, expert, sent = watched(world), Expert(scene.space, route_of(episode)), []
    while not sent or sent[-1] != Action.STOP:
        sent.append(expert.act(*world.pose))
        world.step(sent[-1])
    world.rest(1.0)
    assert segment(track).actions == sent


def test_steps_of_a_smooth_drive_end_where_it_ended():
    off = []
    for index in (0, 2, 3):
        episode, _ = build_episode(find_split('val_unseen'), index)
        scene = scene_of(episode.scene_id)
        world, again = DrivenWorld(scene.house), KinematicWorld(scene.house)
        world.reset(*episode.start)
        track = watched(world)
        assert drive(world, scene.space, route_of(episode), np.random.default_rng([5, index]))
        again.reset(*episode.start)
        for action in segment(track).actions:
            again.step(action)
        off.append(math.dist(again.pose[:2], world.pose[:2]))
        turned = math.remainder(again.pose[2] - world.pose[2], math.tau)
        assert abs(turned) < math.radians(15.0)
    assert np.median(off) < 0.15 and max(off) < 0.4
