"""
Episodes that are held out of training.

What belongs together is held out together: an episode is the folder that its pictures lie in, or
the file of a walk, whatever instructions, examples and sources there are of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import hashlib
import json
from pathlib import Path

from janusvln_ros.training.data.layout import Trajectory
from janusvln_ros.training.data.sources import WalkDataset
from janusvln_ros.training.data.walks import Walk, walk_files
import numpy as np


def of_walks(folder: Path) -> list[Path]:
    """Give the episode of each walk of `WalkFiles`: a file has one."""
    return [path.resolve() for path in walk_files(folder)]


def of_trajectories(trajectories: Iterable[Trajectory]) -> list[Path]:
    """Give the episode of each walk of `TrajectoryFiles`."""
    return [
        folder
        for trajectory in trajectories
        for folder in [trajectory.folder.resolve()] * len(trajectory.instructions)
    ]


def of_examples(path: Path) -> list[Path]:
    """Give the episode of each line of `ExampleFiles`; ValueError where it has not one folder."""
    episodes, resolved = [], {}
    with path.open('rb') as file:
        for number, line in enumerate(file, 1):
            try:
                folders = {picture.rpartition('/')[0] for picture in json.loads(line)['images']}
                (folder,) = folders
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(
                    f'{path}, line {number}: no example with pictures of one folder, by which '
                    f'episodes are held out: {error!r}'
                ) from error
            if folder not in resolved:
                resolved[folder] = Path(folder).resolve()
            episodes.append(resolved[folder])
    return episodes


def hold_out(sources: Sequence[Sequence[Path]], share: float, seed: int) -> list[np.ndarray]:
    """
    Hold out a share of the episodes of every source, one at least.

    sources: the episode of each walk. Returns which walks are held out, bool (walks of a source).
    An episode's name and the seed alone decide, but for the one: more episodes beside it, or
    another place, change nothing. ValueError for a source that has nothing to hold out or to keep.
    """
    chosen: set[Path] = set()
    for number, episodes in enumerate(sources, 1):
        drawn = {episode: _draw(episode, seed) for episode in {*episodes}}
        if len(drawn) == 1:
            raise ValueError(
                f'data: the source that is number {number} has one episode, {episodes[0]}; '
                'to hold out some it takes two'
            )
        if drawn:
            low = [episode for episode, value in drawn.items() if value < share]
            chosen.update(low or [min(drawn, key=lambda episode: (drawn[episode], episode))])
    held = [np.array([episode in chosen for episode in episodes], bool) for episodes in sources]
    for number, mask in enumerate(held, 1):
        if len(mask) and mask.all():
            raise ValueError(
                f'data: all episodes of the source that is number {number} are held out, share '
                f'{share}; give it less, or more episodes'
            )
    return held


def _draw(episode: Path, seed: int) -> float:
    """Draw a number from 0 to 1 by the last two parts of an episode's path."""
    digest = hashlib.sha256(f'{seed} {"/".join(episode.parts[-2:])}'.encode()).digest()
    return int.from_bytes(digest[:8], 'big') / 2**64


class SomeWalks(WalkDataset):
    """Some of the walks of a source."""

    def __init__(self, source: WalkDataset, mask: np.ndarray) -> None:
        """mask: which, bool (len(source))."""
        self._source, self._numbers = source, np.flatnonzero(mask)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> Walk:
        return self._source[int(self._numbers[index])]

    def lengths(self) -> np.ndarray:
        """Give theirs."""
        return self._source.lengths()[self._numbers]
