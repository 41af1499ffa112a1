"""
Stretches of the networks between attentions: compiled where that pays, else they simply run.

Compiled, norms, rotations and casts are few kernels. All blocks of a kind share what is compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
import os
from pathlib import Path
from typing import Any

import torch

CACHE = 'TORCHINDUCTOR_CACHE_DIR'  # variable that names it
_compiling = ContextVar('compiling', default=False)


class Region:
    """Decorates a function of modules, tensors and numbers that calls no other region."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._plain = function
        self._compiled: Callable[..., Any] | None = None  # the compiler is imported when needed

    def __get__(self, owner: object | None, kind: type) -> Callable[..., Any]:
        return self if owner is None else partial(self, owner)

    def __call__(self, *arguments: Any) -> Any:
        if not _compiling.get():
            return self._plain(*arguments)
        self._compiled = self._compiled or torch.compile(self._plain)
        return self._compiled(*arguments)


@contextmanager
def compiled(on: bool) -> Iterator[None]:
    """Let regions be compiled, or not, while the context lasts; outside they are not."""
    before = _compiling.set(on)
    try:
        yield
    finally:
        _compiling.reset(before)


def why_plain(device: torch.device) -> str:
    """Say why nothing is compiled for a device, by trying; '' where it is."""
    if device.type != 'cuda':
        return 'compiled kernels are for a GPU'
    keep_compiled()
    try:
        torch.compile(torch.neg)(torch.ones(8, device=device))
    except Exception as error:  # no Triton, no C compiler, a GPU that they do not know, …
        return f'nothing can be compiled here: {type(error).__name__}: {error}'.splitlines()[0]
    return ''


def keep_compiled() -> None:
    """Choose the user's cache for what is compiled, so that the next start is quick."""
    chosen = Path(os.environ.get(CACHE, 'torchinductor_'))
    if chosen.name.startswith('torchinductor_'):  # torch's own choice, which goes with /tmp
        home = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
        os.environ[CACHE] = str(Path(home) / 'janusvln_ros' / 'inductor')
