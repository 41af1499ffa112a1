"""Generators in several processes, their results in one row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import multiprocessing
import os
import signal
import traceback
from typing import Any

import cv2
from janusvln_ros.workers import end_with


def in_processes(work: Callable[..., Iterator[Any]], jobs: Sequence[tuple]) -> Iterator[Any]:
    """
    Give what `work(*job)` yields for all jobs, each in a process of its own, as it comes.

    One job runs in this process. Raises RuntimeError with the trace of a process that failed, or
    that died; all processes end with the iteration.
    """
    if len(jobs) == 1:
        yield from work(*jobs[0])
        return
    context = multiprocessing.get_context('spawn')
    done = context.Queue()
    workers = [
        context.Process(target=_serve, args=(work, job, done, os.getpid()), daemon=True)
        for job in jobs
    ]
    for worker in workers:
        worker.start()
    try:
        running = len(workers)
        while running:
            kind, value = done.get()
            if kind == 'failed':
                raise RuntimeError(value)
            if kind == 'ended':
                running -= 1
            else:
                yield value
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def _serve(
    work: Callable[..., Iterator[Any]], job: tuple, done: multiprocessing.Queue, parent: int
) -> None:
    """Run one job, telling of each result."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    end_with(parent)
    # Mesa and OpenCV would start a thread for every core in each of the processes.
    os.environ.setdefault('LP_NUM_THREADS', '1')
    cv2.setNumThreads(1)
    try:
        for value in work(*job):
            done.put(('result', value))
        done.put(('ended', None))
    except BaseException:
        done.put(('failed', traceback.format_exc()))
