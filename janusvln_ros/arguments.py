"""
What commands take, read and checked before any work begins: for `type=` of argparse's options.

    parser.add_argument('--count', type=whole(1, 100))
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import math
from pathlib import Path
import tempfile


def whole(low: int = 0, high: int | None = None) -> Callable[[str], int]:
    """Return what reads a whole number of a range, its ends included; high: None is no end."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f'{text!r} is no whole number') from None
        _check(value, low, math.inf if high is None else high)
        return value

    return read


def real(low: float = -math.inf, high: float = math.inf) -> Callable[[str], float]:
    """Return what reads a finite number of a range, its ends included."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f'{text!r} is no number') from None
        if not math.isfinite(value):
            raise argparse.ArgumentTypeError(f'{text!r} is no finite number')
        _check(value, low, high)
        return value

    return read


def _check(value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        right = f'at least {low:g}' if math.isinf(high) else f'{low:g} to {high:g}'
        raise argparse.ArgumentTypeError(f'{value} is out of range; {right} is right')


def text(value: str) -> str:
    """Read a text that says something and can be sent."""
    if not value.strip():
        raise argparse.ArgumentTypeError('it is empty')
    try:
        value.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f'{value!r} is not UTF-8') from None
    return value


def existing(value: str) -> Path:
    """Read the path of a file or folder that is there."""
    path = _path(value)
    if not path.exists():
        raise argparse.ArgumentTypeError(f'{value} does not exist')
    return path


def existing_file(value: str) -> Path:
    """Read the path of a file that is there."""
    path = existing(value)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f'{value} is a folder, not a file')
    return path


def existing_folder(value: str) -> Path:
    """Read the path of a folder that is there."""
    path = existing(value)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f'{value} is a file, not a folder')
    return path


def output_folder(value: str) -> Path:
    """Read the path of a folder to write into; it need not be there yet."""
    path = _path(value)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f'{value} is a file, not a folder')
    _check_writable(path)
    return path


def output_file(value: str) -> Path:
    """Read the path of a file to write; it need not be there yet."""
    path = _path(value)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f'{value} is a folder, not a file')
    _check_writable(path)
    return path


def checkpoint(value: str) -> str:
    """Read the folder of a checkpoint, or 'random'."""
    if value != 'random' and not (existing_folder(value) / 'config.json').is_file():
        raise argparse.ArgumentTypeError(f'{value} is no checkpoint: it has no config.json')
    return value


def _path(value: str) -> Path:
    if not value:
        raise argparse.ArgumentTypeError('it is empty')
    return Path(value)


def _check_writable(path: Path) -> None:
    """Refuse a path below a file, or where this user may not write."""
    there = next(one for one in (path, *path.absolute().parents) if one.exists())
    if there != path and not there.is_dir():
        raise argparse.ArgumentTypeError(f'{there} is a file, not a folder')
    folder = there if there.is_dir() else there.parent
    try:
        tempfile.TemporaryFile(dir=folder).close()  # permissions alone do not tell
    except OSError as error:
        problem = f'{folder} cannot be written to: {error.strerror}'
        raise argparse.ArgumentTypeError(problem) from None


def one_line(error: Exception) -> str:
    """Say an error in one line."""
    return ' '.join(str(error).split()) or repr(error)
