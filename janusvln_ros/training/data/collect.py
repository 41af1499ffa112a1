"""Walks through houses, written to disk by several processes; an interrupted run goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from janusvln_ros.episodes.grammar import CATEGORIES
from janusvln_ros.episodes.splits import find_split, Split
from janusvln_ros.training.data.farm import in_processes
from janusvln_ros.training.data.walks import save_walk, Walker
from tqdm import tqdm

# Houses of the train split, but more episodes than it has.
WALKS = Split(
    'train_walks',
    1_000_000_000,
    find_split('train').first_seed,
    find_split('train').houses,
    seen=True,
)


@dataclass(frozen=True)
class Plan:
    """What is to be collected."""

    folder: Path
    walks: int
    seed: int
    categories: tuple[str, ...] = ('reach',)
    most: int = 32  # frames of a walk
    image_width: int = 112  # pixels

    def path(self, number: int) -> Path:
        """Name a walk's file."""
        return self.folder / f'walk_{self.seed:03}_{number:06}.npz'

    def index(self, number: int) -> int:
        """Give the episode of a walk: categories take turns."""
        category = CATEGORIES.index(self.categories[number % len(self.categories)])
        return (self.seed * 1_000_000 + number) * len(CATEGORIES) + category


def collect(plan: Plan, processes: int = 1) -> None:
    """
    Walk until all files are there.

    Raises ValueError for categories that there are none of.
    """
    unknown = set(plan.categories) - set(CATEGORIES)
    if unknown:
        raise ValueError(f'no categories {sorted(unknown)}; there are {", ".join(CATEGORIES)}')
    plan.folder.mkdir(parents=True, exist_ok=True)
    missing = [number for number in range(plan.walks) if not plan.path(number).exists()]
    jobs = [(plan, missing[i::processes]) for i in range(processes)]
    with tqdm(
        total=plan.walks, initial=plan.walks - len(missing), desc='walks', mininterval=5
    ) as bar:
        for _ in in_processes(_work, jobs):
            bar.update()


def _work(plan: Plan, numbers: Sequence[int]) -> Iterator[int]:
    """Walk and save; give each walk's number."""
    walker = Walker()
    for number in numbers:
        walk = walker.walk(WALKS, plan.index(number), most=plan.most)
        save_walk(plan.path(number), walk, plan.image_width)
        yield number
    walker.close()


def walk_files(folder: Path) -> list[Path]:
    """List a folder's walks, in order; FileNotFoundError where there is none."""
    files = sorted(folder.glob('walk_*.npz'))
    if not files:
        raise FileNotFoundError(f'no walks in {folder}; make some: janusvln data walks {folder}')
    return files
