"""
Trajectories on disk as the published project lays them out, read and written.

R2R-CE and RxR-CE: a folder of pictures for every episode, each file's name ending in the action
taken there; instructions in VLN-CE's episode file. ScaleVLN and DAgger: annotations.json, a list
of {id, video: "<split>/<name>", instructions, actions: [-1, a1, a2, …]}, pictures in
images/<name>/rgb/; the label of picture i is actions[i + 1], of the last picture STOP.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
import json
import mmap
import os
from pathlib import Path
import re
import shutil

import cv2
from janusvln_ros.actions import Action
from janusvln_ros.episodes.vln_ce import read_episodes
from janusvln_ros.policy.wording import AFTER_INSTRUCTION, BEFORE_INSTRUCTION, history
import numpy as np

ANNOTATIONS = 'annotations.json'
_ENDINGS = {f'_{action.name.lower()}': int(action) for action in Action}
_DIGITS = re.compile(r'(\d+)')
_PICTURES = ('.png', '.jpg', '.jpeg')


@dataclass(frozen=True)
class Trajectory:
    """Pictures with the right action at each, and what was asked for."""

    name: str
    instructions: tuple[str, ...]
    folder: Path
    pictures: tuple[str, ...]  # file names in `folder`, in order of time
    actions: tuple[int, ...]  # one for each picture


def read_pictures(folder: Path, episodes: Path) -> Iterator[Trajectory]:
    """
    Read folders of pictures named after their actions (R2R-CE, RxR-CE).

    episodes: VLN-CE's file with the instructions. Every folder below `folder` that has pictures is
    an episode, named by its id. Raises ValueError naming the folder or file that is wrong.
    """
    told: dict[str, list[str]] = {}
    for episode in read_episodes(episodes):
        told.setdefault(str(episode.episode_id), []).append(episode.instruction.text)
    found = False
    for place, _, files in sorted(os.walk(_existing(folder))):
        pictures = tuple(sorted(name for name in files if name.lower().endswith(_PICTURES)))
        if not pictures:
            continue
        found = True
        name = Path(place).name
        if name not in told:
            raise ValueError(f'{place}: {episodes} has no episode {name!r}')
        actions = tuple(_ending(Path(place) / picture) for picture in pictures)
        if Action.STOP in actions[:-1]:
            raise ValueError(
                f'{Path(place) / pictures[actions.index(Action.STOP)]}: STOP is not '
                'the last action of the episode'
            )
        yield Trajectory(name, tuple(told[name]), Path(place), pictures, actions)
    if not found:
        raise ValueError(f'{folder}: no pictures below it; expected <episode_id>/*_<action>.png')


def _ending(picture: Path) -> int:
    for ending, action in _ENDINGS.items():
        if picture.stem.lower().endswith(ending):
            return action
    raise ValueError(f'{picture}: the name does not end in an action, like {", ".join(_ENDINGS)}')


def read_annotations(folder: Path) -> Iterator[Trajectory]:
    """
    Read annotations.json and the pictures beside it (ScaleVLN, DAgger).

    Raises ValueError naming the entry or folder that is wrong.
    """
    path = _existing(folder) / ANNOTATIONS
    try:
        entries = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError as error:
        raise ValueError(f'{path} is missing') from error
    except ValueError as error:
        raise ValueError(f'{path} is not readable as JSON: {error}') from error
    if not isinstance(entries, list):
        raise ValueError(f'{path} holds no list')
    for number, entry in enumerate(entries):
        yield _annotated(folder, entry, f'{path}, entry {number}')


def _annotated(folder: Path, entry: object, where: str) -> Trajectory:
    if not isinstance(entry, dict):
        raise ValueError(f'{where} is no object')
    lacking = [key for key in ('id', 'video', 'instructions', 'actions') if key not in entry]
    if lacking:
        raise ValueError(f'{where} lacks {", ".join(lacking)}')
    where = f'{where} (id {entry["id"]!r})'
    told = entry['instructions']
    if not isinstance(told, list) or not told or not all(isinstance(t, str) for t in told):
        raise ValueError(f'{where}: instructions is not a list of texts')
    actions = entry['actions']
    begins = isinstance(actions, list) and actions[:1] == [-1]
    if not begins or not all(action in tuple(Action) for action in actions[1:]):
        raise ValueError(f'{where}: actions is not -1 followed by numbers from 0 to 3')
    name = str(entry['video']).rpartition('/')[2]
    place = folder / 'images' / name / 'rgb'
    if not place.is_dir():
        raise ValueError(f'{where}: no folder {place}')
    found = (p for p in os.listdir(place) if p.lower().endswith(_PICTURES))
    pictures = tuple(sorted(found, key=_in_order))
    labels = tuple(actions[1 : len(pictures)])
    if len(labels) != len(pictures) - 1 or actions[len(pictures) :] not in ([], [0]):
        raise ValueError(
            f'{where}: {len(actions)} actions for {len(pictures)} pictures in {place}'
        )
    return Trajectory(str(entry['id']), tuple(told), place, pictures, (*labels, int(Action.STOP)))


def _in_order(name: str) -> list[tuple[int, str]]:
    """Sort names by the numbers in them: 999.jpg comes before 1000.jpg."""
    return [(int(part) if i % 2 else 0, part) for i, part in enumerate(_DIGITS.split(name))]


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise ValueError(f'no folder {folder}')
    return folder


class AnnotationWriter:
    """
    Writes trajectories in the layout of ScaleVLN and DAgger, one by one.

    annotations.json is complete at any time; a name that is there already is not written again.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self.folder, self._split = folder, split
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / ANNOTATIONS
        self.names: set[str] = set()
        if self._path.exists():
            try:
                entries = json.loads(self._path.read_text(encoding='utf-8'))
            except ValueError as error:
                raise ValueError(f'{self._path} is not readable as JSON: {error}') from error
            self.names = {entry['id'] for entry in entries}

    def write(
        self, name: str, instruction: str, frames: Sequence[np.ndarray], actions: Sequence[int]
    ) -> None:
        """Write pictures, uint8 (H, W, 3), and the right action at each; the last is STOP."""
        if actions[-1] != Action.STOP or len(actions) != len(frames):
            raise ValueError(f'{name}: {len(frames)} frames need as many actions, the last STOP')
        for number, frame in enumerate(frames):
            self.picture(name, number, frame)
        self.finish(name, [instruction], actions)

    def picture(self, name: str, number: int, frame: np.ndarray) -> None:
        """
        Write one picture of a trajectory, uint8 (H, W, 3).

        They are numbered from 0; with the first, what an interrupted run has left goes.
        """
        packed = cv2.imencode('.jpg', frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
        self.packed(name, number, packed.tobytes())

    def packed(self, name: str, number: int, picture: bytes) -> None:
        """Write one picture that is packed as PNG or JPEG, as it is."""
        ending = 'png' if picture.startswith(b'\x89PNG') else 'jpg'
        place = self.folder / 'images' / name / 'rgb'
        if number == 0:
            self.forget(name)
        place.mkdir(parents=True, exist_ok=True)
        (place / f'{number:03}.{ending}').write_bytes(picture)

    def forget(self, name: str) -> None:
        """Remove the pictures of a trajectory that is not finished."""
        shutil.rmtree(self.folder / 'images' / name, ignore_errors=True)

    def finish(self, name: str, instructions: Sequence[str], actions: Sequence[int]) -> None:
        """Add a trajectory whose pictures are written, with the right action at each."""
        entry = {
            'id': name,
            'video': f'{self._split}/{name}',
            'instructions': list(instructions),
            'actions': [-1, *(int(action) for action in actions)],
        }
        text = json.dumps(entry, ensure_ascii=False).encode()
        if self.names:
            self._append(text)
        else:
            part = self._path.with_suffix('.part')
            part.write_bytes(b'[' + text + b']')
            part.replace(self._path)
        self.names.add(name)

    def _append(self, entry: bytes) -> None:
        """Put an entry before the closing bracket, at once: a list may have 100,000 of them."""
        with self._path.open('r+b', buffering=0) as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            end = content.rfind(b']')
            content.close()
            file.seek(end)
            try:
                if file.write(b', ' + entry + b']') != len(entry) + 3:
                    raise OSError(f'{self._path} cannot grow: is the disk full?')
            except OSError:
                file.truncate(end)
                file.seek(end)
                file.write(b']')
                raise


def build_examples(trajectories: Iterable[Trajectory], target: Path, frames: int = 8) -> int:
    """
    Write a training example for every picture and instruction, as JSON lines; tell how many.

    An example is {id, conversations: [{from: human, value}, {from: gpt, value}], images: [path,
    …]} with `<image>` for each picture: at most `frames` of the history, and the current one. The
    text is that of the evaluation prompt. Streams: nothing but one trajectory is held in memory.
    """
    count = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + '.part')
    with part.open('w', encoding='utf-8') as file:
        for trajectory in trajectories:
            for which, instruction in enumerate(trajectory.instructions):
                for step, action in enumerate(trajectory.actions):
                    shown = history(step, frames)
                    text = BEFORE_INSTRUCTION + instruction + AFTER_INSTRUCTION
                    example = {
                        'id': f'{trajectory.name}_{which}_{step}',
                        'conversations': [
                            {'from': 'human', 'value': '<image>' * len(shown) + text},
                            {'from': 'gpt', 'value': Action(action).name},
                        ],
                        'images': [str(trajectory.folder / trajectory.pictures[i]) for i in shown],
                    }
                    print(json.dumps(example, ensure_ascii=False), file=file)
                    count += 1
    part.replace(target)
    return count


def read_picture(path: Path) -> np.ndarray:
    """Read a picture, uint8 (H, W, 3), RGB; ValueError naming the file where it cannot be."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f'{path} is missing or no picture')
    return picture[..., ::-1]
