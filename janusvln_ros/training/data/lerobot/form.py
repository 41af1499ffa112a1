"""
The files of a LeRobot dataset of version 3.0, and what our episodes are in one.

A frame is a step of ours, and LeRobot's clock counts the steps: `timestamp` is the number of a
step, as if each took a second. When it really was stands in `RECORDED`, with all else that we know
of a recorded trajectory, as JSON beside LeRobot's own columns of meta/episodes. The action at a
step is what is done there: `DISCRETE` the policy's, `ACTION` the mean velocities until the next.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

VERSION = 'v3.0'
INFO, STATS, TASKS = 'meta/info.json', 'meta/stats.json', 'meta/tasks.parquet'
FILE = 'chunk-{chunk_index:03d}/file-{file_index:03d}'
DATA = f'data/{FILE}.parquet'
EPISODES = f'meta/episodes/{FILE}.parquet'
VIDEO = f'videos/{{video_key}}/{FILE}.mp4'
PER_CHUNK = 1000  # files

CAMERA, STATE = 'observation.images.front', 'observation.state'
ACTION, DISCRETE = 'action', 'discrete_action'
NAME, RECORDED = 'janusvln/name', 'janusvln/recorded'
FPS = 1  # steps in a second of LeRobot's clock
KEY_FRAMES = 2  # frames from one to the next: LeRobot reads single frames

_NUMBERS = {  # of each row: type, and names where there are several
    STATE: ('float32', ['x', 'y', 'yaw']),  # m, m, rad
    ACTION: ('float32', ['linear', 'angular']),  # m/s ahead, rad/s counter-clockwise
    DISCRETE: ('int64', None),  # actions.Action
    'timestamp': ('float32', None),
    'frame_index': ('int64', None),
    'episode_index': ('int64', None),
    'index': ('int64', None),
    'task_index': ('int64', None),
}


def features(width: int, height: int) -> dict[str, Any]:
    """Describe a frame as info.json does; the picture's size in pixels."""
    picture = {
        'dtype': 'video',
        'shape': [height, width, 3],
        'names': ['height', 'width', 'channels'],
        'info': {
            'video.height': height,
            'video.width': width,
            'video.codec': 'h264',
            'video.pix_fmt': 'yuv420p',
            'video.is_depth_map': False,
            'video.fps': FPS,
            'video.channels': 3,
            'has_audio': False,
        },
    }
    numbers = {
        key: {'dtype': dtype, 'shape': [len(names or [1])], 'names': names}
        for key, (dtype, names) in _NUMBERS.items()
    }
    return {CAMERA: picture, **numbers}


def info(about: dict[str, Any], episodes: int, frames: int, tasks: int) -> dict[str, Any]:
    """Make what info.json holds; about: the features."""
    return {
        'codebase_version': VERSION,
        'robot_type': None,
        'total_episodes': episodes,
        'total_frames': frames,
        'total_tasks': tasks,
        'chunks_size': PER_CHUNK,
        'data_files_size_in_mb': 100,
        'video_files_size_in_mb': 200,
        'fps': FPS,
        'splits': {'train': f'0:{episodes}'},
        'data_path': DATA,
        'video_path': VIDEO,
        'features': about,
    }


def rows_schema() -> pa.Schema:
    """Give the columns of the files of data."""
    return pa.schema(
        [
            (key, pa.list_(getattr(pa, dtype)(), len(names)) if names else getattr(pa, dtype)())
            for key, (dtype, names) in _NUMBERS.items()
        ]
    )
