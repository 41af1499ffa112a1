"""
LeRobot datasets on disk, of versions 2.1 and 3.0, read episode by episode.

2.1 has a file for each episode: meta/episodes.jsonl, data/chunk-N/episode_N.parquet,
videos/chunk-N/CAMERA/episode_N.mp4. InternData-N1 has pictures in the video's place,
episode_N_FRAME.jpg, and a dataset for each scene. 3.0 has many episodes in a file, and
meta/episodes tells which of them lies where (`form`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

import cv2
from janusvln_ros.imaging.video import frames_at
from janusvln_ros.training.data.lerobot import form
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_OLD_DATA = 'data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet'
_OLD_VIDEO = 'videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4'
_OLD_EPISODES = 'meta/episodes.jsonl'
_OLD = 'v2.1'
_VERSIONS = _OLD, form.VERSION


class CodebaseError(ValueError):
    """A dataset is of a version that is not read."""


@dataclass(frozen=True)
class Episode:
    """
    Where an episode lies.

    video: the file, and where (s) it begins in it; None for pictures within `data`. name,
    recorded: as our own export writes them, else empty.
    """

    index: int
    length: int
    tasks: tuple[str, ...]
    data: Path
    video: tuple[Path, float] | None
    name: str = ''
    recorded: str = ''


class Dataset:
    """
    A dataset; `problems` tells what of meta/ could not be read.

    One file of numbers is held in memory, and two pictures.
    """

    def __init__(self, root: Path, camera: str | None = None) -> None:
        """
        Read meta/info.json; camera: None for the only one.

        Raises ValueError where it is damaged, of another version, or has no such camera.
        """
        self.root = root
        self.problems: list[str] = []
        path = root / form.INFO
        try:
            info = json.loads(path.read_text(encoding='utf-8'))
            self.version = str(info['codebase_version'])
            if self.version not in _VERSIONS:
                raise CodebaseError(
                    f'{path}: codebase_version is {self.version!r}; {" and ".join(_VERSIONS)} are '
                    'read'
                )
            old = self.version == _OLD
            self.features: dict[str, Any] = {k: dict(v) for k, v in info['features'].items()}
            self.fps = float(info['fps'])
            self.total = int(info['total_episodes'])
            self._data: str = info.get('data_path') or (_OLD_DATA if old else form.DATA)
            self._video: str = info.get('video_path') or (_OLD_VIDEO if old else form.VIDEO)
            self._chunk = int(info.get('chunks_size') or form.PER_CHUNK)
        except CodebaseError:
            raise
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f'{path} is damaged: {error!r}') from error
        if self.fps <= 0:
            raise ValueError(f'{path}: fps is {self.fps:g}')
        self.camera = self._chosen(camera)
        pictures = {key for key, about in self.features.items() if about.get('dtype') == 'image'}
        self._unread = pictures - {self.camera}
        self._within = self.camera in pictures  # pictures stand in the files of data
        self._held: tuple[Path, pa.Table] | None = None

    def _chosen(self, camera: str | None) -> str:
        cameras = self.cameras()
        if camera is None and len(cameras) == 1:
            return cameras[0]
        if camera is None or camera not in cameras:
            lacks = f'has no camera {camera}' if camera else f'has {len(cameras)} cameras'
            raise ValueError(
                f'{self.root} {lacks}; choose by --camera: {", ".join(cameras) or "none"}'
            )
        return camera

    def cameras(self) -> list[str]:
        """Name what has pictures, depth apart."""
        found = {
            k for k, about in self.features.items() if about.get('dtype') in ('image', 'video')
        }
        if self.version == _OLD:
            found |= {path.name for path in self.root.glob('videos/chunk-*/*') if path.is_dir()}
            # InternData-N1 tells of one camera, and has one for each height and angle.
            found -= {key for key in found if any(other.startswith(key + '.') for other in found)}
        return sorted(key for key in found if 'depth' not in key)

    def episodes(self) -> Iterator[Episode]:
        """Give what the dataset tells of, in order; what of it is damaged goes to `problems`."""
        count = 0
        for episode in self._old_episodes() if self.version == _OLD else self._new_episodes():
            count += 1
            yield episode
        if count < self.total:
            self.problems.append(
                f'{self.root / form.INFO} tells of {self.total} episodes, meta/ has {count}'
            )

    def _old_episodes(self) -> Iterator[Episode]:
        path = self.root / _OLD_EPISODES
        if not path.is_file():
            raise ValueError(f'{path} is missing')
        with path.open('rb') as file:
            for number, line in enumerate(file, 1):
                try:
                    about = json.loads(line)
                    index, tasks = int(about['episode_index']), tuple(map(str, about['tasks']))
                    length = int(about['length'])
                    chunk = index // self._chunk
                    place = {'episode_chunk': chunk, 'chunk_index': chunk, 'episode_index': index}
                    video = self.root / self._video.format(video_key=self.camera, **place)
                    data = self.root / self._data.format(**place)
                except (ValueError, KeyError, TypeError) as error:
                    self.problems.append(f'{path}, line {number} is damaged: {error!r}')
                    continue
                yield Episode(index, length, tasks, data, (video, 0.0))

    def _new_episodes(self) -> Iterator[Episode]:
        paths = sorted(self.root.glob('meta/episodes/*/*.parquet'))
        if not paths:
            raise ValueError(f'{self.root}/meta/episodes has no files')
        for path in paths:
            try:
                with pq.ParquetFile(path) as file:
                    names = [n for n in file.schema_arrow.names if not n.startswith('stats/')]
                    for batch in file.iter_batches(100, columns=names):
                        yield from map(self._new_episode, batch.to_pylist())
            except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
                self.problems.append(f'{path} is damaged: {_line(error)}')

    def _new_episode(self, row: dict[str, Any]) -> Episode:
        def path(form_of_path: str, of: str) -> Path:
            place = {key: row[f'{of}/{key}'] for key in ('chunk_index', 'file_index')}
            return self.root / form_of_path.format(video_key=self.camera, **place)

        video = f'videos/{self.camera}'
        return Episode(
            int(row['episode_index']),
            int(row['length']),
            tuple(row['tasks']),
            path(self._data, 'data'),
            None if self._within else (path(self._video, video), row[f'{video}/from_timestamp']),
            row.get(form.NAME) or '',
            row.get(form.RECORDED) or '',
        )

    def rows(self, episode: Episode, key: str) -> np.ndarray:
        """Read a column of an episode, (length, …); ValueError naming what is wrong."""
        table = self._table(episode)
        if key not in table.column_names:
            raise ValueError(f'{episode.data} has no column {key}')
        return np.array(table[key].to_pylist())

    def times(self, episode: Episode) -> np.ndarray:
        """Give when the frames were taken, s since the episode began: (length,)."""
        if self.has(episode, 'timestamp'):
            return self.rows(episode, 'timestamp').astype(np.float64).reshape(-1)
        return np.arange(episode.length) / self.fps

    def has(self, episode: Episode, key: str) -> bool:
        """Tell whether there is such a column; ValueError as `rows` has it."""
        return key in self._table(episode).column_names

    def _table(self, episode: Episode) -> pa.Table:
        path = episode.data
        if self._held is None or self._held[0] != path:
            self._held = None  # no two are held
            if not path.is_file():
                raise ValueError(f'{path} is missing')
            try:
                with pq.ParquetFile(path) as file:
                    names = [n for n in file.schema_arrow.names if n not in self._unread]
                    self._held = path, file.read(columns=names)
            except (pa.ArrowException, OSError) as error:
                raise ValueError(f'{path} is truncated or damaged: {_line(error)}') from error
        table = self._held[1]
        if 'episode_index' in table.column_names:
            table = table.filter(pc.equal(table['episode_index'], episode.index))
        if table.num_rows != episode.length:
            raise ValueError(
                f'{path} has {table.num_rows} frames of episode {episode.index}, meta/ tells of '
                f'{episode.length}'
            )
        return table

    def pictures(self, episode: Episode, numbers: Sequence[int]) -> Iterator[np.ndarray | bytes]:
        """
        Give frames by their numbers, ascending: uint8 (H, W, 3), or a PNG's or JPEG's bytes.

        Raises ValueError naming the file that is missing or damaged.
        """
        if episode.video is None or (self._within and self.has(episode, self.camera)):
            packed = self.rows(episode, self.camera)
            for number in numbers:
                yield _checked(packed[number]['bytes'], f'{episode.data}, picture {number}')
            return
        path, begin = episode.video
        first = path.with_name(f'{path.stem}_0.jpg')
        if not first.exists():
            times = self.times(episode)
            wanted = [begin + float(times[number]) for number in numbers]
            yield from frames_at(path, wanted, 0.5 / self.fps)
            return
        for number in numbers:
            picture = path.with_name(f'{path.stem}_{number}.jpg')
            if not picture.exists():
                raise ValueError(f'{picture} is missing')
            yield _checked(picture.read_bytes(), str(picture))


def _checked(packed: bytes | None, where: str) -> bytes:
    """Refuse what is no picture."""
    if not packed or cv2.imdecode(np.frombuffer(packed, np.uint8), cv2.IMREAD_COLOR) is None:
        raise ValueError(f'{where} is no picture')
    return packed


def _line(error: Exception) -> str:
    return ' '.join(str(error).split())
