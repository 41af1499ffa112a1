"""
The stages that learn from walks, trajectories and examples.

What drives through houses is imported where a stage does so: training on pictures from disk needs
no simulator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
import math
from pathlib import Path
import shutil
from typing import Any

from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.network import checkpoint, quantization
from janusvln_ros.policy.network.adapter import read_adapter
from janusvln_ros.policy.network.config import JanusConfig
from janusvln_ros.policy.network.model import JanusModel
from janusvln_ros.policy.preprocessing import Grid
from janusvln_ros.policy.prompt import PromptEncoder
from janusvln_ros.training import lora
from janusvln_ros.training.card import adapter_card
from janusvln_ros.training.collecting import CollectRollouts
from janusvln_ros.training.data import held_out
from janusvln_ros.training.data.edits import edited, read_edits
from janusvln_ros.training.data.held_out import SomeWalks
from janusvln_ros.training.data.layout import read_annotations, read_pictures
from janusvln_ros.training.data.sources import (
    ConcatWalks,
    ExampleFiles,
    TrajectoryFiles,
    WalkDataset,
    WalkFiles,
)
from janusvln_ros.training.export import replace_checkpoint
from janusvln_ros.training.imitation import ImitationBatches, ImitationNetwork, MEMORIES
from janusvln_ros.training.loop import LoopConfig
from janusvln_ros.training.parallel import agree, checkpoint_activations, estimate, rank, world
from janusvln_ros.training.stage import ADAPTER, CHECKPOINT, DONE, StageContext
from janusvln_ros.training.stage_loop import train_stage
from janusvln_ros.training.validation import HeldOut, Validation, ValidationConfig
import numpy as np
import torch

# Walks, and what tells the episode of each.
_Source = tuple[WalkDataset, Callable[[], list[Path]]]


# What an adapter is trained on: the weights' dtype, and how the language model's are quantised.
BASES: Mapping[str, tuple[torch.dtype, str | None]] = {
    'float32': (torch.float32, None),
    'bfloat16': (torch.bfloat16, None),
    'int8': (torch.bfloat16, 'int8'),
    'int4': (torch.bfloat16, 'int4'),
}


@dataclass(frozen=True)
class Imitate:
    """Train on walks, trajectories or examples; the stages base and extra."""

    data: tuple[Mapping[str, Any], ...]  # a kind and its folder or file; a share of an epoch
    loop: LoopConfig
    trained: tuple[str, ...]
    start: str = ''
    scales: Mapping[str, float] = field(default_factory=dict)
    walks_per_batch: int = 4
    questions: int = 40
    sampled_every: int = 0
    free: float = 0.0  # share of the English instructions that are said in free words
    chinese: float = 0.0  # share of the instructions that are said in Chinese
    mirrored: float = 0.0  # share of the walks that are seen in a mirror
    forget: tuple[str, ...] = ()  # memories that are empty before every frame: spatial, semantic
    auxiliary: float = 0.0
    memory: MemoryConfig = MemoryConfig(mode='windowed')
    most_frames: int = 57
    image_width: int | None = None
    checkpoint_activations: bool = False
    epochs: float = 0.0  # instead of loop.steps
    probe: Mapping[str, Any] = field(default_factory=dict)  # split, episodes, categories
    validation: ValidationConfig | None = None

    def __post_init__(self) -> None:
        """Check what is forgotten."""
        if unknown := sorted({*self.forget} - {*MEMORIES}):
            raise ValueError(f'forget has {unknown[0]!r}; there are {", ".join(MEMORIES)}')
        if self.forget and self.probe:
            raise ValueError('a probe walks with all memories: with forget there is none')

    def run(self, context: StageContext) -> bool:
        """Train."""
        start = context.start(self.start)
        model = self._load(context, start)
        encoder = PromptEncoder(start)
        width = self.image_width or model.config.image_width
        opened = [self._source(context, entry, width) for entry in self.data]
        sources = [source for source, _ in opened]
        held: list[HeldOut] = []
        if self.validation is not None:
            sources, held = self._hold_out(opened, self.validation.share)
        shares = [entry['share'] for entry in self.data if 'share' in entry]
        source = ConcatWalks(sources, shares or None)
        loop = self.loop
        if self.epochs:
            of_an_epoch = len(source.order(np.random.default_rng(0))) / (
                self.walks_per_batch * loop.batches
            )
            loop = replace(loop, steps=math.ceil(self.epochs * of_an_epoch))
        data = ImitationBatches(
            source,
            encoder,
            walks_per_batch=self.walks_per_batch,
            questions=self.questions,
            seed=loop.seed,
            batches=loop.batches,
            sampled_every=self.sampled_every,
            free=self.free,
            mirrored=self.mirrored,
            chinese=self.chinese,
        )
        network = self._network(model)
        validation = None
        if self.validation is not None:
            mode = 'sampled' if self.sampled_every == 1 else 'windowed'
            validation = Validation(context.folder, held, data, start, self.validation, loop, mode)
        else:
            Validation.forget(context.folder)
        if rank() == 0:
            print(self._describe(network, encoder, width))
        if self.checkpoint_activations:
            checkpoint_activations(network)
        write = self._writer(context, validation)
        return train_stage(context, network, data, loop, start, self.probe, write, validation)

    def _load(self, context: StageContext, start: Path) -> JanusModel:
        return context.load(start)

    def _network(self, model: JanusModel) -> ImitationNetwork:
        return ImitationNetwork(
            model,
            trained=self.trained,
            memory=self.memory,
            scales=dict(self.scales),
            auxiliary=self.auxiliary,
            forget=self.forget,
        )

    def _writer(
        self, context: StageContext, validation: Validation | None
    ) -> Callable[[Any, Path, Path], None] | None:
        """Give what writes the result, if it is no checkpoint; as of `train_stage`."""
        return None

    def _source(self, context: StageContext, entry: Mapping[str, Any], width: int) -> _Source:
        kind, place, more = _parts(entry)
        path = context.path(place)
        if kind == 'walks' and not more:
            return WalkFiles([path]), partial(held_out.of_walks, path)
        if kind == 'examples' and not more:
            return ExampleFiles([path], width), partial(held_out.of_examples, path)
        edits = more.get('edits', [])
        if kind == 'annotations' and more.keys() <= {'edits'} and isinstance(edits, list):
            mended = read_edits([context.path(file) for file in edits])
            trajectories = [*edited(read_annotations(path), mended)]
        elif kind == 'pictures' and more.keys() == {'episodes'}:
            trajectories = [*read_pictures(path, Path(more['episodes']))]
        else:
            raise ValueError(
                f'data {dict(entry)}: expected walks, examples, annotations (with a list of '
                'edits or without), or pictures with episodes'
            )
        source = TrajectoryFiles(trajectories, width, self.most_frames)
        return source, partial(held_out.of_trajectories, trajectories)

    def _hold_out(
        self, opened: Sequence[_Source], share: float
    ) -> tuple[list[WalkDataset], list[HeldOut]]:
        """Divide sources into what is learned from and what is held out."""
        episodes = [of_walks() for _, of_walks in opened]
        masks = held_out.hold_out(episodes, share, self.loop.seed)
        sources: list[WalkDataset] = []
        held = []
        for entry, (source, _), whole, mask in zip(self.data, opened, episodes, masks):
            sources.append(SomeWalks(source, ~mask))
            kept = [episode for episode, out in zip(whole, mask) if out]
            kind, place, _ = _parts(entry)
            held.append(HeldOut(f'{kind} {place}', SomeWalks(source, mask), kept))
            if rank() == 0:
                print(f'{kind} {place}: {len({*kept})} of {len({*whole})} episodes are held out')
        return sources, held

    def _describe(self, network: ImitationNetwork, encoder: PromptEncoder, width: int) -> str:
        """Say how large the model is and how much memory a process will need."""
        grid = Grid(round(width * 0.75) // 14, width // 14)
        prompt = encoder.prompt(encoder.suffix('Go to the red chair.'), grid)
        frames = self.memory.history_frames + 1 if self.sampled_every == 1 else self.most_frames
        tokens = self.walks_per_batch * (
            len(prompt.prefix) + frames * len(prompt.block) + self.questions * len(prompt.suffix)
        )
        parts = estimate(
            network,
            network.model.config,
            tokens=tokens,
            processes=world(),
            recompute=self.checkpoint_activations,
        )
        trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
        total = quantization.count(network)
        head = (
            f'{total / 1e6:.2f} M parameters, {trained / 1e6:.2f} M trained; memory of each of '
            f'{world()} processes, estimated: {sum(parts.values()):.2f} GiB'
        )
        return '\n'.join([head, *(f'  {name:<24}{size:9.3f} GiB' for name, size in parts.items())])


@dataclass(frozen=True, kw_only=True)
class Lora(Imitate):
    """
    Train a low-rank adapter of the language model on one GPU or a CPU; all else stays as it is.

    The adapter is OUTPUT/NAME/adapter. base: one of BASES, how what stays is held. merge: whether
    the checkpoint with the adapter added is written as well, of a quantised base in its own dtype.
    """

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    targets: tuple[str, ...] = lora.TARGETS
    base: str = 'float32'
    merge: bool = False
    trained: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what an adapter can be."""
        lora.lora_config(self.rank, self.alpha, self.dropout, self.targets)
        if self.trained or self.scales or self.auxiliary:
            raise ValueError('an adapter has no trained, scales or auxiliary: it alone learns')
        if self.forget:
            raise ValueError('an adapter has no forget: it learns with all memories')
        if self.base not in BASES:
            raise ValueError(f'base is {", ".join(BASES)}, not {self.base!r}')

    def run(self, context: StageContext) -> bool:
        """Train, and merge; ValueError where several processes would."""
        if world() > 1:
            raise ValueError('an adapter is trained by one process')
        if not super().run(context):
            return False
        if self.merge:
            self.write_merged(context)
        return True

    def write_merged(self, context: StageContext) -> None:
        """Write the checkpoint with the adapter in it."""
        start = context.start(self.start)
        added = read_adapter(context.folder / ADAPTER)
        config, device = JanusConfig.from_folder(start), torch.device('cpu')
        dtype, quantised = BASES[self.base]
        dtype = checkpoint.stored_dtype(start) if quantised else dtype
        model = checkpoint.load(start, config, device, dtype, adapter=added)
        replace_checkpoint(model, context.folder / CHECKPOINT, start)

    def _load(self, context: StageContext, start: Path) -> JanusModel:
        try:
            return context.load(start, *BASES[self.base])
        except ImportError as error:
            raise ValueError(f'base {self.base}: {error}') from error

    def _network(self, model: JanusModel) -> lora.LoraNetwork:
        torch.manual_seed(self.loop.seed)
        config = lora.lora_config(self.rank, self.alpha, self.dropout, self.targets)
        return lora.LoraNetwork(model, config, self.memory)

    def _writer(
        self, context: StageContext, validation: Validation | None
    ) -> Callable[[Any, Path, Path], None]:
        card = adapter_card(context.start(self.start), vars(self), context.path)

        def write(network: lora.LoraNetwork, target: Path, start: Path) -> None:
            scores = validation.table() if validation is not None else ''
            if self.probe:
                from janusvln_ros.training.probe import walked_table

                scores += walked_table(context.folder / 'probes')
            lora.write_adapter(network, target, start, card + scores)

        return write


def _parts(entry: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Give a source's kind, where it is, and what else is told of it but for its share."""
    (kind, place), *more = ((key, entry[key]) for key in entry if key != 'share')
    return kind, place, dict(more)


@dataclass(frozen=True, kw_only=True)
class Dagger(CollectRollouts):
    """
    Rounds of walking with the model, labelling with the expert, and training on everything.

    walks: of a round. share: in round k a stretch of steps is the expert's with probability
    share^k.
    """

    rounds: int
    imitate: Imitate
    seed: int = 100

    def __post_init__(self) -> None:
        """Refuse a validation: rounds begin with what was learned from other episodes."""
        if self.imitate.validation is not None:
            raise ValueError('dagger has no validation: each round has other episodes')
        if self.imitate.forget:
            raise ValueError('dagger walks with all memories: its imitate has no forget')

    def run(self, context: StageContext) -> bool:
        """Walk and train in turns."""
        start = context.start(self.start)
        folder = context.folder
        for number in range(1, self.rounds + 1):
            place = folder / f'round_{number}'
            if not agree(rank() == 0 and (place / DONE).exists()):
                if rank() == 0:
                    one = replace(self, share=self.share**number, seed=self.seed + number)
                    one.roll_out(start, folder / 'walks', context.cores)
                agree()
                data = (*self.imitate.data, {'walks': str(folder / 'walks')})
                imitate = replace(self.imitate, start=str(start), data=data)
                if not imitate.run(replace(context, folder=place)):
                    return False
                if rank() == 0:
                    (place / DONE).write_text('')
            start = place / CHECKPOINT
        if rank() == 0:
            shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
            shutil.copytree(start, folder / CHECKPOINT)
        return True
