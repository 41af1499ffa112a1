"""A page to look at: what the expert sees on its way, beside the instruction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from janusvln_ros.episodes.splits import find_split
from janusvln_ros.evaluation.agents import ExpertAgent
from janusvln_ros.evaluation.environment import HouseEnvironment
from janusvln_ros.imaging.page import png_url, render
from janusvln_ros.sim.camera import CameraModel
from janusvln_ros.sim.map import draw_map
from janusvln_ros.sim.map import Path as DrawnPath
import numpy as np
from tqdm import tqdm

_PICTURES = 9  # of an episode, the first and the last among them


def write_samples(path: Path, split: str, categories: Sequence[str], per_category: int) -> None:
    """Write an HTML page with the expert's pictures of some episodes of each category."""
    environment = HouseEnvironment(find_split(split), camera=CameraModel(320, 240))
    agent = ExpertAgent()
    keys = [key for category in categories for key in environment.keys([category])[:per_category]]
    samples = [_sample(environment, agent, key) for key in tqdm(keys, unit='episode')]
    environment.close()
    path.parent.mkdir(parents=True, exist_ok=True)
    page = render('evaluation/samples.html', split=split, samples=samples)
    path.write_text(page, encoding='utf-8')


def strip(
    environment: HouseEnvironment, agent: ExpertAgent, key: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """Give pictures along the expert's way and a map, each uint8 (H, W, 3)."""
    environment.reset(key)
    agent.begin(environment)
    frames = [environment.render()]
    while True:
        environment.step(agent.act(None))
        if environment.over:
            break
        frames.append(environment.render())
    chosen = np.linspace(0, len(frames) - 1, min(_PICTURES, len(frames))).astype(int)
    path = np.array(environment.poses)
    plan = draw_map(
        environment.world.house,
        paths=[DrawnPath(path[:, :2], (38, 84, 190), 'expert')],
        start=tuple(path[0]),
        goal=tuple(path[-1, :2]),
        goal_radius=0.25,
        width=480,
    )
    return [frames[i] for i in chosen], plan


def _sample(environment: HouseEnvironment, agent: ExpertAgent, key: int) -> dict[str, Any]:
    frames, plan = strip(environment, agent, key)
    return {
        'key': key,
        'category': environment.episode.info['category'],
        'text': environment.episode.instruction.text,
        'pictures': [png_url(frame) for frame in frames],
        'map': png_url(plan),
    }
