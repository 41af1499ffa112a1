"""What tests have done in other processes, which import it from here."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import time


@contextmanager
def squares(folder: Path, fail_at: int | None = None) -> Iterator[Callable[[int], int]]:
    """Give what squares a number; leave a file for each process; fail at a number."""
    (folder / f'made_{os.getpid()}').touch()

    def square(task: int) -> int:
        if task == fail_at:
            raise ValueError(f'no square of {task}')
        return task**2

    yield square


@contextmanager
def sleepers(folder: Path) -> Iterator[Callable[[int], int]]:
    """Give what takes half a second and then leaves a file."""

    def sleep(task: int) -> int:
        time.sleep(0.5)
        (folder / str(task)).touch()
        return task

    yield sleep


@contextmanager
def counters() -> Iterator[Callable[[object], int]]:
    """Give what tells how many threads torch has here."""
    import torch  # as late as what makes a policy

    yield lambda task: torch.get_num_threads()
