"""
Habitat's episodes behind the same interface as our houses'. Imports Habitat: import it late.

The scores are computed here as for our houses, from Habitat's positions and geodesic distances, so
that one set of tested definitions serves both.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import habitat
from habitat.tasks.nav.nav import NavigationGoal
from habitat.tasks.vln.vln import InstructionData, VLNEpisode
from janusvln_ros.actions import Action
from janusvln_ros.episodes.vln_ce import (
    Episode,
    from_habitat,
    read_episodes,
    read_ground_truth,
    rotation_to_yaw,
)
from janusvln_ros.evaluation.metrics import EpisodeMetrics, score_episode
import numpy as np

_CONFIGS = Path(__file__).parent / 'habitat'


class HabitatEnvironment:
    """
    Runs R2R-CE or RxR-CE episodes in Habitat, one at a time.

    config: 'r2r', 'rxr', or the path of a YAML file. Of RxR, the English episodes.
    ValueError where the episode file is broken, FileNotFoundError where it is missing.
    """

    radius = 3.0  # m, as VLN-CE has it

    def __init__(self, config: str, split: str) -> None:
        path = _CONFIGS / f'{config}.yaml' if config in ('r2r', 'rxr') else Path(config)
        device = int(os.environ.get('LOCAL_RANK', 0))
        self._config = habitat.get_config(
            str(path.resolve()),
            overrides=[
                f'habitat.dataset.split={split}',
                f'habitat.simulator.habitat_sim_v0.gpu_device_id={device}',
            ],
        )
        data = Path(self._config.habitat.dataset.data_path.format(split=split))
        self._episodes = {
            f'{Path(episode.scene_id).stem}/{episode.episode_id}': episode
            for episode in read_episodes(data)
            if (episode.instruction.language or 'en').startswith('en')
        }
        truth = data.with_name(data.name.replace('.json', '_gt.json'))
        self._truths = read_ground_truth(truth) if truth.exists() else {}
        self._theirs: dict[str, VLNEpisode] = {}  # once Habitat runs

    def keys(self, categories: list[str]) -> list[str]:
        """Give 'scene/episode_id' of each episode, scene by scene; categories are ours only."""
        return sorted(self._episodes, key=lambda key: key.split('/')[0])

    def reset(self, key: str) -> Episode:
        """Start an episode and return it."""
        if not self._theirs:
            # Habitat's own reader takes R2R only; ours takes RxR, too.
            scenes = Path(self._config.habitat.dataset.scenes_dir)
            theirs = {
                name: _their_episode(episode, scenes) for name, episode in self._episodes.items()
            }
            dataset = habitat.Dataset()
            dataset.episodes = list(theirs.values())
            self._env = habitat.Env(config=self._config, dataset=dataset)
            self._theirs = theirs
        self.episode = self._episodes[key]
        self._env.current_episode = self._theirs[key]
        self._rgb = self._env.reset()['rgb']
        self.actions: list[int] = []
        self.poses: list[tuple[float, float, float]] = []
        self._positions: list[np.ndarray] = []
        self._distances: list[float] = []
        self._collisions = 0
        self._observe()
        return self.episode

    @property
    def over(self) -> bool:
        """Whether STOP was called or the steps are used up."""
        return self._env.episode_over

    def render(self) -> np.ndarray:
        """Give what the camera sees, uint8 (480, 640, 3), RGB."""
        return np.ascontiguousarray(self._rgb[..., :3])

    def step(self, action: int) -> None:
        """Do one action: 0 STOP, 1 forward, 2 left, 3 right, as Habitat numbers them."""
        self._rgb = self._env.step(int(action))['rgb']
        self.actions.append(int(action))
        if action != Action.STOP:
            self._collisions += bool(self._env.sim.previous_step_collided)
            self._observe()

    def metrics(self) -> EpisodeMetrics:
        """Score the episode as it is now."""
        truth = self._truths.get(str(self.episode.episode_id))
        return score_episode(
            np.array(self._positions),
            self._distances,
            np.array(truth.locations if truth else self.episode.reference_path),
            stopped=self.actions[-1:] == [Action.STOP],
            shortest=self.episode.info['geodesic_distance'],
            radius=self.radius,
            steps=len(self.actions),
            collisions=self._collisions,
        )

    def description(self) -> dict[str, Any]:
        """Give what tables group by: nothing."""
        return {}

    def close(self) -> None:
        """Close the simulator."""
        if self._theirs:
            self._env.close()

    def _observe(self) -> None:
        state = self._env.sim.get_agent_state()
        turned = state.rotation
        x, y, _ = from_habitat(state.position)
        self.poses.append((x, y, rotation_to_yaw((turned.x, turned.y, turned.z, turned.w))))
        self._positions.append(np.array(state.position, dtype=np.float64))
        goals = [goal.position for goal in self.episode.goals]
        self._distances.append(float(self._env.sim.geodesic_distance(state.position, goals)))


def _their_episode(episode: Episode, scenes: Path) -> VLNEpisode:
    """Give an episode in Habitat's class, its scene as a path."""
    return VLNEpisode(
        episode_id=str(episode.episode_id),
        trajectory_id=str(episode.trajectory_id),
        scene_id=str(scenes / episode.scene_id),
        start_position=list(episode.start_position),
        start_rotation=list(episode.start_rotation),
        goals=[
            NavigationGoal(position=list(goal.position), radius=goal.radius)
            for goal in episode.goals
        ],
        reference_path=[list(position) for position in episode.reference_path],
        instruction=InstructionData(instruction_text=episode.instruction.text),
        info=dict(episode.info),
    )
