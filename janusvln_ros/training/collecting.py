"""
The stages that collect data in the embedded world.

What drives through houses is imported where a stage does so: training on pictures from disk needs
no simulator.
"""

from __future__ import annotations

from dataclasses import dataclass

from janusvln_ros.episodes.grammar import CATEGORIES
from janusvln_ros.training.stage import StageContext


@dataclass(frozen=True)
class DrawViews:
    """Draw views for pre-training, or for dense heads."""

    tours: int
    rooms: tuple[int, int] = (1, 3)
    seed: int = 1
    frames: int = 6  # of a tour
    dense: bool = False  # depth of every pixel as well

    def run(self, context: StageContext) -> bool:
        """Draw what is missing."""
        from janusvln_ros.training.data.views import Plan, write_views

        rooms = self.rooms[0], self.rooms[1]
        plan = Plan(self.tours, self.seed, rooms, self.frames, self.dense)
        write_views(context.folder, plan, processes=context.cores)
        return True


@dataclass(frozen=True)
class CollectWalks:
    """Collect walks of the expert."""

    walks: int
    categories: tuple[str, ...] = CATEGORIES
    most: int = 57
    seed: int = 1
    no_slide: float = 0.0  # share of the walks that stand before what they run into
    driven: float = 0.0  # share of the walks with a real body, in physics

    def run(self, context: StageContext) -> bool:
        """Walk what is missing."""
        from janusvln_ros.training.data.collect import collect, Plan

        plan = Plan(
            context.folder,
            self.walks,
            self.seed,
            tuple(self.categories),
            self.most,
            no_slide=self.no_slide,
            driven=self.driven,
        )
        collect(plan, context.cores)
        return True


@dataclass(frozen=True)
class CollectRollouts:
    """Collect walks of a model, with what the expert would have done; DAgger without training."""

    walks: int
    share: float  # probability that a stretch of steps is the expert's
    start: str = ''
    categories: tuple[str, ...] = CATEGORIES
    most: int = 57
    seed: int = 101
    no_slide: float = 0.0  # as of the walks
    driven: float = 0.0

    def run(self, context: StageContext) -> bool:
        """Walk what is missing."""
        from janusvln_ros.training.data.dagger import Rollouts

        Rollouts(
            context.start(self.start),
            context.folder,
            self.walks,
            self.share,
            seed=self.seed,
            categories=tuple(self.categories),
            most=self.most,
            no_slide=self.no_slide,
            driven=self.driven,
        ).collect(context.cores)
        return True
