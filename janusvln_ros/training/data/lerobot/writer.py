"""Our trajectories to a LeRobot dataset of version 3.0, in files of many episodes each."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

from janusvln_ros.imaging.video import VideoWriter
from janusvln_ros.training.data.layout import read_picture, Trajectory
from janusvln_ros.training.data.lerobot import form
from janusvln_ros.training.data.lerobot.statistics import (
    of_rows,
    PictureStatistics,
    sampled,
    Stats,
    together,
)
from janusvln_ros.training.data.recorded import Recorded
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_EPISODES = 50  # in a file at most: what a killed process loses
_MEGABYTES = 200  # of a video, from where a next one is begun


@dataclass(frozen=True)
class Motion:
    """What is known of each step: (n, 3) m, m, rad; (n, 2) m/s, rad/s, mean until the next."""

    state: np.ndarray
    velocity: np.ndarray


class LeRobotWriter(AbstractContextManager['LeRobotWriter']):
    """
    Appends episodes to a dataset, which is whole whenever a file is closed.

    `names` are those of the episodes that are there. Raises ValueError where the folder holds
    another kind of dataset.
    """

    def __init__(self, root: Path) -> None:
        self.names: set[str] = set()
        self._root = root
        self._size: tuple[int, int] | None = None  # width, height of all pictures
        self._tasks: dict[str, int] = {}
        self._stats: dict[str, Stats] = {}
        self._episodes = self._frames = self._files = 0
        self._video: VideoWriter | None = None
        self._shown = 0  # frames in the open video
        self._rows: list[pa.Table] = []
        self._about: list[dict[str, Any]] = []
        if (root / form.INFO).exists():
            self._go_on()
        elif root.exists() and any(root.iterdir()):
            raise ValueError(f'{root} is not empty, and no LeRobot dataset; choose another folder')

    def _go_on(self) -> None:
        """Take up what is there."""
        try:
            info = json.loads((self._root / form.INFO).read_text(encoding='utf-8'))
            shape = info['features'].get(form.CAMERA, {}).get('shape', [0, 0])
            self._size = shape[1], shape[0]
            totals = [info[f'total_{what}'] for what in ('episodes', 'frames', 'tasks')]
            own = info == form.info(form.features(*self._size), *totals)
            while own and self._episodes < totals[0]:
                for episode in pq.read_table(self._path(form.EPISODES)).to_pylist():
                    self.names.add(episode[form.NAME])
                    self._add(_unflattened(episode))
                    self._episodes += 1
                    self._frames += episode['length']
                self._files += 1
            if own:
                tasks = pq.read_table(self._root / form.TASKS).to_pydict()
                self._tasks = dict(zip(tasks['task'], tasks['task_index']))
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f'{self._root} holds a damaged dataset: {error!r}') from error
        if not own:
            raise ValueError(
                f'{self._root} holds a LeRobot dataset that was not written by this command; '
                'choose another folder'
            )

    def write(self, trajectory: Trajectory, motion: Motion, recorded: Recorded | None) -> None:
        """
        Append an episode; ValueError, and the dataset as before, where a picture is not fit.

        recorded: None where nothing more is known of it.
        """
        if self._video is not None and (
            len(self._about) == _EPISODES or self._size_of_video() > _MEGABYTES * 1024**2
        ):
            self.close()
        begin, looked_at = self._shown, sampled(len(trajectory.pictures))
        colours = PictureStatistics()
        for number, picture in enumerate(trajectory.pictures):
            rgb = self._fitting(trajectory.folder / picture)
            self._frame(rgb)
            if number in looked_at:
                colours.add(rgb)
        rows = self._numbers(trajectory, motion)
        self._rows.append(pa.Table.from_pydict(rows, form.rows_schema()))
        stats = {form.CAMERA: colours.stats()}
        stats |= {key: of_rows(np.asarray(values)) for key, values in rows.items()}
        self._about.append(self._episode(trajectory, begin, recorded, stats))
        self._add(stats)
        self.names.add(trajectory.name)
        self._episodes += 1
        self._frames += len(trajectory.pictures)

    def _add(self, stats: dict[str, Stats]) -> None:
        for key, found in stats.items():
            self._stats[key] = together(self._stats[key], found) if key in self._stats else found

    def _fitting(self, path: Path) -> np.ndarray:
        """Read a picture that is as large as the others."""
        rgb = read_picture(path)
        size = rgb.shape[1] // 2 * 2, rgb.shape[0] // 2 * 2  # H.264 in 4:2:0 has no odd ones
        self._size = self._size or size
        if size != self._size:
            raise ValueError(
                f'{path} has {size[0]}x{size[1]} pixels, those of the dataset have '
                f'{self._size[0]}x{self._size[1]}'
            )
        return rgb[: size[1], : size[0]]

    def _frame(self, rgb: np.ndarray) -> None:
        if self._video is None:
            self._partial.parent.mkdir(parents=True, exist_ok=True)
            if not self._files:
                self._tell()  # so that this is known for ours, whatever happens
            height, width = rgb.shape[:2]
            self._video = VideoWriter(self._partial, form.FPS, (width, height), form.KEY_FRAMES)
        try:
            self._video.write(rgb)
        except OSError:
            self._video = None  # what is in this file is lost, and no file tells of it
            raise
        self._shown += 1

    def _numbers(self, trajectory: Trajectory, motion: Motion) -> dict[str, Any]:
        count = len(trajectory.pictures)
        for told in trajectory.instructions:
            self._tasks.setdefault(told, len(self._tasks))
        numbers = np.arange(count)
        return {
            form.STATE: list(motion.state.astype(np.float32)),
            form.ACTION: list(motion.velocity.astype(np.float32)),
            form.DISCRETE: np.array(trajectory.actions),
            'timestamp': (numbers / form.FPS).astype(np.float32),
            'frame_index': numbers,
            'episode_index': np.full(count, self._episodes),
            'index': self._frames + numbers,
            'task_index': np.full(count, self._tasks[trajectory.instructions[0]]),
        }

    def _episode(
        self,
        trajectory: Trajectory,
        begin: int,
        recorded: Recorded | None,
        stats: dict[str, Stats],
    ) -> dict[str, Any]:
        """Give the row of meta/episodes."""
        place = dict(zip(('chunk_index', 'file_index'), divmod(self._files, form.PER_CHUNK)))
        video = {
            **place,
            'from_timestamp': begin / form.FPS,
            'to_timestamp': self._shown / form.FPS,
        }
        return {
            'episode_index': self._episodes,
            'tasks': list(trajectory.instructions),
            'length': len(trajectory.pictures),
            'dataset_from_index': self._frames,
            'dataset_to_index': self._frames + len(trajectory.pictures),
            **{f'data/{key}': value for key, value in place.items()},
            **{f'videos/{form.CAMERA}/{key}': value for key, value in video.items()},
            **{
                f'stats/{feature}/{key}': value.tolist()
                for feature, numbers in stats.items()
                for key, value in numbers.items()
            },
            **{f'meta/episodes/{key}': value for key, value in place.items()},
            form.NAME: trajectory.name,
            form.RECORDED: recorded.text() if recorded else '',
        }

    def close(self) -> None:
        """
        Finish the open files; what tells of them comes last, info.json at the very end.

        After an OSError of any method the dataset is as it was before these files.
        """
        video, self._video, self._shown = self._video, None, 0
        if video is None:
            return
        video.close()
        if not self._about:
            self._partial.unlink()
            return
        self._partial.replace(self._path(form.VIDEO))
        self._save(form.DATA, *self._rows)
        self._save(form.EPISODES, pa.Table.from_pylist(self._about))
        self._tell()
        self._rows, self._about = [], []
        self._files += 1

    def _tell(self) -> None:
        """Write what tells of all episodes."""
        stats = {
            key: {name: value.tolist() for name, value in numbers.items()}
            for key, numbers in self._stats.items()
        }
        assert self._size is not None
        info = form.info(
            form.features(*self._size), self._episodes, self._frames, len(self._tasks)
        )
        self._save(form.TASKS, _tasks_table(self._tasks))
        for name, content in ((form.STATS, stats), (form.INFO, info)):
            part = self._root / f'{name}.part'
            part.write_text(json.dumps(content, ensure_ascii=False, indent=4), encoding='utf-8')
            part.replace(self._root / name)

    def __exit__(self, *_: object) -> None:
        self.close()

    def _path(self, form_of_path: str) -> Path:
        chunk, number = divmod(self._files, form.PER_CHUNK)
        return self._root / form_of_path.format(
            chunk_index=chunk, file_index=number, video_key=form.CAMERA
        )

    @property
    def _partial(self) -> Path:
        """Tell where the video grows."""
        return self._path(form.VIDEO).with_suffix('.part')

    def _size_of_video(self) -> int:
        """Tell how many bytes are written; the first ones come after some pictures."""
        return self._partial.stat().st_size if self._partial.exists() else 0

    def _save(self, form_of_path: str, *tables: pa.Table) -> None:
        """Write a file, with a group of rows for each table: LeRobot reads single episodes."""
        path = self._path(form_of_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix('.part')
        with pq.ParquetWriter(part, tables[0].schema) as file:
            for table in tables:
                file.write_table(table)
        part.replace(path)


def _unflattened(episode: dict[str, Any]) -> dict[str, Stats]:
    """Read the statistics out of a row of meta/episodes."""
    stats: dict[str, Stats] = {}
    for key, value in episode.items():
        if key.startswith('stats/'):
            _, feature, name = key.split('/')
            stats.setdefault(feature, {})[name] = np.array(value)
    return stats


def _tasks_table(tasks: dict[str, int]) -> pa.Table:
    """Give tasks as pandas reads them: the sentence is the index."""
    schema = pa.schema([('task_index', pa.int64()), ('task', pa.string())])
    rows = {'task_index': list(tasks.values()), 'task': list(tasks)}
    columns = [
        {
            'name': name,
            'field_name': name,
            'pandas_type': kind,
            'numpy_type': dtype,
            'metadata': None,
        }
        for name, kind, dtype in (('task_index', 'int64', 'int64'), ('task', 'unicode', 'object'))
    ]
    told = {'index_columns': ['task'], 'column_indexes': [], 'columns': columns}
    return pa.table(rows, schema.with_metadata({'pandas': json.dumps(told)}))
