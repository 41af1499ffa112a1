"""A folder of our trajectories, written as a LeRobot dataset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
import math
from pathlib import Path

from janusvln_ros.actions import Action, FORWARD_STEP, TURN_STEP
from janusvln_ros.training.data.layout import Trajectory
from janusvln_ros.training.data.lerobot import form
from janusvln_ros.training.data.lerobot.writer import LeRobotWriter, Motion
from janusvln_ros.training.data.recorded import Recorded, RecordedStep, story_of
from janusvln_ros.workers import Interruption
import numpy as np
from tqdm import tqdm


@dataclass(frozen=True)
class Exported:
    """How many episodes were written, and everything worth a word."""

    written: int
    notes: tuple[str, ...]


def export(trajectories: Iterable[Trajectory], folder: Path, root: Path) -> Exported:
    """
    Append trajectories to a LeRobot dataset; those that are there already stay as they are.

    folder: where recorded/NAME.json may tell more of them. Ctrl-C and SIGTERM end it after an
    episode, with the dataset whole; KeyboardInterrupt then. A trajectory that cannot be read is
    left out and noted. Raises ValueError where there is none at all.
    """
    written = known = planned = 0
    notes: list[str] = []
    with Interruption() as interruption, LeRobotWriter(root) as writer:
        for trajectory in tqdm(trajectories, 'episodes', leave=False, disable=None):
            if interruption.noted:
                break
            if trajectory.name in writer.names:
                known += 1
                continue
            try:
                story = _kept(trajectory, story_of(folder, trajectory.name))
                motion = _planned(trajectory) if story is None else _driven(story.steps)
                writer.write(trajectory, motion, story)
            except ValueError as error:
                notes += [f'{trajectory.name} is left out: {error}']
                continue
            written += 1
            planned += story is None
    if interruption.noted:
        raise KeyboardInterrupt
    if known:
        notes += [f'{known} episodes are there already and left as they are']
    if planned:
        notes += [
            f'of {planned} episodes nothing was recorded but pictures and actions: their '
            f'{form.STATE} is where the actions lead to, a second each'
        ]
    if not written and not known:
        raise ValueError(f'there is no trajectory: {"; ".join(notes) or f"{folder} is empty"}')
    return Exported(written, tuple(notes))


def _kept(trajectory: Trajectory, story: Recorded | None) -> Recorded | None:
    """Keep of a story what edits have left of the trajectory."""
    if story is None:
        return None
    try:
        numbers = [int(Path(picture).stem) for picture in trajectory.pictures]
        steps = [story.steps[number] for number in numbers]
    except (ValueError, IndexError):
        raise ValueError(f'its pictures are not those of recorded/{story.name}.json') from None
    return replace(
        story,
        instruction=trajectory.instructions[0],
        steps=tuple(replace(s, action=int(a)) for s, a in zip(steps, trajectory.actions)),
    )


def _driven(steps: Sequence[RecordedStep]) -> Motion:
    """Give where the robot was at each step, and how fast it was until the next."""
    state = np.array([step.pose for step in steps])
    change = np.diff(state, axis=0)
    seconds = np.diff([step.time for step in steps])
    turned = np.remainder(change[:, 2] + math.pi, math.tau) - math.pi
    yaw = state[:-1, 2] + turned / 2
    ahead = np.cos(yaw) * change[:, 0] + np.sin(yaw) * change[:, 1]
    velocity = np.zeros((len(steps), 2))
    moves = seconds > 0
    velocity[:-1][moves] = np.stack([ahead, turned], 1)[moves] / seconds[moves, None]
    return Motion(state, velocity)


def _planned(trajectory: Trajectory) -> Motion:
    """Give where actions lead to from 0, 0, 0, each in a second."""
    turn = {Action.TURN_LEFT: TURN_STEP, Action.TURN_RIGHT: -TURN_STEP}
    velocity = np.array(
        [
            (FORWARD_STEP * (action == Action.MOVE_FORWARD), turn.get(Action(action), 0.0))
            for action in trajectory.actions
        ]
    )
    yaw = np.concatenate([[0.0], np.cumsum(velocity[:-1, 1])])
    moved = velocity[:-1, :1] * np.stack([np.cos(yaw[:-1]), np.sin(yaw[:-1])], 1)
    place = np.concatenate([np.zeros((1, 2)), np.cumsum(moved, axis=0)])
    return Motion(np.column_stack([place, yaw]), velocity)
