"""Whose turn it is at the computer that the threads of a process think with: first come, first."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
import threading

_changed = threading.Condition()
_queue: deque[int] = deque()  # threads: the one whose turn it is, then those that wait


@contextmanager
def turn() -> Iterator[None]:
    """
    Wait for this thread's turn, and hold it for as long as the block, or the function, lasts.

    Threads that always want it have it in turn. Within its turn a thread may take it again.
    """
    me = threading.get_ident()
    if _queue and _queue[0] == me:  # nobody else can make it so
        yield
        return
    with _changed:
        _queue.append(me)
        _changed.wait_for(lambda: _queue[0] == me)
    try:
        yield
    finally:
        with _changed:
            _queue.popleft()
            _changed.notify_all()
