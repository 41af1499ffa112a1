"""
A pytest plugin: a test of real processes that fails while this machine stalls is tried again.

Such tests are of real time: where the machine gives their processes none, a robot stops, rightly.
Only what failed while that was measured is tried again, and not for ever: what fails for a reason
of its own still fails. A warning in pytest's summary tells of each such try.
"""

from __future__ import annotations

import os
from pathlib import Path
import threading
import time

from _pytest.runner import runtestprotocol
import pytest

LONGEST = 0.1  # s that nobody is kept waiting on a machine that keeps up
TRIES = 3  # of a test in all
PATIENCE = 90.0  # s after which no test begins again: all tries share its 180 s
_PERIOD = LONGEST / 2  # s between two looks: what waits longer in it has waited all of it


class Stalls:
    """
    Notes within its `with` block when this process, or one that it started, was given no time.

    worst: how long (s) this machine stalled at most; 0.0 as long as it keeps up.
    """

    def __init__(self) -> None:
        self.worst = 0.0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Stalls:
        self._before, self._at = _waited(), time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _watch(self) -> None:
        ended = False
        while not ended:
            ended = self._ends.wait(_PERIOD)
            before, self._before = self._before, _waited()
            at, self._at = self._at, time.monotonic()
            # The kernel counts a wait when it is over.
            waits = [waited - before.get(process, 0.0) for process, waited in self._before.items()]
            longest = max(self._at - at - _PERIOD, *waits, 0.0)
            self.worst = max(self.worst, longest if longest > LONGEST else 0.0)


def _waited() -> dict[int, float]:
    """Tell how long (s) each process that this one started has waited for a processor."""
    found: dict[int, float] = {}
    left = _children(os.getpid())
    while left:
        process = left.pop()
        try:
            found[process] = int(Path(f'/proc/{process}/schedstat').read_text().split()[1]) * 1e-9
        except (OSError, IndexError):  # it has ended, or this kernel does not count
            continue
        left += _children(process)
    return found


def _children(process: int) -> list[int]:
    """Give the processes that the main thread of one has started."""
    try:
        words = Path(f'/proc/{process}/task/{process}/children').read_text().split()
    except OSError:
        return []
    return [int(word) for word in words]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test that is marked `ros`, if need be again, and report its last try."""
    if item.get_closest_marker('ros') is None:
        return None
    began = time.monotonic()
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for tries in range(1, TRIES + 1):
        with Stalls() as stalls:
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
        failed = [report for report in reports if report.failed]
        if not failed or not stalls.worst or time.monotonic() - began > PATIENCE or tries == TRIES:
            break
        why = failed[0].longreprtext.strip().splitlines()[-1]
        text = f'try {tries} failed while this machine stalled for {stalls.worst:.2f} s: {why}'
        item.warn(pytest.PytestWarning(text))
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
