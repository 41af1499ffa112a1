"""
An expert, or a learner, walks through houses; what could be asked on the way is asked.

A walk follows an episode's expert, led astray now and then, as a learner would be. Besides the
episode's own instruction, every thing that has a name and comes into sight is asked for at every
frame ("Go to the red chair."), and so is whatever else could be asked where the walk begins, or
where it would begin if its first frames were left out, with the expert's action as the answer.
"""

from __future__ import annotations

from collections.abc import Callable

from janusvln_ros.actions import Action
from janusvln_ros.episodes.driven import DrivenWorld
from janusvln_ros.episodes.scene import scene_of
from janusvln_ros.episodes.splits import build_episode, route_of, Split
from janusvln_ros.sim.camera import CameraModel, random_camera
from janusvln_ros.sim.expert import Expert
from janusvln_ros.sim.house import House
from janusvln_ros.training.data.labels import Surroundings
from janusvln_ros.training.data.questions import (
    begin_later,
    own_question,
    task_questions,
    thing_questions,
)
from janusvln_ros.training.data.walks import Walk
import numpy as np

SEEN = 4  # rays of a picture's 768 that have to meet a thing
_WHEEL_ERROR = 0.02  # of a driven body
_ASTRAY = 0.06  # probability at each step that a few random actions follow


class Walker:
    """Walks; keeps one world with its drawing context."""

    def __init__(self, camera: CameraModel | None = None) -> None:
        self._camera = camera or CameraModel()
        self._world: DrivenWorld | None = None

    def walk(
        self,
        split: Split,
        index: int,
        *,
        most: int,
        astray: float = _ASTRAY,
        vary: bool = True,
        no_slide: float = 0.0,
        driven: float = 0.0,
        things: bool = True,
        act: Callable[[np.ndarray, str, int, int], int | None] | None = None,
    ) -> Walk:
        """
        Walk an episode of a split for at most `most` frames.

        vary: change camera and light for half the walks. no_slide: share of the walks in which the
        robot stands before what it runs into, instead of sliding on along it. driven: share of the
        walks in which a real body is driven in physics. things: also ask for things. act: called
        with the frame, the instruction, the step and the expert's action; what it gives is done
        instead of the expert's action, unless it is None.
        """
        episode, _ = build_episode(split, index)
        rng = np.random.default_rng([17, split.first_seed, index])
        scene = scene_of(episode.scene_id)
        camera = random_camera(rng, self._camera) if vary and rng.random() < 0.5 else self._camera
        world = self._enter(scene.house, camera, index)
        # A draw of its own: the other walks stay what they are.
        body = np.random.default_rng([19, split.first_seed, index]).random()
        world.slide, world.driven = body >= no_slide, body >= 1.0 - driven
        x, y, yaw = episode.start
        world.reset(x, y, yaw)
        expert = Expert(scene.space, route_of(episode))
        frames: list[np.ndarray] = []
        poses, taken, labels = [], [], []
        lost: list[int] = []
        while len(frames) < most:
            try:
                right = expert.act(*world.pose)
            except ValueError:  # a body was pushed to where no way leads from
                break
            frames.append(world.render())
            poses.append(world.pose)
            labels.append(right)
            action = None
            if act is not None:
                action = act(frames[-1], episode.instruction.text, len(frames) - 1, labels[-1])
            if action is None:
                if not lost and rng.random() < astray:
                    wrong = int(rng.choice(list(Action)[1:]))
                    lost = [wrong] * int(rng.integers(1, 6))
                action = lost.pop() if lost else labels[-1]
            taken.append(action)
            if action == Action.STOP:
                break
            if world.step(action) and world.driven:
                world.recover()
        path, done = np.array(poses), np.array(taken, np.int8)
        questions = [own_question(episode, scene, path)]
        if things:
            surroundings = Surroundings(scene.house)
            counts = np.array([surroundings.look(*pose, camera).pieces for pose in poses])
            visible = counts.reshape(len(path), -1) >= SEEN
            firsts = [
                0,
                *sorted(rng.choice(np.arange(1, len(path)), min(2, len(path) - 1), replace=False)),
            ]
            things_asked = thing_questions(scene, path, visible)
            for first in map(int, firsts):
                questions += [
                    begin
                    for question in things_asked
                    if (begin := begin_later(question, path, first)) is not None
                ]
                questions += task_questions(scene, path, done, first, rng)
        return Walk(
            episode.scene_id,
            episode.instruction.text,
            np.array(frames),
            path,
            done,
            np.array(labels, np.int8),
            tuple(questions),
        )

    def close(self) -> None:
        """Free the drawing context."""
        if self._world is not None:
            self._world.close()

    def _enter(self, house: House, camera: CameraModel, seed: int) -> DrivenWorld:
        if self._world is None:
            self._world = DrivenWorld(house, camera=camera, seed=seed, wheel_error=_WHEEL_ERROR)
        else:
            self._world.load(house, camera=camera, seed=seed)
        return self._world
