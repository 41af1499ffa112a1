"""
The stages that collect data in the embedded world.

What drives through houses is imported where a stage does so: training on pictures from disk needs
no simulator.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from janusvln_ros.episodes.grammar import CATEGORIES
from janusvln_ros.training.stage import StageContext

if TYPE_CHECKING:
    from janusvln_ros.training.data.collect import Plan


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

        write_views(context.folder, Plan(**vars(self)), processes=context.cores)
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
        from janusvln_ros.training.data.collect import collect

        collect(self.plan(context.folder), context.cores)
        return True

    def plan(self, folder: Path) -> Plan:
        """Give what is to be collected in a folder."""
        from janusvln_ros.training.data.collect import Plan

        names = (item.name for item in fields(CollectWalks))
        return Plan(folder, **{name: getattr(self, name) for name in names})


@dataclass(frozen=True, kw_only=True)
class CollectRollouts(CollectWalks):
    """Collect walks of a model, with what the expert would have done; DAgger without training."""

    share: float  # probability that a stretch of steps is the expert's
    start: str = ''
    seed: int = 101

    def run(self, context: StageContext) -> bool:
        """Walk what is missing."""
        self.roll_out(context.start(self.start), context.folder, context.cores)
        return True

    def roll_out(self, checkpoint: Path, folder: Path, cores: int) -> None:
        """Let a checkpoint walk what is missing in a folder."""
        from janusvln_ros.training.data.dagger import roll_out, Rollouts

        roll_out(Rollouts(self.plan(folder), checkpoint, self.share), cores)
