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
from janusvln_ros.episodes.splits import build_episode, Split
from janusvln_ros.episodes.vln_ce import (
    Episode,
    GroundTruth,
    read_episodes,
    read_ground_truth,
    write_episodes,
    write_ground_truth,
)

_PACKAGE = Path(actions.__file__).parent


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
    rooms = (path for room in ('episodes', 'sim') for path in (_PACKAGE / room).glob('*.*'))
    sources = (Path(actions.__file__), *sorted(rooms))
    digest = hashlib.sha256(b''.join(path.read_bytes() for path in sources)).hexdigest()[:12]
    base = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    return base / 'janusvln_ros' / 'episodes' / digest
