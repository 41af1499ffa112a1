"""Trajectories to export, and LeRobot datasets of version 2.1, made up."""

from __future__ import annotations

from collections.abc import Sequence
import json
from pathlib import Path
from typing import Any

import cv2
from janusvln_ros.imaging.video import VideoWriter
from janusvln_ros.training.data.layout import AnnotationWriter
from janusvln_ros.training.data.recorded import Recorded, RecordedCut, RecordedStep
from made_pictures import picture
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SENTENCES = (
    'Geh über die Türschwelle, größer als ß, und halte links.',
    '经过沙发，然后在红色的门前停下。',
    'Go “straight” — then\nstop\there; \\n <b>100 %</b> 🚪',
    'اذهب إلى الباب',
)
CAMERA = 'observation.images.front'


def actions(count: int) -> list[int]:
    """Give so many actions, the last STOP."""
    return [*([1, 2, 1, 3, 2, 2] * count)[: count - 1], 0]


def story(name: str, instruction: str, count: int) -> Recorded:
    """Make up what was recorded of a drive: numbers that single precision does not hold."""
    steps = [
        RecordedStep(action, i * 0.7 + 1 / 3, 0.013, (i / 7, -i / 11, 0.1 * i), (i / 9, 0.0, 0.1))
        for i, action in enumerate(actions(count))
    ]
    cut = RecordedCut('reversing', 1.5, 2.25, 0.31, (0.1, 0.2, 0.3))
    return Recorded(name, instruction, ('a/küche',), '/camera', 'odometry /odom', 17 * 10**17,
                    tuple(steps), (cut,), ((0.0, 0.1, 0.2), (1 / 3, 0.0, 0.0)), ('said so',),
                    ((0.01, 0.02), (0.03, 0.04), (0.05, 0.06)))  # fmt: skip


def trajectories(folder: Path, counts: Sequence[int] = (5, 3, 9), recorded: bool = True) -> Path:
    """Write trajectories of so many steps; 'n' of them are named drive_0 to drive_n-1."""
    writer = AnnotationWriter(folder, 'recorded')
    for number, count in enumerate(counts):
        name, told = f'drive_{number}', SENTENCES[number % len(SENTENCES)]
        if name in writer.names:
            continue
        for step in range(count):
            writer.picture(name, step, picture(step + number))
        if recorded:
            story(name, told, count).write(folder)
        writer.finish(name, [told, f'{told} (again)'] if number == 1 else [told], actions(count))
    return folder


def old_dataset(
    root: Path,
    counts: Sequence[int] = (5, 3),
    tasks: Sequence[str] = SENTENCES,
    kind: str = 'video',
    column: str = 'action',
    columns: dict[str, Any] | None = None,
    cameras: Sequence[str] = (CAMERA,),
    fps: int = 10,
) -> Path:
    """
    Write a dataset of version 2.1; kind: 'video', 'folder' (InternData-N1's JPEGs) or 'image'.

    column: with the actions as the published lists have them, -1 first. columns: other ones, of
    each what gives the rows by an episode's number and length, and what info.json says.
    """
    (root / 'meta').mkdir(parents=True)
    numbers = {'timestamp': 'float32', 'frame_index': 'int64', 'episode_index': 'int64',
               'index': 'int64', 'task_index': 'int64'}  # fmt: skip
    features: dict[str, Any] = {
        key: {'dtype': dtype, 'shape': [1], 'names': None} for key, dtype in numbers.items()
    }
    if column:
        features[column] = {'dtype': 'int64', 'shape': [1], 'names': ['action_index']}
    for key, (_, about) in (columns or {}).items():
        features[key] = about
    for camera in cameras:
        features[camera] = {
            'dtype': 'video' if kind == 'video' else 'image',
            'shape': [48, 64, 3],
            'names': ['height', 'width', 'channel'],
        }
    told, stats, total = [], [], 0
    for episode, count in enumerate(counts):
        rows: dict[str, Any] = {
            'timestamp': (np.arange(count) / fps).astype(np.float32),
            'frame_index': np.arange(count),
            'episode_index': np.full(count, episode),
            'index': total + np.arange(count),
            'task_index': np.full(count, episode),
        }
        if column:
            rows[column] = [-1, *actions(count)[:-1]]
        for key, (make, _) in (columns or {}).items():
            rows[key] = make(episode, count)
        found = {
            key: {'min': [float(np.min(v))], 'max': [float(np.max(v))],
                  'mean': [float(np.mean(v))], 'std': [float(np.std(v))], 'count': [count]}
            for key, v in rows.items()
        }  # fmt: skip
        for camera in cameras:
            _pictures(root, rows, camera, kind, episode, count, fps)
            shape = np.full((3, 1, 1), 0.5).tolist()
            found[camera] = dict.fromkeys(('min', 'max', 'mean', 'std'), shape) | {
                'count': [count]
            }
        path = root / f'data/chunk-000/episode_{episode:06d}.parquet'
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(rows), path)
        total += count
        told.append({'episode_index': episode, 'tasks': [tasks[episode]], 'length': count})
        stats.append({'episode_index': episode, 'stats': found})
    said = [{'task_index': i, 'task': task} for i, task in enumerate(tasks[: len(counts)])]
    for name, lines in (('episodes', told), ('episodes_stats', stats), ('tasks', said)):
        text = ''.join(json.dumps(line, ensure_ascii=False) + '\n' for line in lines)
        (root / f'meta/{name}.jsonl').write_text(text, encoding='utf-8')
    info = {
        'codebase_version': 'v2.1', 'robot_type': None, 'total_episodes': len(counts),
        'total_frames': total, 'total_tasks': len(said), 'total_videos': len(counts),
        'total_chunks': 1, 'chunks_size': 1000, 'fps': fps,
        'splits': {'train': f'0:{len(counts)}'},
        'data_path': 'data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet',
        'video_path':
            'videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4',
        'features': features,
    }  # fmt: skip
    (root / 'meta/info.json').write_text(json.dumps(info))
    return root


def _pictures(
    root: Path, rows: dict[str, Any], camera: str, kind: str, episode: int, count: int, fps: int
) -> None:
    path = root / f'videos/chunk-000/{camera}/episode_{episode:06d}.mp4'
    drawn = [picture(step + episode) for step in range(count)]
    packed = [cv2.imencode('.png', rgb[..., ::-1])[1].tobytes() for rgb in drawn]
    if kind == 'image':
        rows[camera] = [{'bytes': one, 'path': None} for one in packed]
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == 'video':
        with VideoWriter(path, fps, (64, 48)) as video:
            for rgb in drawn:
                video.write(rgb)
        return
    for number, rgb in enumerate(drawn):
        cv2.imwrite(str(path.with_name(f'{path.stem}_{number}.jpg')), rgb[..., ::-1])
