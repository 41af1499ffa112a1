"""
Built episodes on disk, so that the next policy on the same split starts at once.

In `$XDG_CACHE_HOME/janusvln_ros/episodes` (default `~/.cache`), by split and by a digest of the
code that builds them: nothing stale is ever read, and deleting the folder is always safe.
"""

from __future__ import annotations

from functools import lru_cache
import hashlib
import os
from pathlib import Path

from janusvln_ros import actions
from janusvln_ros.episodes import grammar, handwritten, landmarks, phrasings, scene, splits, tasks
from janusvln_ros.episodes import vln_ce as episodes
from janusvln_ros.episodes.splits import build_episode, Split
from janusvln_ros.episodes.vln_ce import (
    Episode,
    GroundTruth,
    read_episodes,
    read_ground_truth,
    write_episodes,
    write_ground_truth,
)
from janusvln_ros.sim import expert, free_space, generator, house, world

_BUILDERS = (
    actions,
    episodes,
    expert,
    free_space,
    generator,
    grammar,
    handwritten,
    house,
    landmarks,
    phrasings,
    scene,
    splits,
    tasks,
    world,
)


def stored_episode(split: Split, number: int) -> tuple[Episode, GroundTruth]:
    """Give an episode as build_episode does, from disk where it is there."""
    folder = _folder() / split.full_name
    path, truth_path = folder / f'{number}.json', folder / f'{number}_gt.json'
    if not path.exists():
        episode, truth = build_episode(split, number)
        # Other processes may do the same: names appear with all their content.
        part = f'.{os.getpid()}.part'
        write_ground_truth(folder / (truth_path.name + part), {str(number): truth})
        write_episodes(folder / (path.name + part), [episode])
        for target in (truth_path, path):
            (folder / (target.name + part)).replace(target)
    return read_episodes(path)[0], read_ground_truth(truth_path)[str(number)]


@lru_cache(maxsize=1)
def _folder() -> Path:
    digest = hashlib.sha256(
        b''.join(Path(str(module.__file__)).read_bytes() for module in _BUILDERS)
    ).hexdigest()[:12]
    base = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    return base / 'janusvln_ros' / 'episodes' / digest
