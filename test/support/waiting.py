"""The one way in which tests wait, and the one in which they show that nothing happens."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import TypeVar

T = TypeVar('T')
_PERIOD = 0.01  # s between two looks


def wait_for(condition: Callable[[], T], what: str, patience: float = 20.0) -> T:
    """
    Look again and again until a condition gives something true, and return that.

    Fails with `what` did not happen after `patience` s of wall time. For a node that the test
    spins itself, let the condition spin it.
    """
    end = time.monotonic() + patience
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f'{what}: not within {patience:g} s')
        time.sleep(_PERIOD)


def stays(condition: Callable[[], object], what: str, seconds: float) -> None:
    """Look for `seconds` of wall time; fails with `what` as soon as the condition is not true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), f'{what}: no longer'
        time.sleep(_PERIOD)
