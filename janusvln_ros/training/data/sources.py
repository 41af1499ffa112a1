"""Where walks come from, one at a time: our own files, trajectories, or examples on disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import json
from pathlib import Path
from typing import Protocol

from janusvln_ros.actions import Action
from janusvln_ros.policy.preprocessing import resize
from janusvln_ros.policy.wording import AFTER_INSTRUCTION, BEFORE_INSTRUCTION
from janusvln_ros.training.data.layout import read_picture, Trajectory
from janusvln_ros.training.data.walks import (
    load_walk,
    Question,
    UNKNOWN,
    Walk,
    walk_files,
    walk_length,
)
import numpy as np
from tqdm import tqdm


class WalkDataset(Protocol):
    """Walks that are read when they are indexed."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Walk: ...

    def lengths(self) -> np.ndarray:
        """Tell how long the walks are, int64 (len,), in any unit: batches are of alike ones."""

    def order(self, rng: np.random.Generator) -> np.ndarray:
        """Shuffle the walks of an epoch: int64, always as many."""
        return rng.permutation(len(self))


class WalkFiles(WalkDataset):
    """The walks of some folders."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._files = [path for folder in folders for path in walk_files(folder)]

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Walk:
        return load_walk(self._files[index])

    def lengths(self) -> np.ndarray:
        """Give the numbers of frames."""
        return np.array(
            [
                walk_length(path)
                for path in tqdm(self._files, desc='lengths of walks', leave=False, mininterval=5)
            ]
        )


class TrajectoryFiles(WalkDataset):
    """
    Trajectories of the published layout, for `windowed` training: every step of one is asked.

    most: pictures of a trajectory that are read at most, its first ones.
    """

    def __init__(self, trajectories: Iterable[Trajectory], image_width: int, most: int) -> None:
        self._items = [
            (trajectory, which)
            for trajectory in trajectories
            for which in range(len(trajectory.instructions))
        ]
        self._width, self._most = image_width, most

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Walk:
        trajectory, which = self._items[index]
        frames = [
            resize(read_picture(trajectory.folder / name), self._width)
            for name in trajectory.pictures[: self._most]
        ]
        return _walk(
            trajectory.name,
            trajectory.instructions[which],
            np.array(frames),
            np.array(trajectory.actions[: self._most], np.int8),
        )

    def lengths(self) -> np.ndarray:
        """Give the numbers of pictures that are read."""
        return np.array(
            [min(len(trajectory.pictures), self._most) for trajectory, _ in self._items]
        )


class ExampleFiles(WalkDataset):
    """Training examples of the published form, as `janusvln data build` writes them."""

    def __init__(self, paths: Iterable[Path], image_width: int) -> None:
        """Find where the lines begin; FileNotFoundError for a file that is not there."""
        self._width = image_width
        self._files: list[tuple[Path, np.ndarray]] = []
        for path in paths:
            with path.open('rb') as file:
                ends = np.cumsum([len(line) for line in file])
            self._files.append((path, np.concatenate(([0], ends))[:-1].astype(np.int64)))
        self._ends = np.cumsum([len(starts) for _, starts in self._files])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> Walk:
        number = int(np.searchsorted(self._ends, index, side='right'))
        path, starts = self._files[number]
        line = index - (int(self._ends[number - 1]) if number else 0)
        with path.open('rb') as file:
            file.seek(int(starts[line]))
            text = file.readline()
        where = f'{path}, line {line + 1}'
        try:
            example = json.loads(text)
            asked, answered = (turn['value'] for turn in example['conversations'])
            images = [Path(image) for image in example['images']]
            action = Action[answered]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f'{where} is no training example: {error!r}') from error
        head = '<image>' * len(images) + BEFORE_INSTRUCTION
        if not asked.startswith(head) or not asked.endswith(AFTER_INSTRUCTION):
            raise ValueError(
                f'{where}: the text is not the evaluation prompt with '
                f'{len(images)} images; build examples with: janusvln data build'
            )
        frames = np.array([resize(read_picture(image), self._width) for image in images])
        actions = np.full(len(frames), UNKNOWN, np.int8)
        actions[-1] = action
        return _walk(example['id'], asked[len(head) : -len(AFTER_INSTRUCTION)], frames, actions)

    def lengths(self) -> np.ndarray:
        """Give the lengths of the lines: an image more makes one longer."""
        return np.concatenate(
            [np.diff(starts, append=path.stat().st_size) for path, starts in self._files]
        )


def _walk(name: str, instruction: str, frames: np.ndarray, actions: np.ndarray) -> Walk:
    """Make a walk of which only pictures, instruction and answers are known."""
    unknown = np.full(len(frames), np.nan)
    question = Question(
        'text',
        {'text': instruction},
        0,
        None,
        actions,
        np.full_like(actions, UNKNOWN),
        unknown,
        unknown,
        np.zeros(len(frames), bool),
    )
    return Walk(
        name, instruction, frames, np.full((len(frames), 3), np.nan), actions, actions, (question,)
    )


class ConcatWalks(WalkDataset):
    """
    Several sources one after another.

    shares: of an epoch, which then has all walks of the first source, and of the others as many
    as that takes, drawn anew in every epoch.
    """

    def __init__(
        self, sources: Iterable[WalkDataset], shares: Sequence[float] | None = None
    ) -> None:
        self._sources = list(sources)
        if not self._sources:
            raise ValueError('data names no source of walks')
        self._ends = np.cumsum([len(source) for source in self._sources])
        self._counts: list[int] | None = None  # of an epoch
        if shares is not None:
            if len(shares) != len(self._sources) or min(shares) <= 0.0:
                raise ValueError('every source of data needs a share above 0, or none has one')
            if empty := [n for n, source in enumerate(self._sources, 1) if not len(source)]:
                raise ValueError(
                    f'data: there are no walks in the source that is number {empty[0]}'
                )
            whole = len(self._sources[0]) / shares[0]
            self._counts = [round(whole * share) for share in shares]
            if 0 in self._counts:
                raise ValueError(
                    f'data: the share {shares[self._counts.index(0)]} is less than half a walk '
                    f'of an epoch of {whole:.0f}; give it more'
                )

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> Walk:
        number = int(np.searchsorted(self._ends, index, side='right'))
        return self._sources[number][index - (int(self._ends[number - 1]) if number else 0)]

    def lengths(self) -> np.ndarray:
        """Give those of all sources."""
        return np.concatenate([source.lengths() for source in self._sources])

    def order(self, rng: np.random.Generator) -> np.ndarray:
        """Shuffle the walks of an epoch, by the shares."""
        if self._counts is None:
            return rng.permutation(len(self))
        starts = (0, *self._ends[:-1])
        chosen = [
            start + np.resize(rng.permutation(len(source)), count)
            for start, source, count in zip(starts, self._sources, self._counts)
        ]
        return rng.permutation(np.concatenate(chosen))
