"""
What the lerobot library says of a dataset, as JSON; run by a Python that has lerobot.

python lerobot_opens.py open ROOT    the dataset, frame by frame, and statistics computed anew
python lerobot_opens.py convert ROOT upstream's own converter, from v2.1 to v3.0, in place
python lerobot_opens.py pictures JPEG ...    statistics of an episode's pictures
python lerobot_opens.py record ROOT DRIVES   a dataset of drives, as the library records them
"""

from __future__ import annotations

import json
import os
from pathlib import Path
import sys

os.environ |= {'HF_HUB_OFFLINE': '1', 'HF_DATASETS_OFFLINE': '1'}


def backend() -> str:
    """Choose its usual decoder, or the one that needs no FFmpeg of the machine's."""
    try:
        import torchcodec.decoders  # noqa: F401
    except (ImportError, RuntimeError, OSError):
        return 'pyav'
    return 'torchcodec'


def opened(root: Path) -> dict:
    from lerobot.datasets.compute_stats import aggregate_stats, compute_episode_stats
    from lerobot.datasets.lerobot_dataset import LeRobotDataset
    import numpy as np

    after = {'action': [0.0, 1.0], 'observation.images.front': [-1.0, 0.0]}
    how = {'root': root, 'video_backend': backend()}
    dataset = LeRobotDataset('own/drives', **how)
    ahead = LeRobotDataset('own/drives', delta_timestamps=after, **how)
    frames = [dataset[i] for i in range(len(dataset))]
    numbers = [key for key, about in dataset.meta.features.items() if about['dtype'] != 'video']
    said = []
    for episode in range(dataset.num_episodes):
        rows = [one for one in frames if int(one['episode_index']) == episode]
        values = {key: np.stack([one[key].numpy() for one in rows]) for key in numbers}
        said.append(compute_episode_stats(values, {k: dataset.meta.features[k] for k in numbers}))
    return {
        'episodes': dataset.num_episodes,
        'frames': dataset.num_frames,
        'fps': dataset.fps,
        'cameras': dataset.meta.camera_keys,
        'tasks': [one['task'] for one in frames],
        'states': [one['observation.state'].tolist() for one in frames],
        'actions': [one['action'].tolist() for one in frames],
        'discrete': [int(one['discrete_action']) for one in frames if 'discrete_action' in one],
        'shape': list(frames[0]['observation.images.front'].shape),
        'colours': [one['observation.images.front'].mean((1, 2)).tolist() for one in frames],
        'before': [
            ahead[i]['observation.images.front'].mean((2, 3)).tolist() for i in range(len(ahead))
        ],
        'next': [ahead[i]['action'].tolist() for i in range(len(ahead))],
        'stats': _plain(dataset.meta.stats),
        'computed': _plain(aggregate_stats(said)),
    }


def pictures(paths: list[str]) -> dict:
    """Compute the statistics of an episode's pictures; lerobot 0.4 overflows eight bits."""
    from lerobot.datasets.compute_stats import get_feature_stats, sample_images

    seen = sample_images(paths).astype('float32')
    stats = get_feature_stats(seen, axis=(0, 2, 3), keepdims=True)
    return {k: v.tolist() if k == 'count' else (v / 255)[0].tolist() for k, v in stats.items()}


def convert(root: Path) -> dict:
    try:
        from lerobot.scripts.convert_dataset_v21_to_v30 import convert_dataset
    except ImportError:  # before lerobot 0.5, where the root is that of all datasets
        from lerobot.datasets.v30.convert_dataset_v21_to_v30 import convert_dataset

        convert_dataset(root.name, root=str(root.parent), push_to_hub=False)
        return {}
    convert_dataset('own/drives', root=str(root), push_to_hub=False)
    return {}


def record(root: Path, drives: Path) -> dict:
    """Record [[task, [[x, y, yaw], ...]], ...] at 10 frames a second, the video as it likes."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset
    from made_pictures import picture
    import numpy as np

    sizes = {'state': ['x', 'y', 'yaw'], 'speed': ['v', 'w']}
    features = {
        key: {'dtype': 'float32', 'shape': (len(sizes[name]),), 'names': sizes[name]}
        for key, name in (('observation.state', 'state'), ('action', 'speed'))
    }
    features['observation.images.front'] = {
        'dtype': 'video',
        'shape': (96, 128, 3),
        'names': ['height', 'width', 'channels'],
    }
    dataset = LeRobotDataset.create('own/recorded', 10, features, root=root)
    for task, poses in json.loads(drives.read_text(encoding='utf-8')):
        for number, pose in enumerate(poses):
            dataset.add_frame(
                {
                    'observation.state': np.array(pose, np.float32),
                    'action': np.zeros(2, np.float32),
                    'observation.images.front': picture(number, 128, 96),
                    'task': task,
                }
            )
        dataset.save_episode()
    dataset.finalize()
    return {'codec': dataset.meta.features['observation.images.front']['info']['video.codec']}


def _plain(stats: dict) -> dict:
    return {k: {n: v.tolist() for n, v in numbers.items()} for k, numbers in stats.items()}


if __name__ == '__main__':
    what, *words = sys.argv[1:]
    if what == 'pictures':
        answer = pictures(words)
    else:
        job = {'open': opened, 'convert': convert, 'record': record}[what]
        answer = job(*map(Path, words))
    print(json.dumps(answer))
