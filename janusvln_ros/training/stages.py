"""
Stages of training, as a configuration file describes them.

    output: runs/tiny
    stages:
      NAME: {kind: fresh | views | walks | pretrain | imitate | dagger | ship, …}

A stage begins with the checkpoint of the one before that made one, unless `start` names a folder.
`{output}` stands for the run's folder. Every stage writes to OUTPUT/NAME; the checkpoint in the
published layout is OUTPUT/NAME/checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
import math
import os
from pathlib import Path
import shutil
from typing import Any

from janusvln_ros.episodes.grammar import CATEGORIES
from janusvln_ros.episodes.splits import find_split
from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.config import JanusConfig
from janusvln_ros.policy.network.model import JanusModel
from janusvln_ros.policy.preprocessing import Grid
from janusvln_ros.policy.prompt import PromptEncoder
from janusvln_ros.training import tiny_model
from janusvln_ros.training.data.collect import collect, Plan
from janusvln_ros.training.data.dagger import Rollouts
from janusvln_ros.training.data.layout import read_annotations, read_pictures
from janusvln_ros.training.data.sources import (
    ConcatWalks,
    ExampleFiles,
    TrajectoryFiles,
    WalkDataset,
    WalkFiles,
)
from janusvln_ros.training.data.views import write_views
from janusvln_ros.training.imitation import ImitationBatches, ImitationNetwork
from janusvln_ros.training.loop import LoopConfig, train
from janusvln_ros.training.parallel import checkpoint_activations, estimate, rank, shard, world
from janusvln_ros.training.pretrain import PretrainingNetwork, ViewBatches
import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import get_model_state_dict, StateDictOptions
from torch.nn.attention import sdpa_kernel, SDPBackend
import yaml

CHECKPOINT = 'checkpoint'
DONE = 'done'


@dataclass(frozen=True)
class Fresh:
    """Make the untrained janusvln-tiny."""

    size: str = 'small'
    seed: int = 0


@dataclass(frozen=True)
class Ship:
    """Write the checkpoint of the stage before to a folder, in the dtype it is to have."""

    folder: str
    dtype: str = 'bfloat16'
    start: str = ''


@dataclass(frozen=True)
class DrawViews:
    """Draw views for pre-training."""

    tours: int
    rooms: tuple[int, int] = (1, 3)
    seed: int = 1


@dataclass(frozen=True)
class CollectWalks:
    """Collect walks of the expert."""

    walks: int
    categories: tuple[str, ...] = CATEGORIES
    most: int = 57
    seed: int = 1


@dataclass(frozen=True)
class Pretrain:
    """Train both encoders on views."""

    views: str
    loop: LoopConfig
    tours: int = 16
    start: str = ''


@dataclass(frozen=True)
class Imitate:
    """Train on walks, trajectories or examples; the stages base and extra."""

    data: tuple[Mapping[str, str], ...]
    loop: LoopConfig
    trained: tuple[str, ...]
    start: str = ''
    scales: Mapping[str, float] = field(default_factory=dict)
    walks_per_batch: int = 4
    questions: int = 40
    sampled_every: int = 0
    auxiliary: float = 0.0
    memory: MemoryConfig = MemoryConfig(mode='windowed')
    most_frames: int = 57
    image_width: int | None = None
    checkpoint_activations: bool = False
    epochs: float = 0.0  # instead of loop.steps
    probe: Mapping[str, Any] = field(default_factory=dict)  # split, episodes, category


@dataclass(frozen=True)
class Dagger:
    """Rounds of walking with the model, labelling with the expert, and training on everything."""

    rounds: int
    walks: int  # of a round
    share: float  # p: in round k a stretch of steps is the expert's with probability p^k
    imitate: Imitate
    start: str = ''
    categories: tuple[str, ...] = CATEGORIES
    most: int = 57
    seed: int = 100


KINDS = {
    'fresh': Fresh,
    'views': DrawViews,
    'walks': CollectWalks,
    'pretrain': Pretrain,
    'imitate': Imitate,
    'dagger': Dagger,
    'ship': Ship,
}


def read_config(path: Path) -> tuple[str, dict[str, Any]]:
    """Read a configuration: output folder, stages by name. ValueError says what is wrong."""
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except yaml.YAMLError as error:
        raise ValueError(f'{path} is not readable as YAML: {error}') from error
    if not isinstance(content, dict) or {*content} != {'output', 'stages'}:
        raise ValueError(f'{path}: expected the fields output and stages')
    stages = {}
    for name, values in content['stages'].items():
        values = dict(values)
        kind = values.pop('kind', None)
        if kind not in KINDS:
            raise ValueError(
                f'{path}, stage {name}: kind is {kind!r}, not one of {", ".join(KINDS)}'
            )
        stages[name] = _fill(KINDS[kind], values, f'{path}, stage {name}')
    return content['output'], stages


def _fill(kind: type, values: Mapping[str, Any], where: str) -> Any:
    nested = {'loop': LoopConfig, 'memory': MemoryConfig, 'imitate': Imitate}
    known = {item.name for item in fields(kind)}
    if unknown := sorted(values.keys() - known):
        raise ValueError(
            f'{where}: no field {", ".join(unknown)}; there are {", ".join(sorted(known))}'
        )
    filled = {}
    for name, value in values.items():
        if name in nested:
            value = _fill(nested[name], value, f'{where}, {name}')
        filled[name] = tuple(value) if isinstance(value, list) else value
    try:
        return kind(**filled)
    except (TypeError, ValueError) as error:
        raise ValueError(f'{where}: {error}') from error


class Runner:
    """Runs stages one after another; those that are done are left out."""

    def __init__(
        self, output: Path, stages: Mapping[str, Any], device: torch.device, cores: int
    ) -> None:
        self.output, self.stages, self.device, self.cores = output, stages, device, cores

    def run(self, name: str) -> bool:
        """Run a stage; tell whether it was finished (and not stopped by Ctrl-C)."""
        folder = self.output / name
        if (folder / DONE).exists():
            return True
        stage = self.stages[name]
        finished = {
            Fresh: self._fresh,
            DrawViews: self._views,
            CollectWalks: self._walks,
            Pretrain: self._pretrain,
            Imitate: self._imitate,
            Dagger: self._dagger,
            Ship: self._ship,
        }[type(stage)](stage, folder)
        if finished and rank() == 0:
            (folder / DONE).write_text('')
        return finished

    def _fresh(self, stage: Fresh, folder: Path) -> bool:
        if not (folder / CHECKPOINT).is_dir():
            tiny_model.write_fresh_checkpoint(folder / CHECKPOINT, stage.size, stage.seed)
        return True

    def _ship(self, stage: Ship, folder: Path) -> bool:
        start = self._start(stage.start, folder)
        config = JanusConfig.from_folder(start)
        model = checkpoint.load(start, config, torch.device('cpu'), getattr(torch, stage.dtype))
        replace_checkpoint(model, self._path(stage.folder), start)
        folder.mkdir(parents=True, exist_ok=True)
        return True

    def _views(self, stage: DrawViews, folder: Path) -> bool:
        write_views(
            folder,
            tours=stage.tours,
            seed=stage.seed,
            rooms=tuple(stage.rooms),
            processes=self.cores,
        )
        return True

    def _walks(self, stage: CollectWalks, folder: Path) -> bool:
        collect(
            Plan(folder, stage.walks, stage.seed, tuple(stage.categories), stage.most), self.cores
        )
        return True

    def _pretrain(self, stage: Pretrain, folder: Path) -> bool:
        start = self._start(stage.start, folder)
        network = PretrainingNetwork(self._load(start))
        data = ViewBatches(self._path(stage.views), stage.tours, stage.loop.seed)
        return self._train(network, data, stage.loop, folder, start)

    def _imitate(self, stage: Imitate, folder: Path) -> bool:
        start = self._start(stage.start, folder)
        model = self._load(start)
        encoder = PromptEncoder(start)
        width = stage.image_width or model.config.image_width
        source = ConcatWalks(
            [self._source(entry, width, stage.most_frames) for entry in stage.data]
        )
        loop = stage.loop
        if stage.epochs:
            of_an_epoch = len(source) / (stage.walks_per_batch * loop.batches)
            loop = replace(loop, steps=math.ceil(stage.epochs * of_an_epoch))
        data = ImitationBatches(
            source,
            encoder,
            walks_per_batch=stage.walks_per_batch,
            questions=stage.questions,
            seed=loop.seed,
            batches=loop.batches,
            sampled_every=stage.sampled_every,
        )
        network = ImitationNetwork(
            model,
            trained=stage.trained,
            memory=stage.memory,
            scales=dict(stage.scales),
            auxiliary=stage.auxiliary,
        )
        if rank() == 0:
            print(describe(network, model.config, stage, encoder))
        if stage.checkpoint_activations:
            checkpoint_activations(network)
        return self._train(network, data, loop, folder, start, stage.probe)

    def _dagger(self, stage: Dagger, folder: Path) -> bool:
        start = self._start(stage.start, folder)
        rollouts = folder / 'walks'
        for number in range(1, stage.rounds + 1):
            place = folder / f'round_{number}'
            if not (place / DONE).exists():
                if rank() == 0:
                    Rollouts(
                        start,
                        rollouts,
                        stage.walks,
                        stage.share**number,
                        seed=stage.seed + number,
                        categories=tuple(stage.categories),
                        most=stage.most,
                    ).collect(self.cores)
                data = (*stage.imitate.data, {'walks': str(rollouts)})
                imitate = replace(stage.imitate, start=str(start), data=data)
                if not self._imitate(imitate, place):
                    return False
                (place / DONE).write_text('')
            start = place / CHECKPOINT
        if rank() == 0:
            shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
            shutil.copytree(start, folder / CHECKPOINT)
        return True

    def _train(
        self,
        network: nn.Module,
        data: Any,
        loop: LoopConfig,
        folder: Path,
        start: Path,
        probe: Mapping[str, Any] | None = None,
    ) -> bool:
        network.to(self.device).train()
        if world() > 1:
            if loop.batches % world():
                raise ValueError(
                    f'{loop.batches} batches to a step cannot be shared by {world()} processes'
                )
            shard(network, self.device, loop.dtype)

        def measure(step: int) -> dict[str, float]:
            export(network, folder / CHECKPOINT, start)
            return closed_loop(folder, step, probe, self.cores) if probe and rank() == 0 else {}

        # For short sequences torch's own products are faster on a CPU than its flash attention.
        backends = (
            [SDPBackend.MATH]
            if self.device.type == 'cpu'
            else [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
        )
        with sdpa_kernel(backends):
            finished = train(network, data, loop, folder, device=self.device, probe=measure)
        export(network, folder / CHECKPOINT, start)
        return finished

    def _load(self, folder: Path) -> JanusModel:
        config = JanusConfig.from_folder(folder)
        return checkpoint.load(folder, config, self.device, torch.float32)

    def _source(self, entry: Mapping[str, str], width: int, most: int) -> WalkDataset:
        (kind, place), *more = entry.items()
        path = self._path(place)
        if kind == 'walks':
            return WalkFiles([path])
        if kind == 'examples':
            return ExampleFiles([path], width)
        if kind == 'annotations':
            return TrajectoryFiles(read_annotations(path), width, most)
        if kind == 'pictures' and more:
            return TrajectoryFiles(read_pictures(path, Path(dict(more)['episodes'])), width, most)
        raise ValueError(
            f'data {dict(entry)}: expected walks, examples, annotations, or pictures with episodes'
        )

    def _path(self, text: str) -> Path:
        return Path(text.replace('{output}', str(self.output)))

    def _start(self, text: str, folder: Path) -> Path:
        if text:
            return self._path(text)
        names = list(self.stages)
        for name in reversed(names[: names.index(folder.relative_to(self.output).parts[0])]):
            if (self.output / name / CHECKPOINT).is_dir():
                return self.output / name / CHECKPOINT
        raise ValueError(
            f'stage {folder.name}: no stage before it has made a checkpoint; run '
            'them first, or give it a start'
        )


def export(network: nn.Module, folder: Path, source: Path) -> None:
    """Write the model, without auxiliary heads, in the published layout; replace what is there."""
    state = get_model_state_dict(
        network, options=StateDictOptions(full_state_dict=True, cpu_offload=True)
    )
    if rank() > 0:
        return
    model = checkpoint.build(JanusConfig.from_folder(source))
    model.load_state_dict(
        {
            name.removeprefix('model.'): value
            for name, value in state.items()
            if name.startswith('model.')
        },
        assign=True,
    )
    replace_checkpoint(model, folder, source)


def replace_checkpoint(model: JanusModel, folder: Path, source: Path) -> None:
    """Write a model in the published layout; files that are no part of it stay (a model card)."""
    fresh = folder.with_name(folder.name + '.new')
    shutil.rmtree(fresh, ignore_errors=True)
    checkpoint.save(model, fresh, source)
    folder.mkdir(parents=True, exist_ok=True)
    for file in fresh.iterdir():
        os.replace(file, folder / file.name)
    fresh.rmdir()


def closed_loop(
    folder: Path, step: int, probe: Mapping[str, Any], processes: int
) -> dict[str, float]:
    """Let the checkpoint walk some episodes; give its mean scores."""
    # Only here: evaluation can write videos, which takes a library that training does not need.
    from janusvln_ros.evaluation.agents import AgentSpec
    from janusvln_ros.evaluation.runner import EnvironmentSpec, evaluate, Run

    categories = tuple(probe.get('categories', CATEGORIES))
    split = find_split(probe.get('split', 'val_seen'))
    run = Run(
        folder / 'probes' / f'{step:08}',
        AgentSpec(str(folder / CHECKPOINT), memory={'mode': probe.get('mode', 'windowed')}),
        EnvironmentSpec(split.full_name, max_steps=probe.get('max_steps', 100)),
        categories,
        probe.get('episodes', 20),
    )
    records = evaluate(run, processes=processes, quiet=True)
    return {
        f'closed_loop_{name}': sum(record[name] for record in records) / len(records)
        for name in ('sr', 'spl', 'ne')
    }


def describe(
    network: ImitationNetwork, config: JanusConfig, stage: Imitate, encoder: PromptEncoder
) -> str:
    """Say how large the model is and how much memory a process will need."""
    width = stage.image_width or config.image_width
    grid = Grid(round(width * 0.75) // 14, width // 14)
    prompt = encoder.prompt(encoder.suffix('Go to the red chair.'), grid)
    frames = stage.memory.history_frames + 1 if stage.sampled_every == 1 else stage.most_frames
    tokens = stage.walks_per_batch * (
        len(prompt.prefix) + frames * len(prompt.block) + stage.questions * len(prompt.suffix)
    )
    parts = estimate(
        network, config, tokens=tokens, processes=world(), recompute=stage.checkpoint_activations
    )
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    total = sum(p.numel() for p in network.parameters())
    lines = [
        f'{total / 1e6:.2f} M parameters, {trained / 1e6:.2f} M trained; memory of each of '
        f'{world()} processes, estimated: {sum(parts.values()):.2f} GiB'
    ]
    return '\n'.join([*lines, *(f'  {name:<24}{size:9.3f} GiB' for name, size in parts.items())])
