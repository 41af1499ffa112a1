"""LeRobot datasets to trajectories of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import os
from pathlib import Path
import re

from janusvln_ros.training.data.layout import AnnotationWriter
from janusvln_ros.training.data.lerobot import form, meaning
from janusvln_ros.training.data.lerobot.dataset import Dataset, Episode
from janusvln_ros.training.data.lerobot.driven import drive, pose_columns
from janusvln_ros.training.data.recorded import Recorded
from janusvln_ros.training.data.stories import Source
from tqdm import tqdm


@dataclass(frozen=True)
class Taken:
    """How many trajectories were written, and everything worth a word."""

    written: int
    notes: tuple[str, ...]


def find_datasets(path: Path) -> list[Path]:
    """Give the folder of a dataset, or all below it; ValueError where there is none."""
    found = []
    for place, folders, _ in os.walk(path):
        folders.sort()
        if (Path(place) / form.INFO).exists():
            found.append(Path(place))
            folders.clear()  # of its pictures there may be millions
    if not found:
        raise ValueError(
            f'{path} is no LeRobot dataset: neither it nor a folder below it has {form.INFO}'
        )
    return found


def take_in(path: Path, folder: Path, camera: str | None) -> Taken:
    """
    Write the episodes of a dataset, or of all datasets below a folder, as trajectories.

    Those that are there already stay as they are. camera: None for the only one. An episode that
    cannot be read is left out and noted. Raises ValueError where there is none at all.
    """
    writer = AnnotationWriter(folder, 'lerobot')
    notes: list[str] = []
    written = known = 0
    for root in tqdm(find_datasets(path), 'datasets', leave=False, disable=None):
        name = '_'.join([path.resolve().name, *root.relative_to(path).parts])
        intake = _Intake(name, writer)
        try:
            intake.take(Dataset(root, camera))
        except ValueError as error:
            notes.append(str(error))
        notes += intake.notes(root)
        written, known = written + intake.written, known + intake.known
    if known:
        notes.append(f'{known} trajectories are there already and left as they are')
    if not written and not known:
        raise ValueError(f'there is no trajectory: {"; ".join(notes)}')
    return Taken(written, tuple(notes))


class _Intake:
    """One dataset; why episodes are left out is gathered, since many lie in one file."""

    def __init__(self, name: str, writer: AnnotationWriter) -> None:
        self.written = self.known = 0
        self._name, self._writer = name, writer
        self._left_out: dict[str, list[int]] = {}
        self._bare: dict[str, list[int]] = {}
        self._problems: Sequence[str] = ()
        self._said: list[str] = []
        self._poses: tuple[str, list[int]] | None = None

    def take(self, dataset: Dataset) -> None:
        """Write the episodes; ValueError where the whole dataset cannot be read."""
        self._problems = dataset.problems
        self._poses = pose_columns(dataset)
        total = dataset.total
        for episode in tqdm(dataset.episodes(), 'episodes', total, leave=False, disable=None):
            name = episode.name or f'{self._name}_{episode.index:06}'
            name = re.sub(r'[^\w.-]+', '_', name).lstrip('.')  # it becomes a file's
            if name in self._writer.names:
                self.known += 1
                continue
            try:
                self._take(dataset, episode, name)
            except ValueError as error:
                self._writer.forget(name)
                self._left_out.setdefault(str(error), []).append(episode.index)
                continue
            self.written += 1

    def _take(self, dataset: Dataset, episode: Episode, name: str) -> None:
        if episode.length < 1:
            raise ValueError('it has no frames')
        told = meaning.instructions(episode)
        story: Recorded | None = None
        if meaning.is_discrete(dataset):
            labels, numbers = meaning.actions(dataset, episode), list(range(episode.length))
            try:
                story = meaning.story(episode, name, labels)
            except ValueError as error:
                self._bare.setdefault(str(error), []).append(episode.index)
        else:
            if self._poses is None:
                raise ValueError(
                    'it has neither whole numbers of the four actions as its action, nor a '
                    'feature with x, y and yaw among its names'
                )
            source = Source(name, told[0], (str(dataset.root),), dataset.camera, self._poses[0])
            numbers, story = drive(dataset, episode, self._poses, source)
            labels = story.actions
            self._said += [f'{name}: {note}' for note in story.notes]
        for number, picture in enumerate(dataset.pictures(episode, numbers)):
            if isinstance(picture, bytes):
                self._writer.packed(name, number, picture)
            else:
                self._writer.picture(name, number, picture)
        if story is not None:
            story.write(self._writer.folder)
        self._writer.finish(name, told, labels)

    def notes(self, root: Path) -> list[str]:
        """Tell what was not read."""
        told = ((self._left_out, 'left out'), (self._bare, 'taken without times and poses'))
        return [
            *self._problems,
            *self._said,
            *(
                f'{root}: {_listed(numbers)} {what}: {why}'
                for reasons, what in told
                for why, numbers in reasons.items()
            ),
        ]


def _listed(numbers: Sequence[int]) -> str:
    """Name episodes, ranges in short."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    words = [f'{low}' if low == high else f'{low} to {high}' for low, high in ranges]
    return f'episode {words[0]} is' if len(numbers) == 1 else f'episodes {", ".join(words)} are'
