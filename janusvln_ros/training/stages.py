"""
The stages of training.

A stage begins with the checkpoint of the one before that made one, unless `start` names a folder.
`{output}` stands for the run's folder. Every stage writes to OUTPUT/NAME; the checkpoint in the
published layout is OUTPUT/NAME/checkpoint. A stage that is done is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.config import JanusConfig
from janusvln_ros.training import dense, tiny_model
from janusvln_ros.training.collecting import CollectRollouts, CollectWalks, DrawViews
from janusvln_ros.training.export import replace_checkpoint
from janusvln_ros.training.loop import LoopConfig
from janusvln_ros.training.parallel import agree, rank, world
from janusvln_ros.training.pretrain import PretrainingNetwork, ViewBatches
from janusvln_ros.training.rft_stage import Reinforce
from janusvln_ros.training.stage import CHECKPOINT, DONE, Stage, StageContext
from janusvln_ros.training.stage_loop import train_stage
from janusvln_ros.training.walk_stages import Dagger, Imitate, Lora
import torch


@dataclass(frozen=True)
class Fresh:
    """Make the untrained janusvln-tiny."""

    size: str = 'small'
    seed: int = 0
    encoders: str = ''  # a checkpoint whose encoders and mergers are taken

    def run(self, context: StageContext) -> bool:
        """Write the checkpoint, if it is not there."""
        if not (context.folder / CHECKPOINT).is_dir():
            encoders = context.path(self.encoders) if self.encoders else None
            tiny_model.write_fresh_checkpoint(
                context.folder / CHECKPOINT, self.size, self.seed, encoders
            )
        return True


@dataclass(frozen=True)
class NewWords:
    """Give a checkpoint of an earlier release the words that janusvln-tiny has now."""

    start: str = ''

    def run(self, context: StageContext) -> bool:
        """Write the checkpoint, if it is not there."""
        if not (context.folder / CHECKPOINT).is_dir():
            start = context.start(self.start)
            tiny_model.write_with_new_words(context.folder / CHECKPOINT, start)
        return True


@dataclass(frozen=True)
class Ship:
    """Write the checkpoint of the stage before to a folder, in the dtype it is to have."""

    folder: str
    dtype: str = 'bfloat16'
    start: str = ''

    def run(self, context: StageContext) -> bool:
        """Convert and write; files in the folder that are no part of a checkpoint stay."""
        start = context.start(self.start)
        model = checkpoint.load(
            start, JanusConfig.from_folder(start), torch.device('cpu'), getattr(torch, self.dtype)
        )
        replace_checkpoint(model, context.path(self.folder), start)
        context.folder.mkdir(parents=True, exist_ok=True)
        return True


@dataclass(frozen=True)
class Pretrain:
    """Train both encoders on views."""

    views: str
    loop: LoopConfig
    tours: int = 16
    start: str = ''

    def run(self, context: StageContext) -> bool:
        """Train."""
        start = context.start(self.start)
        network = PretrainingNetwork(context.load(start))
        data = ViewBatches(context.path(self.views), self.tours, self.loop.seed)
        return train_stage(context, network, data, self.loop, start)


@dataclass(frozen=True)
class Heads:
    """Train a depth head on dense views, on a network that stays as it is, bit by bit."""

    views: str
    loop: LoopConfig
    features: int = 32
    channels: tuple[int, ...] = (24, 32, 48, 48)  # of the four levels
    frames: int = 12  # in a batch
    start: str = ''

    def run(self, context: StageContext) -> bool:
        """Train; ValueError where several processes would."""
        if world() > 1:
            raise ValueError('heads are small: one process trains them')
        start = context.start(self.start)
        model = context.load(start)
        views, tokens = context.path(self.views), context.folder / 'tokens'
        dense.encode_views(model.to(context.device), views, tokens)
        torch.manual_seed(self.loop.seed)
        dense.add_head(model, self.features, tuple(self.channels))
        data = dense.DenseBatches(views, tokens, self.frames, self.loop.seed)
        return train_stage(context, dense.DenseNetwork(model), data, self.loop, start)


KINDS: dict[str, type[Stage]] = {
    'fresh': Fresh,
    'words': NewWords,
    'views': DrawViews,
    'walks': CollectWalks,
    'rollouts': CollectRollouts,
    'pretrain': Pretrain,
    'heads': Heads,
    'imitate': Imitate,
    'lora': Lora,
    'dagger': Dagger,
    'rft': Reinforce,
    'ship': Ship,
}
# The others are run by one of several processes.
_TOGETHER = (Pretrain, Heads, Imitate, Dagger, Reinforce)


def run_stage(
    stages: Mapping[str, Stage], name: str, output: Path, device: torch.device, cores: int
) -> bool:
    """
    Run a stage, unless it is done; tell whether it was finished (and not stopped by Ctrl-C).

    Of an adapter that is done the merged checkpoint is written, where it is wanted and missing.
    """
    folder, stage = output / name, stages[name]
    before = tuple(stages)[: tuple(stages).index(name)]
    context = StageContext(output, folder, before, device, cores)
    if agree(rank() == 0 and (folder / DONE).exists()):
        if isinstance(stage, Lora) and stage.merge and not (folder / CHECKPOINT).is_dir():
            stage.write_merged(context)
        return True
    finished = True
    if rank() == 0 or isinstance(stage, _TOGETHER):
        finished = stage.run(context)
    if finished and rank() == 0:
        (folder / DONE).write_text('')
    agree()
    return finished
