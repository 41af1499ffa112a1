"""What can be replayed: a bag, a folder of pictures, a video; and which frames of it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

from janusvln_ros.recordings import frames as sources
from janusvln_ros.recordings.bag import Bag, is_bag
from janusvln_ros.recordings.frames import Frame
from janusvln_ros.recordings.mounts import calibration, camera_mount, Mount
from janusvln_ros.recordings.timeline import choose_topics, read_timeline, RecordedPath
from janusvln_ros.replay.outputs import ResultBag
from janusvln_ros.replay.selection import (
    AfterMotions,
    Episodes,
    EveryFrame,
    EveryPeriod,
    RecordedFrames,
    Selection,
)


class RecordingError(ValueError):
    """A recording that cannot be replayed with these options; says which options would do."""


class BagRecording:
    """A bag as the source of a replay."""

    def __init__(self, options: argparse.Namespace, resources: ExitStack) -> None:
        self._bag = resources.enter_context(Bag(options.input))
        with self._telling_damage():
            topics = choose_topics(
                self._bag,
                namespace=options.namespace,
                image=options.image_topic,
                instruction=options.instruction_topic,
                odometry=options.odom_topic,
                need_instruction=options.instruction is None,
            )
            self._timeline = read_timeline(self._bag, topics)
        self._reader = sources.ImageReader(self._bag, topics.image)
        self.camera = topics.image
        self._odometry, self._namespace = topics.odometry, options.namespace
        self.path = self._timeline.path
        self.settings = dict(next(iter(self._timeline.settings), {}))
        self.count = self._bag.counts.get(self.camera)

    def selection(self, options: argparse.Namespace, capacity: int) -> tuple[Selection, str]:
        """Choose how frames are chosen; also say it."""
        with self._telling_damage():
            return self._selection(options, capacity)

    @contextmanager
    def _telling_damage(self) -> Iterator[None]:
        """Let an error tell that the bag is damaged: what it misses may be what was lost."""
        try:
            yield
        except ValueError as error:
            damage = '; '.join(self._bag.problems)
            raise type(error)(f'{damage}. In what is left, {error}' if damage else error) from None

    def _selection(self, options: argparse.Namespace, capacity: int) -> tuple[Selection, str]:
        line = self._timeline
        every = options.every
        motions = line.motions or line.path.motions()
        if every is None:
            every = 'action' if line.actions or motions else 'frame'
        if every == 'action' and line.actions:
            return RecordedFrames(line, options.instruction, capacity), 'action'
        episodes = Episodes(line.instructions, options.instruction)
        if not options.instruction and not line.instructions:
            raise RecordingError(
                'the bag has no instruction (a message on a topic of type '
                f'std_msgs/msg/String): give --instruction; the bag has: {self._bag.listing()}'
            )
        if every == 'action':
            if not motions:
                raise RecordingError(
                    'the bag has no recorded actions, and neither motion status nor odometry with '
                    'a motion that ends in standing: use --every frame or --every 0.5s'
                )
            return AfterMotions(episodes, motions), 'action'
        return _by_time(every, episodes)

    def frames(self, copy: ResultBag | None) -> Iterator[Frame]:
        """Stream the camera; `copy` gets all messages of the bag as they pass."""
        for message in self._bag.messages(() if copy is not None else [self.camera]):
            if copy is not None:
                copy.add_original(message)
            if message[0].name == self.camera:
                frame = self._reader.frame(message)
                if frame is not None:
                    yield frame

    def result_bag(self, path: Path, namespace: str, stride: int) -> ResultBag:
        """Open the bag for results, in the storage of the recording; stride: of its points."""
        folder = self._bag.path
        sqlite = any('.db3' in file.name for file in (folder, *folder.glob('*')))
        return ResultBag(path, 'sqlite3' if sqlite else 'mcap', namespace, stride)

    def calibration(self) -> Any | None:
        """Give the camera_info that lies beside the pictures; None where there is none."""
        return calibration(self._bag, self.camera)

    def mount(self) -> Mount | None:
        """Find where the camera sits on the robot; None where tf does not tell it."""
        if self._odometry is None:
            return None
        return camera_mount(self._bag, self.camera, self._odometry, self._namespace)

    def problems(self) -> list[str]:
        """Tell what was wrong with the bag."""
        problems = [*self._bag.problems, *self._timeline.problems, *self._reader.problems]
        if len(self._timeline.settings) > 1:
            problems.append(
                f'the policy was loaded {len(self._timeline.settings)} times with different '
                'settings while this was recorded; those of the first time are used'
            )
        return problems

    def nothing(self, rule: str) -> str:
        """Say why there was no decision."""
        if self._reader.frame_count == 0:
            return f'the bag has no messages on {self.camera}; it has: {self._bag.listing()}'
        return (
            f'none of the {self._reader.frame_count} images on {self.camera} was chosen by '
            f'--every {rule}: are there images after the instruction?'
        )


class FileRecording:
    """A folder of pictures or a video as the source of a replay."""

    path = RecordedPath()  # no odometry
    settings: Mapping[str, str] = MappingProxyType({})  # nor what a policy ran with

    def __init__(self, options: argparse.Namespace) -> None:
        self._input: Path = options.input
        self.camera = str(options.input)
        if options.instruction is None:
            raise RecordingError('pictures and videos carry no instruction: give --instruction')
        if options.every == 'action':
            raise RecordingError('pictures and videos carry no actions: use --every frame')
        if options.output_bag:
            raise RecordingError('--output-bag needs a bag as input')
        if self._input.is_dir() and isinstance(options.every, float):
            raise RecordingError('a folder of pictures has no times: use --every frame')
        self.count = sources.frame_count(self._input)

    def selection(self, options: argparse.Namespace, capacity: int) -> tuple[Selection, str]:
        """Choose how frames are chosen; also say it."""
        return _by_time(options.every or 'frame', Episodes([], options.instruction))

    def frames(self, copy: ResultBag | None) -> Iterator[Frame]:
        """Stream the pictures."""
        if self._input.is_dir():
            return sources.folder_frames(self._input)
        return sources.video_frames(self._input)

    def calibration(self) -> Any | None:
        """Give the camera_info: there is none."""
        return None

    def mount(self) -> Mount | None:
        """Find where the camera sits: nobody knows."""
        return None

    def problems(self) -> list[str]:
        """Tell what was wrong: nothing that a decision does not tell."""
        return []

    def nothing(self, rule: str) -> str:
        """Say why there was no decision."""
        return f'{self._input} has no pictures that can be read'


def open_recording(
    options: argparse.Namespace, resources: ExitStack
) -> BagRecording | FileRecording:
    """
    Open what the command line names; `resources` closes it.

    Raises RecordingError or BagError for what cannot be replayed.
    """
    path: Path = options.input
    if not path.exists():
        raise RecordingError(f'{path} does not exist')
    if path.is_dir() and not is_bag(path) and sources.picture_files(path):
        return FileRecording(options)
    if path.suffix.lower() in sources.VIDEOS:
        return FileRecording(options)
    if not is_bag(path):
        raise RecordingError(
            f'{path} is no bag (folder with metadata.yaml, .mcap, .db3), no folder of pictures '
            f'({" ".join(sources.PICTURES)}) and no video ({" ".join(sources.VIDEOS)})'
        )
    return BagRecording(options, resources)


def _by_time(every: str | float, episodes: Episodes) -> tuple[Selection, str]:
    if isinstance(every, str):  # frame
        return EveryFrame(episodes), 'frame'
    return EveryPeriod(episodes, round(every * 1e9)), f'{every:g}s'
