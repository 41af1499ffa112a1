"""What can be asked during a walk, with the expert's actions as answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import math
from typing import Any

from janusvln_ros.actions import Action
from janusvln_ros.episodes.landmarks import names
from janusvln_ros.episodes.scene import HALF_VIEW, Scene
from janusvln_ros.episodes.splits import reachable, route_of
from janusvln_ros.episodes.tasks import FORMS, possible, Task
from janusvln_ros.sim.expert import Expert
from janusvln_ros.training.data.walks import Question, UNKNOWN
import numpy as np

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


def own_question(episode: Any, scene: Scene, poses: np.ndarray) -> Question:
    """Make the episode's own instruction a question."""
    actions, bearing, distance = _follow(scene, route_of(episode), poses)
    return _from_start(
        Question(
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


def _from_start(question: Question) -> Question:
    """Let a question be asked with its first turn if it has one, else without."""
    unknown = np.full_like(question.actions, UNKNOWN)
    if question.turn:
        return replace(question, actions=unknown)
    return replace(question, hinted=unknown)


def thing_questions(scene: Scene, poses: np.ndarray, visible: np.ndarray) -> list[Question]:
    """Ask for every thing with a name that comes into sight during the walk."""
    questions = []
    for piece in scene.house.furniture:
        nouns = names(scene, piece)
        seen = visible[:, piece.index]
        if not nouns or not seen.any() or not len(scene.around(piece)):
            continue
        actions, _, distance = _follow(scene, [scene.around(piece)], poses)
        bearing = np.array([_bearing(x, y, yaw, (piece.x, piece.y)) for x, y, yaw in poses])
        questions += [
            Question('reach', {'a': noun}, 0, None, actions, actions, bearing, distance, seen)
            for noun in nouns
        ]
    return questions


def begin_later(question: Question, poses: np.ndarray, first: int) -> Question | None:
    """Ask for a thing as if the walk began at a frame; None where it is not seen from then on."""
    later = np.arange(len(poses)) >= first
    known = np.cumsum(question.visible & later) > 0
    if not known.any():
        return None
    turn = _first_turn(question.bearing[first]) if not known[first] else None
    return replace(
        question,
        first=first,
        turn=turn,
        actions=np.where(known, question.actions, UNKNOWN),
        hinted=_hinted(question.actions, known, turn, first),
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


def task_questions(
    scene: Scene, poses: np.ndarray, taken: np.ndarray, first: int, rng: np.random.Generator
) -> list[Question]:
    """Ask for a task of each form but `reach` that the place of a frame offers."""
    x, y, yaw = poses[first]
    if scene.house.room_at(x, y) is None:
        return []
    questions = []
    for form, propose in _COMPOSED.items():
        tasks = list(propose(scene, x, y)) if possible(scene.house, form) else []
        for choice in rng.permutation(len(tasks))[:_TRIED]:
            question = _task(scene, form, tasks[choice], poses, taken, first)
            if question is not None:
                questions.append(question)
                break
    return questions


def _task(
    scene: Scene, form: str, task: Task, poses: np.ndarray, taken: np.ndarray, first: int
) -> Question | None:
    """Make a question of a task; None where it cannot be asked at the pose of frame `first`."""
    facing = task.facing if task.together else task.facing[:1]
    away = np.array([[_bearing(x, y, yaw, place) for place in facing] for x, y, yaw in poses])
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
        Question(
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
