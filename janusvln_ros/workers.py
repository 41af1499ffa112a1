"""Worker processes: they end with the one that started them, and it is told when one dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, ExitStack
import ctypes
from itertools import islice
import multiprocessing
import os
import signal
from typing import Any

_PR_SET_PDEATHSIG = 1
# Mesa and OpenCV would start a thread for every core in each of the processes.
ONE_THREAD = {'LP_NUM_THREADS': '1', 'OPENCV_FOR_THREADS_NUM': '1'}
_THREADS = 'OMP_NUM_THREADS'

_started: list[Any] = []  # in a worker: what makes its work, then the work
_held = ExitStack()


def end_with(parent: int) -> None:
    """
    Have this process sent SIGTERM when its parent ends, however that ends (Linux).

    It counts as ended with the thread that started this process, so that should be the main one.
    parent: number of the process that started this one; it may have ended already.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


class Interruption:
    """Notes Ctrl-C and SIGTERM within its `with` block, so that work ends where it is fit to."""

    def __enter__(self) -> Interruption:
        self.noted = False
        self._before = {
            number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def _note(self, *_: object) -> None:
        self.noted = True

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def in_processes(
    tasks: Sequence[Any],
    make: Callable[..., AbstractContextManager[Callable[[Any], Any]]],
    *arguments: Any,
    processes: int,
) -> Iterator[Any]:
    """
    Do tasks in several processes and give their results as they come; from the main thread only.

    make: a function that a module defines; called with `arguments` once in every process, it gives
    a context of what does a task there. The processes share the cores, unless OMP_NUM_THREADS says
    how many threads each has. One process, or one task, is done in this process.
    After Ctrl-C or a fault what is under way comes to its end and is given, then that is raised:
    a task's exception as it is, RuntimeError where a process was killed.
    """
    processes = min(processes, len(tasks))
    if processes <= 1:
        if tasks:
            with make(*arguments) as work:
                yield from map(work, tasks)
        return
    pool = ProcessPoolExecutor(
        processes,
        multiprocessing.get_context('spawn'),  # drawing libraries do not survive a fork
        _begin,
        (os.getpid(), make, arguments),
    )
    left = iter(tasks)
    running: set[Future[Any]] = set()

    threads = str(max(1, len(os.sched_getaffinity(0)) // processes))

    def submit(count: int) -> None:
        # Workers inherit the mask: Ctrl-C goes to all processes, but this one decides, after this.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        shared = _THREADS not in os.environ
        os.environ.setdefault(_THREADS, threads)  # torch would take all cores in each
        try:
            running.update(pool.submit(_do, task) for task in islice(left, count))
        finally:
            if shared:
                del os.environ[_THREADS]
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    try:
        submit(processes)
        while running:
            done = wait(running, return_when=FIRST_COMPLETED).done
            submit(len(done))
            for future in done:
                running.remove(future)
                yield future.result()
    except (Exception, KeyboardInterrupt) as error:
        for future in wait(running).done:
            if future.exception() is None:
                yield future.result()
        if isinstance(error, BrokenProcessPool):
            raise RuntimeError(
                'a worker process was killed (out of memory?); what is finished is kept, and the '
                'same command goes on'
            ) from error
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(parent: int, *make: Any) -> None:
    end_with(parent)
    os.environ.update(ONE_THREAD)
    _started.append(make)


def _do(task: Any) -> Any:
    if len(_started) == 1:  # not in _begin, whose exceptions the pool would not tell
        make, arguments = _started[0]
        _started.append(_held.enter_context(make(*arguments)))
    return _started[1](task)
