"""
Walks through houses, with what could have been asked on the way and what would have been right.

A walk follows an episode's expert, led astray now and then, as a learner would be. What the robot
remembers of it does not depend on the instruction, so one walk answers many: besides the
episode's own instruction, every thing that has a name and comes into sight is asked for at every
frame ("Go to the red chair."), with the expert's action from there as the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import json
import math
from pathlib import Path
from typing import Any

from janusvln_ros.evaluation.grammar import choose_phrasing, Noun, say
from janusvln_ros.evaluation.scene import Scene
from janusvln_ros.evaluation.splits import build_episode, house_of, route_of, Split
from janusvln_ros.evaluation.tasks import names
from janusvln_ros.policy.preprocessing import resize
from janusvln_ros.sim.camera import CameraModel, random_camera
from janusvln_ros.sim.expert import Expert
from janusvln_ros.sim.house import Furniture, House
from janusvln_ros.sim.world import KinematicWorld, MOVE_FORWARD, STOP, TURN_LEFT, TURN_RIGHT
from janusvln_ros.training.labels import Surroundings
import numpy as np

SEEN = 4  # rays of a picture's 768 that have to meet a thing
UNKNOWN = -1  # action that nobody can know, or that is not to be learned
_ASTRAY = 0.06  # probability at each step that a few random actions follow
_FIRST_TURN = math.radians(50), math.radians(150)  # bearings that 'Turn left.' stands for


@dataclass(frozen=True)
class Ask:
    """Something that can be asked for during a walk."""

    form: str
    slots: dict[str, Noun | str]
    turn: str | None  # 'left' or 'right' where the first landmark is out of view at the start
    actions: np.ndarray  # int8 (T,): the right answer at each frame, or UNKNOWN
    hinted: np.ndarray  # int8 (T,): the same if the instruction begins with the first turn
    bearing: np.ndarray  # float16 (T,): radians to the left, to what is to be reached
    distance: np.ndarray  # float16 (T,): metres, geodesic, to where it is reached
    visible: np.ndarray  # bool (T,): whether the goal is in the picture


@dataclass(frozen=True)
class Walk:
    """Frames with poses, actions and questions."""

    scene: str
    instruction: str  # the episode's own
    frames: np.ndarray  # uint8 (T, H, W, 3)
    poses: np.ndarray  # float64 (T, 3): metres, radians
    taken: np.ndarray  # int8 (T,): what was done after each frame
    labels: np.ndarray  # int8 (T,): what the expert would have done
    asks: tuple[Ask, ...]  # the episode's own first


class Walker:
    """Walks; keeps one world with its drawing context."""

    def __init__(self, camera: CameraModel | None = None) -> None:
        self._camera = camera or CameraModel()
        self._world: KinematicWorld | None = None

    def walk(self, split: Split, index: int, *, most: int, astray: float = _ASTRAY,
             vary: bool = True, things: bool = True,
             act: Callable[[np.ndarray, str, int, int], int | None] | None = None) -> Walk:
        """
        Walk an episode of a split for at most `most` frames.

        vary: change camera and light for half the walks. things: also ask for things. act: called
        with the frame, the instruction, the step and the expert's action; what it gives is done
        instead of the expert's action, unless it is None.
        """
        episode, _ = build_episode(split, index)
        rng = np.random.default_rng([17, split.first_seed, index])
        house = house_of(episode.scene_id)
        scene = Scene(house)
        camera = random_camera(rng, self._camera) if vary and rng.random() < 0.5 else self._camera
        world = self._enter(house, camera, index)
        x, y, yaw = episode.start
        world.reset(x, y, yaw)
        expert = Expert(scene.space, route_of(episode))
        frames, poses, taken, labels, reached = [], [], [], [], []
        lost: list[int] = []
        while len(frames) < most:
            frames.append(world.render())
            poses.append(world.pose)
            labels.append(expert.act(*world.pose))
            reached.append(expert.reached)
            action = None
            if act is not None:
                action = act(frames[-1], episode.instruction.text, len(frames) - 1, labels[-1])
            if action is None:
                if not lost and rng.random() < astray:
                    lost = [int(rng.choice((MOVE_FORWARD, TURN_LEFT, TURN_RIGHT)))
                            ] * int(rng.integers(1, 6))
                action = lost.pop() if lost else labels[-1]
            taken.append(action)
            if action == STOP:
                break
            world.step(action)
        path = np.array(poses)
        own = _own_ask(episode, expert, path, np.array(labels, np.int8), np.array(reached))
        asks = [own]
        if things:
            surroundings = Surroundings(house)
            counts = np.array([surroundings.look(*pose, camera).pieces for pose in poses])
            asks += _things(scene, path, counts.reshape(len(path), -1))
        return Walk(episode.scene_id, episode.instruction.text, np.array(frames), path,
                    np.array(taken, np.int8), np.array(labels, np.int8), tuple(asks))

    def close(self) -> None:
        """Free the drawing context."""
        if self._world is not None:
            self._world.close()

    def _enter(self, house: House, camera: CameraModel, seed: int) -> KinematicWorld:
        if self._world is None:
            self._world = KinematicWorld(house, camera=camera, seed=seed)
        else:
            self._world.load(house, camera=camera, seed=seed)
        return self._world


def _own_ask(episode: Any, expert: Expert, poses: np.ndarray,
             labels: np.ndarray, reached: np.ndarray) -> Ask:
    """Make the episode's own instruction a question."""
    bearing, distance = [], []
    for (x, y, yaw), stage in zip(poses, reached):
        place = route_of(episode)[stage]
        nearest = place[np.hypot(*(place - (x, y)).T).argmin()]
        bearing.append(_bearing(x, y, yaw, nearest))
        distance.append(expert.fields[stage].distance(x, y))
    known = np.full(len(poses), UNKNOWN, np.int8)
    turn = episode.info.get('turn')
    return Ask(episode.info['form'], {'text': episode.instruction.text}, turn,
               known if turn else labels, labels if turn else known,
               np.array(bearing, np.float16), np.array(distance, np.float16),
               np.abs(np.array(bearing)) < math.radians(33))


def _things(scene: Scene, poses: np.ndarray, counts: np.ndarray) -> list[Ask]:
    """Ask for every thing with a name that comes into sight during the walk."""
    asks = []
    for piece in scene.house.furniture:
        nouns = names(scene, piece)
        visible = counts[:, piece.index] >= SEEN
        if not nouns or not visible.any() or not len(scene.around(piece)):
            continue
        known = np.cumsum(visible) > 0
        actions, bearing, distance = _follow(scene, piece, poses)
        first = _bearing(*poses[0], (piece.x, piece.y))
        turn = None
        if _FIRST_TURN[0] < abs(first) < _FIRST_TURN[1] and not known[0]:
            turn = 'left' if first > 0 else 'right'
        told = TURN_LEFT if turn == 'left' else TURN_RIGHT
        hinted = np.full(len(poses), UNKNOWN, np.int8)
        if turn is not None:
            # Until the thing comes into sight, only the turn that was told can be known.
            fits = known | (actions == told)
            hinted = np.where(np.cumprod(fits).astype(bool) | known, actions, UNKNOWN)
        asks.append(Ask('reach', {'a': nouns[0]}, turn,
                        np.where(known, actions, UNKNOWN).astype(np.int8),
                        hinted.astype(np.int8), bearing.astype(np.float16),
                        distance.astype(np.float16), visible))
        if len(nouns) > 1:
            asks.append(Ask('reach', {'a': nouns[1]}, *list(vars(asks[-1]).values())[2:]))
    return asks


def _follow(scene: Scene, piece: Furniture, poses: np.ndarray
            ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the expert's actions towards a thing, its bearing and the distance, at all poses."""
    expert = Expert(scene.space, [scene.around(piece)])
    actions, bearing, distance = [], [], []
    for x, y, yaw in poses:
        try:
            actions.append(expert.act(x, y, yaw))
        except ValueError:  # no way leads there
            actions.append(UNKNOWN)
        bearing.append(_bearing(x, y, yaw, (piece.x, piece.y)))
        distance.append(min(expert.fields[0].distance(x, y), 20.0))
    return np.array(actions), np.array(bearing), np.array(distance)


def _bearing(x: float, y: float, yaw: float, target: Any) -> float:
    return math.remainder(math.atan2(target[1] - y, target[0] - x) - yaw, math.tau)


def phrase(ask: Ask, hint: bool, rng: np.random.Generator) -> str:
    """Put a question into words, as training may."""
    if 'text' in ask.slots:
        return str(ask.slots['text'])
    phrasing, turn_phrasing = choose_phrasing(rng, ask.form, 'en', held_out=False)
    return say(ask.form, ask.slots, language='en', phrasing=phrasing,
               turn=ask.turn if hint else None, turn_phrasing=turn_phrasing)


def save_walk(path: Path, walk: Walk, image_width: int) -> None:
    """Write a walk, with its frames resized as the policy does, to a new .npz file."""
    described = [{'form': ask.form, 'turn': ask.turn, 'slots': {
        key: [value.thing, value.colour] if isinstance(value, Noun) else value
        for key, value in ask.slots.items()}} for ask in walk.asks]
    arrays = {name: np.stack([getattr(ask, name) for ask in walk.asks])
              for name in ('actions', 'hinted', 'bearing', 'distance', 'visible')}
    part = path.with_suffix('.part')
    with part.open('wb') as file:
        np.savez_compressed(
            file, frames=np.stack([resize(frame, image_width) for frame in walk.frames]),
            poses=walk.poses, taken=walk.taken, labels=walk.labels,
            about=np.array(json.dumps({'scene': walk.scene, 'instruction': walk.instruction,
                                       'asks': described}, ensure_ascii=False)), **arrays)
    part.rename(path)


def load_walk(path: Path) -> Walk:
    """Read a walk; ValueError naming the file where it is damaged."""
    try:
        with np.load(path) as file:
            content = dict(file)
        about = json.loads(str(content['about']))
        asks = tuple(
            Ask(ask['form'], {key: Noun(*value) if isinstance(value, list) else value
                              for key, value in ask['slots'].items()}, ask['turn'],
                *(content[name][row]
                  for name in ('actions', 'hinted', 'bearing', 'distance', 'visible')))
            for row, ask in enumerate(about['asks']))
        return Walk(about['scene'], about['instruction'], content['frames'], content['poses'],
                    content['taken'], content['labels'], asks)
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f'{path} is damaged or no walk: {error}') from error
