"""Episodes in the embedded world: start, actions, pictures, scores."""

from __future__ import annotations

from typing import Any

from janusvln_ros.actions import Action
from janusvln_ros.episodes.driven import DrivenWorld
from janusvln_ros.episodes.progress import GoalProgress
from janusvln_ros.episodes.scene import scene_of
from janusvln_ros.episodes.splits import MAX_STEPS, numbers_of, route_of, Split
from janusvln_ros.episodes.store import stored_episode
from janusvln_ros.episodes.tasks import SUCCESS_RADIUS
from janusvln_ros.episodes.vln_ce import Episode, floor_points, GroundTruth
from janusvln_ros.evaluation.metrics import EpisodeMetrics, score_episode
from janusvln_ros.sim.camera import CameraModel
import numpy as np


class HouseEnvironment:
    """
    Runs the episodes of a split, one at a time.

    slide: after a hit move on along the obstacle (R2R-CE's rule), or stand before it (RxR-CE's).
    driven: drive a real body in physics instead, see DrivenWorld.
    """

    radius = SUCCESS_RADIUS  # m

    def __init__(
        self,
        split: Split,
        *,
        camera: CameraModel | None = None,
        slide: bool = True,
        driven: bool = False,
        max_steps: int = MAX_STEPS,
    ) -> None:
        self.split, self.camera, self.slide = split, camera or CameraModel(), slide
        self.driven, self.max_steps = driven, max_steps
        self._world: DrivenWorld | None = None

    def keys(self, categories: list[str]) -> list[int]:
        """Give what names each episode of some categories, in order."""
        return numbers_of(self.split, categories)

    def reset(self, key: int) -> Episode:
        """Start an episode of the split and return it."""
        return self.start(*stored_episode(self.split, key))

    def start(self, episode: Episode, truth: GroundTruth) -> Episode:
        """Start any episode in one of our houses and return it."""
        self.episode, self.truth = episode, truth
        scene = scene_of(episode.scene_id)
        if self._world is None:
            self._world = DrivenWorld(scene.house, camera=self.camera, driven=self.driven)
            self._world.slide = self.slide
        else:
            self._world.load(scene.house)
        self._world.reset(*episode.start)
        self.space = scene.space
        self.route = route_of(episode)
        self._progress = GoalProgress(self.space, self.route, self.radius)
        self._visited_at: int | None = None
        self.actions: list[int] = []
        self.poses: list[tuple[float, float, float]] = []
        self._distances: list[float] = []
        self._collisions = 0
        self._observe()
        return episode

    @property
    def world(self) -> DrivenWorld:
        """Give the world that the robot is in; RuntimeError before the first episode."""
        if self._world is None:
            raise RuntimeError('reset() begins an episode')
        return self._world

    @property
    def over(self) -> bool:
        """Whether Action.STOP was called or the steps are used up."""
        return len(self.actions) >= self.max_steps or self.actions[-1:] == [Action.STOP]

    def render(self) -> np.ndarray:
        """Give what the camera sees, uint8 (height, width, 3), RGB."""
        return self.world.render()

    def step(self, action: int) -> None:
        """Do one action; RuntimeError where the episode is over."""
        if self.over:
            raise RuntimeError('the episode is over; reset() begins the next one')
        self.actions.append(int(action))
        if action != Action.STOP:
            self._collisions += self.world.step(action)
            self._observe()

    def metrics(self) -> EpisodeMetrics:
        """Score the episode as it is now."""
        return score_episode(
            np.array([pose[:2] for pose in self.poses]),
            self._distances,
            floor_points(self.truth.locations),
            stopped=self.actions[-1:] == [Action.STOP],
            shortest=self.episode.info['geodesic_distance'],
            radius=self.radius,
            steps=len(self.actions),
            collisions=self._collisions,
            visited_at=self._visited_at,
        )

    def description(self) -> dict[str, Any]:
        """Give what tables group by."""
        return {
            key: self.episode.info[key]
            for key in ('category', 'form', 'rooms', 'turn', 'held_out_phrasing', 'held_out_pair')
        }

    def other_instruction(self) -> str:
        """Give the instruction of an episode of another category, always the same one."""
        number = (int(self.episode.episode_id) + self.split.size // 2 + 3) % self.split.size
        return stored_episode(self.split, number)[0].instruction.text

    def close(self) -> None:
        """Free the drawing context."""
        if self._world is not None:
            self._world.close()

    def _observe(self) -> None:
        self.poses.append(self.world.pose)
        self._distances.append(self._progress.observe(*self.world.pose[:2]))
        if self._visited_at is None and self._progress.visited:
            self._visited_at = len(self.poses) - 1
