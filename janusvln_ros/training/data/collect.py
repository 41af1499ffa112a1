"""Walks through houses, written to disk by several processes; an interrupted run goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from janusvln_ros.episodes.grammar import CATEGORIES
from janusvln_ros.episodes.splits import find_split, Split
from janusvln_ros.episodes.tasks import FORMS
from janusvln_ros.training.data.walker import Walker
from janusvln_ros.training.data.walks import save_walk
from janusvln_ros.workers import in_processes
from tqdm import tqdm

# Houses of the train split, but more episodes than it has.
WALKS = Split(
    'train_walks', 10**11, find_split('train').first_seed, find_split('train').houses, seen=True
)


@dataclass(frozen=True)
class Plan:
    """What is to be collected."""

    folder: Path
    walks: int
    seed: int
    categories: tuple[str, ...] = ('reach',)  # or single forms; they take turns
    most: int = 32  # frames of a walk
    image_width: int = 112  # pixels
    no_slide: float = 0.0  # share of the walks that stand before what they run into
    driven: float = 0.0  # share of the walks with a real body, in physics

    def path(self, number: int) -> Path:
        """Name a walk's file."""
        return self.folder / f'walk_{self.seed:03}_{number:06}.npz'

    def dropped(self, number: int) -> Path:
        """Name the empty mark of a walk that was not kept."""
        return self.path(number).with_suffix('.dropped')

    def index(self, number: int) -> int:
        """Give the episode of a walk: categories take turns, and the forms of each."""
        turn = self.seed * 1_000_000 + number
        name = self.categories[number % len(self.categories)]
        if name not in CATEGORIES:
            category = next(category for category, forms in FORMS.items() if name in forms)
            turn = turn * len(FORMS[category]) + list(FORMS[category]).index(name)
            name = category
        return turn * len(CATEGORIES) + CATEGORIES.index(name)


def check(categories: Sequence[str]) -> None:
    """Raise ValueError for what is neither a category nor a form."""
    known = [*CATEGORIES, *(form for forms in FORMS.values() for form in forms)]
    if unknown := sorted({*categories} - {*known}):
        raise ValueError(f'no categories or forms {unknown}; there are {", ".join(known)}')


def collect(plan: Plan, processes: int = 1) -> None:
    """
    Walk until all files are there.

    Raises ValueError for categories that there are none of.
    """
    fill(plan, _walks, plan, processes)


def fill(plan: Plan, make: Callable[[Any], Any], what: Any, processes: int) -> None:
    """Do a plan's missing walks as `make(what)` does them; errors as of `collect`."""
    check(plan.categories)
    plan.folder.mkdir(parents=True, exist_ok=True)
    there = {path.stem for path in plan.folder.iterdir() if path.suffix in ('.npz', '.dropped')}
    missing = [number for number in range(plan.walks) if plan.path(number).stem not in there]
    done = plan.walks - len(missing)
    with tqdm(desc='walks', total=plan.walks, initial=done, mininterval=5) as bar:
        for _ in in_processes(missing, make, what, processes=processes):
            bar.update()


@contextmanager
def _walks(plan: Plan) -> Iterator[Callable[[int], None]]:
    """Give what walks and saves the walk of a number."""
    with closing(Walker()) as walker:
        yield lambda number: save_walk(
            plan.path(number),
            walker.walk(
                WALKS,
                plan.index(number),
                most=plan.most,
                no_slide=plan.no_slide,
                driven=plan.driven,
            ),
            plan.image_width,
        )
