"""
Walks through houses, with what could have been asked on the way and what would have been right.

A walk follows an episode's expert, led astray now and then, as a learner would be. What the robot
remembers of it does not depend on the instruction, so one walk answers many: besides the
episode's own instruction, every thing that has a name and comes into sight is asked for at every
frame ("Go to the red chair."), and so is whatever else could be asked where the walk begins, or
where it would begin if its first frames were left out, with the expert's action as the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
import json
import math
from pathlib import Path
from typing import Any

from janusvln_ros.actions import Action
from janusvln_ros.episodes.grammar import choose_phrasing, Noun, say
from janusvln_ros.episodes.scene import HALF_VIEW, Scene, scene_of
from janusvln_ros.episodes.splits import build_episode, reachable, route_of, Split
from janusvln_ros.episodes.tasks import FORMS, names, possible, Task
from janusvln_ros.policy.preprocessing import resize
from janusvln_ros.sim.camera import CameraModel, random_camera
from janusvln_ros.sim.expert import Expert
from janusvln_ros.sim.house import House
from janusvln_ros.sim.world import KinematicWorld
from janusvln_ros.training.data.labels import Surroundings
import numpy as np

SEEN = 4  # rays of a picture's 768 that have to meet a thing
UNKNOWN = -1  # action that nobody can know, or that is not to be learned
_ASTRAY = 0.06  # probability at each step that a few random actions follow
_FIRST_TURN = math.radians(50), math.radians(150)  # bearings that 'Turn left.' stands for
_TRIED = 4  # tasks of a form, until one can be asked
_LOST = 10  # actions that are wrong for a task, after which it is given up
_FARTHEST = 20.0  # m
_COMPOSED = {
    form: propose
    for category, forms in FORMS.items()
    if category != 'reach'
    for form, propose in forms.items()
}


_BY_FRAME = 'actions', 'hinted', 'bearing', 'distance', 'visible'  # fields of Ask


@dataclass(frozen=True)
class Ask:
    """Something that can be asked for during a walk."""

    form: str
    slots: dict[str, Noun | str]
    first: int  # frame that is the robot's first
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

    def begin(self, first: int) -> Walk:
        """Leave out the frames before `first`, and what does not begin there."""
        asks = tuple(
            replace(ask, first=0, **{name: getattr(ask, name)[first:] for name in _BY_FRAME})
            for ask in self.asks
            if ask.first == first
        )
        return replace(
            self,
            asks=asks,
            **{
                name: getattr(self, name)[first:]
                for name in ('frames', 'poses', 'taken', 'labels')
            },
        )


class Walker:
    """Walks; keeps one world with its drawing context."""

    def __init__(self, camera: CameraModel | None = None) -> None:
        self._camera = camera or CameraModel()
        self._world: KinematicWorld | None = None

    def walk(
        self,
        split: Split,
        index: int,
        *,
        most: int,
        astray: float = _ASTRAY,
        vary: bool = True,
        things: bool = True,
        act: Callable[[np.ndarray, str, int, int], int | None] | None = None,
    ) -> Walk:
        """
        Walk an episode of a split for at most `most` frames.

        vary: change camera and light for half the walks. things: also ask for things. act: called
        with the frame, the instruction, the step and the expert's action; what it gives is done
        instead of the expert's action, unless it is None.
        """
        episode, _ = build_episode(split, index)
        rng = np.random.default_rng([17, split.first_seed, index])
        scene = scene_of(episode.scene_id)
        camera = random_camera(rng, self._camera) if vary and rng.random() < 0.5 else self._camera
        world = self._enter(scene.house, camera, index)
        x, y, yaw = episode.start
        world.reset(x, y, yaw)
        expert = Expert(scene.space, route_of(episode))
        frames, poses, taken, labels = [], [], [], []
        lost: list[int] = []
        while len(frames) < most:
            frames.append(world.render())
            poses.append(world.pose)
            labels.append(expert.act(*world.pose))
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
            world.step(action)
        path, done = np.array(poses), np.array(taken, np.int8)
        asks = [_own_ask(episode, scene, path)]
        if things:
            surroundings = Surroundings(scene.house)
            counts = np.array([surroundings.look(*pose, camera).pieces for pose in poses])
            visible = counts.reshape(len(path), -1) >= SEEN
            firsts = [
                0,
                *sorted(rng.choice(np.arange(1, len(path)), min(2, len(path) - 1), replace=False)),
            ]
            things_asked = _things(scene, path, visible)
            for first in map(int, firsts):
                asks += [
                    begin
                    for ask in things_asked
                    if (begin := _begin(ask, path, first)) is not None
                ]
                asks += _tasks(scene, path, done, first, rng)
        return Walk(
            episode.scene_id,
            episode.instruction.text,
            np.array(frames),
            path,
            done,
            np.array(labels, np.int8),
            tuple(asks),
        )

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


def _own_ask(episode: Any, scene: Scene, poses: np.ndarray) -> Ask:
    """Make the episode's own instruction a question."""
    actions, bearing, distance = _follow(scene, route_of(episode), poses)
    return _from_start(
        Ask(
            episode.info['form'],
            {'text': episode.instruction.text},
            0,
            episode.info.get('turn'),
            actions,
            actions,
            bearing,
            distance,
            np.abs(bearing) < HALF_VIEW,
        )
    )


def _from_start(ask: Ask) -> Ask:
    """Let a question be asked with its first turn if it has one, else without."""
    unknown = np.full_like(ask.actions, UNKNOWN)
    return replace(ask, **{'actions' if ask.turn else 'hinted': unknown})


def _things(scene: Scene, poses: np.ndarray, visible: np.ndarray) -> list[Ask]:
    """Ask for every thing with a name that comes into sight during the walk."""
    asks = []
    for piece in scene.house.furniture:
        nouns = names(scene, piece)
        seen = visible[:, piece.index]
        if not nouns or not seen.any() or not len(scene.around(piece)):
            continue
        actions, _, distance = _follow(scene, [scene.around(piece)], poses)
        bearing = np.array([_bearing(*pose, (piece.x, piece.y)) for pose in poses])
        asks += [
            Ask('reach', {'a': noun}, 0, None, actions, actions, bearing, distance, seen)
            for noun in nouns
        ]
    return asks


def _begin(ask: Ask, poses: np.ndarray, first: int) -> Ask | None:
    """Ask for a thing as if the walk began at a frame; None where it is not seen from then on."""
    later = np.arange(len(poses)) >= first
    known = np.cumsum(ask.visible & later) > 0
    if not known.any():
        return None
    turn = _first_turn(ask.bearing[first]) if not known[first] else None
    return replace(
        ask,
        first=first,
        turn=turn,
        actions=np.where(known, ask.actions, UNKNOWN),
        hinted=_hinted(ask.actions, known, turn, first),
    )


def _first_turn(bearing: float) -> str | None:
    """Give the turn that leads to something out of view, if a sentence can say it."""
    if not _FIRST_TURN[0] < abs(bearing) < _FIRST_TURN[1]:
        return None
    return 'left' if bearing > 0 else 'right'


def _hinted(actions: np.ndarray, known: np.ndarray, turn: str | None, first: int) -> np.ndarray:
    """Keep the answers that follow from what was told before what is meant comes into sight."""
    if turn is None:
        return np.full_like(actions, UNKNOWN)
    told = Action.TURN_LEFT if turn == 'left' else Action.TURN_RIGHT
    fits = known | (actions == told)
    fits[:first] = True
    fits = np.cumprod(fits).astype(bool) | known
    fits[:first] = False
    return np.where(fits, actions, UNKNOWN)


def _tasks(
    scene: Scene, poses: np.ndarray, taken: np.ndarray, first: int, rng: np.random.Generator
) -> list[Ask]:
    """Ask for a task of each form but `reach` that the place of a frame offers."""
    x, y, yaw = poses[first]
    if scene.house.room_at(x, y) is None:
        return []
    asks = []
    for form, propose in _COMPOSED.items():
        tasks = list(propose(scene, x, y)) if possible(scene.house, form) else []
        for choice in rng.permutation(len(tasks))[:_TRIED]:
            ask = _task(scene, form, tasks[choice], poses, taken, first)
            if ask is not None:
                asks.append(ask)
                break
    return asks


def _task(
    scene: Scene, form: str, task: Task, poses: np.ndarray, taken: np.ndarray, first: int
) -> Ask | None:
    """Make a question of a task; None where it cannot be asked at the pose of frame `first`."""
    facing = task.facing if task.together else task.facing[:1]
    away = np.array([[_bearing(*pose, place) for place in facing] for pose in poses])
    known = (
        np.cumsum((np.abs(away) < HALF_VIEW).all(axis=1) & (np.arange(len(poses)) >= first)) > 0
    )
    turn = None if known[first] else _first_turn(float(away[first, 0]))
    if not known[first] and (turn is None or np.ptp(away[first]) > 2 * HALF_VIEW):
        return None
    route = reachable(scene, form, task, *poses[first, :2])
    if route is None:
        return None
    actions, bearing, distance = _follow(scene, route, poses, first, taken)
    return _from_start(
        Ask(
            form,
            dict(task.slots),
            first,
            turn,
            actions,
            _hinted(actions, known, turn, first),
            bearing,
            distance,
            np.abs(bearing) < HALF_VIEW,
        )
    )


def _follow(
    scene: Scene,
    route: Sequence[np.ndarray],
    poses: np.ndarray,
    first: int = 0,
    taken: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Give the expert's actions along a route, and bearing of and distance to its next place.

    The action is UNKNOWN before frame `first`, where no way leads there, and, if it is told what
    was done, from where that has led elsewhere for long, or behind the route's end.
    """
    expert = Expert(scene.space, route)
    actions = np.full(len(poses), UNKNOWN, np.int8)
    bearing, distance = np.zeros(len(poses)), np.full(len(poses), _FARTHEST)
    lost = 0
    for number, (x, y, yaw) in list(enumerate(poses))[first:]:
        try:
            actions[number] = expert.act(x, y, yaw)
        except ValueError:  # no way leads there
            pass
        place = route[expert.reached]
        bearing[number] = _bearing(x, y, yaw, place[np.hypot(*(place - (x, y)).T).argmin()])
        distance[number] = min(expert.fields[expert.reached].distance(x, y), _FARTHEST)
        if taken is not None:
            lost += actions[number] != taken[number]
            if lost > _LOST or actions[number] == Action.STOP:
                break
    return actions, bearing, distance


def _bearing(x: float, y: float, yaw: float, target: Any) -> float:
    return math.remainder(math.atan2(target[1] - y, target[0] - x) - yaw, math.tau)


def phrase(ask: Ask, hint: bool, rng: np.random.Generator) -> str:
    """Put a question into words, as training may."""
    if 'text' in ask.slots:
        return str(ask.slots['text'])
    phrasing, turn_phrasing = choose_phrasing(rng, ask.form, 'en', held_out=False)
    return say(
        ask.form,
        ask.slots,
        language='en',
        phrasing=phrasing,
        turn=ask.turn if hint else None,
        turn_phrasing=turn_phrasing,
    )


def save_walk(path: Path, walk: Walk, image_width: int) -> None:
    """Write a walk, with its frames resized as the policy does, to a new .npz file."""
    described = [
        {
            'form': ask.form,
            'first': ask.first,
            'turn': ask.turn,
            'slots': {
                key: [value.thing, value.colour] if isinstance(value, Noun) else value
                for key, value in ask.slots.items()
            },
        }
        for ask in walk.asks
    ]
    arrays = {
        name: np.stack([getattr(ask, name) for ask in walk.asks]).astype(kind)
        for name, kind in zip(_BY_FRAME, (np.int8, np.int8, np.float16, np.float16, bool))
    }
    part = path.with_suffix('.part')
    with part.open('wb') as file:
        np.savez_compressed(
            file,
            frames=np.stack([resize(frame, image_width) for frame in walk.frames]),
            poses=walk.poses,
            taken=walk.taken,
            labels=walk.labels,
            about=np.array(
                json.dumps(
                    {'scene': walk.scene, 'instruction': walk.instruction, 'asks': described},
                    ensure_ascii=False,
                )
            ),
            **arrays,
        )
    part.rename(path)


def walk_length(path: Path) -> int:
    """Read of a walk how many frames it has; errors as of `load_walk`."""
    try:
        with np.load(path) as file:
            return len(file['taken'])
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f'{path} is damaged or no walk: {error}') from error


def load_walk(path: Path) -> Walk:
    """Read a walk; ValueError naming the file where it is damaged."""
    try:
        with np.load(path) as file:
            content = dict(file)
        about = json.loads(str(content['about']))
        asks = tuple(
            Ask(
                ask['form'],
                {
                    key: Noun(*value) if isinstance(value, list) else value
                    for key, value in ask['slots'].items()
                },
                ask['first'],
                ask['turn'],
                *(content[name][row] for name in _BY_FRAME),
            )
            for row, ask in enumerate(about['asks'])
        )
        return Walk(
            about['scene'],
            about['instruction'],
            content['frames'],
            content['poses'],
            content['taken'],
            content['labels'],
            asks,
        )
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f'{path} is damaged or no walk: {error}') from error
