"""A dataset's card, CARD.md: what it was made from, by which command, and hashes of all of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
import hashlib
import json
from pathlib import Path
import shlex

import janusvln_ros
from janusvln_ros.training.data.lerobot import form
import pyarrow.parquet as pq
from tqdm import tqdm

CARD = 'CARD.md'
_BARE = '(not recorded: pictures and actions alone)'

_HEAD = """# {name}

{episodes} episodes with {frames} steps and {tasks} instructions, made by janusvln_ros {version}:

    {command}

A frame is a step of 0.25 m or 15 degrees, or STOP (`discrete_action`: 0 STOP, 1 forward, 2 left,
3 right), as if each took a second. `observation.state` is x, y, yaw (m, m, rad) where it begins,
`action` the mean velocities until the next (m/s, rad/s). `janusvln/recorded` in `meta/episodes`
has the real times.

No licence is given here: that is for who owns the pictures, and answers for whom they show.
"""


def write_card(root: Path, words: Sequence[str], inputs: Sequence[Path]) -> None:
    """
    Write the card of a dataset of ours.

    words: of the command. inputs: files that went into it, besides the bags that the episodes
    name. What of them is still where it was is hashed, and the dataset's own files.
    """
    info = json.loads((root / form.INFO).read_text(encoding='utf-8'))
    bags: Counter[str] = Counter()
    for path in sorted(root.glob('meta/episodes/*/*.parquet')):
        for told in pq.read_table(path, columns=[form.RECORDED])[form.RECORDED].to_pylist():
            bags.update(json.loads(told)['bags'] if told else [_BARE])
    head = _HEAD.format(
        name=root.resolve().name,
        version=janusvln_ros.version(),
        command=shlex.join(['janusvln', 'data', *words]),
        **{what: info[f'total_{what}'] for what in ('episodes', 'frames', 'tasks')},
    )
    own = [path for path in sorted(root.rglob('*')) if path.is_file() and path != root / CARD]
    sources = [file for bag in bags if bag != _BARE for file in _files(Path(bag))]
    text = [
        head,
        *_table('made from', 'episodes', ((bag, str(count)) for bag, count in bags.items())),
        *_table('file it was made from', 'SHA-256', _hashes([*inputs, *sources])),
        *_table('file', 'SHA-256', _hashes(own, root)),
    ]
    (root / CARD).write_text('\n'.join(text), encoding='utf-8')


def _files(bag: Path) -> list[Path]:
    """List the files of a bag, or the description of a LeRobot dataset."""
    if bag.is_dir():
        return sorted(
            path for name in ('*', 'meta/*') for path in bag.glob(name) if path.is_file()
        )
    return [bag]


def _hashes(paths: Sequence[Path], root: Path | None = None) -> Iterator[tuple[str, str]]:
    for path in tqdm(paths, 'hashes', leave=False, disable=None):
        name = str(path.relative_to(root) if root else path)
        if not path.is_file():
            yield name, 'it is no longer there'
            continue
        digest = hashlib.sha256()
        with path.open('rb') as file:
            while part := file.read(1 << 20):
                digest.update(part)
        yield name, digest.hexdigest()


def _table(left: str, right: str, rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for one, other in ((left, right), ('---', '---'), *rows):
        yield '| {} | {} |'.format(
            *(c.replace('|', '\\|').replace('\n', ' ') for c in (one, other))
        )
    yield ''
