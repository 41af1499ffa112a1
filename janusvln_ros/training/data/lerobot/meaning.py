"""What the rows of an episode mean: instructions, and what is done at each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import json

from janusvln_ros.actions import Action
from janusvln_ros.training.data.lerobot import form
from janusvln_ros.training.data.lerobot.dataset import Dataset, Episode
from janusvln_ros.training.data.recorded import Recorded, story_from

_BETWEEN = '<INSTRUCTION_SEP>'  # InternData-N1: several sentences in one task
_UNKNOWN = -1  # what the published lists begin with: an action leads to its picture


def instructions(episode: Episode) -> tuple[str, ...]:
    """Give the sentences of an episode; ValueError where there is none."""
    told = [part.strip() for task in episode.tasks for part in _plain(task).split(_BETWEEN)]
    found = tuple(dict.fromkeys(sentence for sentence in told if sentence))
    if not found:
        raise ValueError('it has no task')
    return found


def _plain(task: str) -> str:
    """Take the sentence out of JSON, as StreamVLN's converted datasets have it."""
    if not task.startswith('{'):
        return task
    try:
        return str(json.loads(task)['instruction'])
    except (ValueError, KeyError, TypeError):
        return task


def is_discrete(dataset: Dataset) -> bool:
    """Tell whether frames are steps, with one of the policy's actions each."""
    about = dataset.features.get(form.ACTION, {})
    whole = str(about.get('dtype')).startswith(('int', 'uint')) and about.get('shape') == [1]
    return form.DISCRETE in dataset.features or whole


def actions(dataset: Dataset, episode: Episode) -> list[int]:
    """
    Give the policy's action at each frame of a discrete dataset; ValueError where one is none.

    Our own are labels. A column `action` of whole numbers that begins with -1 is that of the
    published lists: what led to a frame, so that the next one's is what is done there.
    """
    key = form.DISCRETE if form.DISCRETE in dataset.features else form.ACTION
    found = dataset.rows(episode, key)
    labels: list[int] = found.ravel().tolist()
    if labels[0] == _UNKNOWN:
        labels = [*labels[1:], int(Action.STOP)]
    for number, action in enumerate(labels):
        if action not in tuple(Action):
            raise ValueError(f'action {action} at frame {number}; 0 to 3 are read')
        if action == Action.STOP and number + 1 < len(labels):
            raise ValueError(f'STOP at frame {number} is not the last action')
    if labels[-1] != Action.STOP:
        raise ValueError(f'its last action is {Action(labels[-1]).name}, and STOP is right')
    return labels


def story(episode: Episode, name: str, labels: Sequence[int]) -> Recorded | None:
    """Give what our own export kept of the recording; ValueError where it fits no longer."""
    if not episode.recorded:
        return None
    found = story_from(episode.recorded)
    if found.actions != list(labels):
        raise ValueError(f'{form.RECORDED} does not fit the actions')
    return replace(found, name=name, instruction=instructions(episode)[0])
