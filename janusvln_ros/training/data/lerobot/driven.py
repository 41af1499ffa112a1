"""Episodes of continuous driving, cut into the policy's steps as a bag's drives are."""

from __future__ import annotations

import math
from typing import Any

from janusvln_ros.actions import FORWARD_STEP, TURN_STEP
from janusvln_ros.training.data.bag_drives import NEAR, thinned
from janusvln_ros.training.data.lerobot.dataset import Dataset, Episode
from janusvln_ros.training.data.recorded import Recorded
from janusvln_ros.training.data.segmenter import segment, Step
from janusvln_ros.training.data.stories import best_time, Source, tell, why_not
from janusvln_ros.training.data.track import Track
import numpy as np

_YAW = ('yaw', 'theta', 'heading')


def pose_columns(dataset: Dataset) -> tuple[str, list[int]] | None:
    """Find the feature that names x, y and a yaw (m, m, rad), and where in it they stand."""
    for key, about in sorted(dataset.features.items()):
        names = [name.lower() for name in _flat(about.get('names'))]
        yaw = [names.index(name) for name in _YAW if name in names]
        if key != 'action' and 'x' in names and 'y' in names and yaw:
            return key, [names.index('x'), names.index('y'), yaw[0]]
    return None


def _flat(names: Any) -> list[str]:
    """List names that stand in lists, or in lists by the group that they are of."""
    if isinstance(names, str):
        return [names]
    parts = names.values() if isinstance(names, dict) else names or []
    return [name for part in parts for name in _flat(part)]


def drive(
    dataset: Dataset, episode: Episode, columns: tuple[str, list[int]], source: Source
) -> tuple[list[int], Recorded]:
    """
    Cut an episode into steps; give which of its frames they have, and their story.

    columns: as `pose_columns` gives them. Raises ValueError where it is no trajectory.
    """
    key, places = columns
    poses = dataset.rows(episode, key).reshape(episode.length, -1)[:, places]
    times = np.round(dataset.times(episode) * 1e9).astype(np.int64)
    track = Track()
    for time, pose in zip(times.tolist(), poses.tolist()):
        track.add(time, *pose)
    if not len(track):
        raise ValueError(f'{episode.data}: {key} has no finite numbers')
    found = segment(track)
    taken: list[tuple[Step, float]] = []
    numbers: list[int] = []
    for step in found.steps:
        number = int(np.abs(times - best_time(step)).argmin())
        x, y, yaw = poses[number].tolist()
        off = math.dist((x, y), step.pose[:2]) / FORWARD_STEP
        off += abs(math.remainder(yaw - step.pose[2], math.tau)) / TURN_STEP
        if off <= NEAR and (not numbers or number > numbers[-1]):
            numbers.append(number)
            taken.append((step, (int(times[number]) - best_time(step)) / 1e9))
    why = why_not(found, [step for step, _ in taken])
    if why:
        raise ValueError(why)
    return numbers, tell(source, found, taken, thinned(track))
