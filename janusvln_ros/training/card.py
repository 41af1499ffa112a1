"""An adapter's card: what it was made from, by which command, and under whose licence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import hashlib
from pathlib import Path
import re
import shlex
import sys
from typing import Any

import janusvln_ros
from janusvln_ros.policy.settings import checkpoint_hash
from tqdm import tqdm

_HEAD = """# An adapter of {base}

A low-rank adapter (LoRA, PEFT's layout) of the language model of JanusVLN, trained by janusvln_ros
{version}:

    {command}

It is worth nothing without its base, and the base's licence holds for it too. What the base's
README.md says of that:

{licence}

`janusvln evaluate --policy {base} --adapter FOLDER` measures how well it walks. Faces and plates
in the pictures are the matter of who took them.
"""


def adapter_card(base: Path, settings: Mapping[str, Any], place: Callable[[str], Path]) -> str:
    """Describe an adapter in Markdown; settings: of its stage; place: where its data are."""
    rows = [('SHA-256 of the base, its beginning', checkpoint_hash(str(base)))]
    rows += [(name, str(value)) for name, value in settings.items()]
    told = [entry[key] for entry in settings['data'] for key in entry if key != 'share']
    files = [place(file) for one in told for file in (one if isinstance(one, list) else [one])]
    hashes = [(str(path), _digest(path)) for path in tqdm(files, 'hashes', leave=False)]
    head = _HEAD.format(
        base=base,
        version=janusvln_ros.version(),
        command=shlex.join(['janusvln', *sys.argv[1:]]),
        licence=_licence(base),
    )
    return head + _table('setting', 'value', rows) + _table('data', 'SHA-256', hashes)


def _licence(base: Path) -> str:
    path = base / 'README.md'
    text = path.read_text(encoding='utf-8') if path.is_file() else ''
    told = [line.strip(' |') for line in text.splitlines() if re.search('licen[cs]e', line, re.I)]
    return '\n'.join(f'> {line}' for line in told) or '> nothing: ask who gave it to you'


def _digest(path: Path) -> str:
    """Hash a file, or the names and contents of a folder's files."""
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(path.rglob('*')):
        if file.is_file():
            digest.update(f'{file.relative_to(path)} {file.stat().st_size} '.encode())
            with file.open('rb') as content:
                while part := content.read(1 << 20):
                    digest.update(part)
    return digest.hexdigest()


def _table(left: str, right: str, rows: Sequence[tuple[str, str]]) -> str:
    lines = [(left, right), ('---', '---'), *rows]
    return '\n' + ''.join(f'| {one} | {other.replace("|", " ")} |\n' for one, other in lines)
