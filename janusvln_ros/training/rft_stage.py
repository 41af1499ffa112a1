"""
The stage that learns from its own rollouts.

What drives through houses is imported where the stage does so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from janusvln_ros.episodes.grammar import CATEGORIES
from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.prompt import PromptEncoder
from janusvln_ros.training.loop import LoopConfig
from janusvln_ros.training.parallel import world
from janusvln_ros.training.reinforce import Packing, ReinforceNetwork
from janusvln_ros.training.stage import StageContext
from janusvln_ros.training.stage_loop import train_stage
import torch

_WINDOW = MemoryConfig('windowed')
_LONGEST = _WINDOW.initial_frames + _WINDOW.recent_frames + 1  # frames, of which none is forgotten


@dataclass(frozen=True)
class Reinforce:
    """
    Fine-tune the language part of a checkpoint by reinforcement (`reinforce`), in `windowed` mode.

    groups, rollouts, steps, decay, least_spread: as of `rounds.Rules`. passes: steps of the loop
    that learn from the same round. clip: of the ratio, to either side. kl: weight of the penalty.
    """

    loop: LoopConfig
    start: str = ''
    categories: tuple[str, ...] = CATEGORIES  # or single forms; they take turns
    groups: int = 8
    rollouts: int = 8
    steps: int = _LONGEST
    temperature: float = 1.0
    decay: float = 0.995
    least_spread: float = 0.05
    passes: int = 2
    clip: float = 0.2
    kl: float = 0.02
    probe: Mapping[str, Any] = field(default_factory=dict)  # split, episodes, categories

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name, least in (('groups', 1), ('rollouts', 2), ('steps', 1), ('passes', 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(f'{name} is a whole number of at least {least}, not {value!r}')
        if self.steps > _LONGEST:
            raise ValueError(f'steps is {self.steps}: memory holds {_LONGEST} frames')
        for name, good in (
            ('temperature', self.temperature > 0),
            ('decay', 0 < self.decay <= 1),
            ('least_spread', self.least_spread >= 0),
            ('clip', 0 < self.clip < 1),
            ('kl', self.kl >= 0),
        ):
            if not good:
                raise ValueError(
                    f'{name} is {getattr(self, name)}; temperature is above 0, decay above 0 and '
                    'at most 1, clip between 0 and 1, least_spread and kl at least 0'
                )
        if self.loop.prefetch:
            raise ValueError('prefetch is 0 here: rollouts need the network as it is')

    def run(self, context: StageContext) -> bool:
        """Train; ValueError where several processes would."""
        from janusvln_ros.training.data.collect import check
        from janusvln_ros.training.driving import Drivers
        from janusvln_ros.training.rounds import RolloutBatches, Rules

        if world() > 1:
            raise ValueError('one process learns from rollouts; --processes drive them')
        check(self.categories)
        start = context.start(self.start)
        encoder = PromptEncoder(start)
        packing, model = Packing(encoder), context.load(start)
        network = ReinforceNetwork(
            model,
            packing.allowed(model.config.language.vocab_size),
            temperature=self.temperature,
            clip=self.clip,
            kl=self.kl,
        )
        rules = Rules(
            self.groups,
            self.rollouts,
            self.steps,
            self.temperature,
            self.decay,
            self.least_spread,
            tuple(self.categories),
            self.loop.seed,
        )
        width, processes = model.config.image_width, min(context.cores, self.groups)
        with Drivers(processes, self.rollouts, self.steps, width) as drivers:
            data = RolloutBatches(
                network,
                encoder,
                packing,
                drivers,
                context.folder / 'rounds',
                rules,
                passes=self.passes,
                batches=self.loop.batches,
                dtype=getattr(torch, self.loop.dtype),
            )
            return train_stage(context, network, data, self.loop, start, self.probe)
