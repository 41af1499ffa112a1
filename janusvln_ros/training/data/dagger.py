"""
DAgger: the model walks, the expert says what would have been right.

As the published project does it: with probability p^k in round k a stretch of steps is the
expert's, else the model's; where the model stops too early, or strays too often, the expert takes
over for the rest; walks in which the model made no mistake, or that did not arrive, are not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from janusvln_ros.actions import Action
from janusvln_ros.policy.janus import JanusPolicy
from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.training.data.collect import fill, Plan, WALKS
from janusvln_ros.training.data.walker import Walker
from janusvln_ros.training.data.walks import save_walk, Walk
import numpy as np
import torch

_STRETCH = 5  # steps for which the dice are thrown once
_MISTAKES = 25  # after which the expert takes over


class Mixture:
    """Chooses between model and expert, step by step."""

    def __init__(self, policy: JanusPolicy, share: float, rng: np.random.Generator) -> None:
        self._policy, self._share, self._rng = policy, share, rng

    def __call__(self, frame: np.ndarray, instruction: str, step: int, right: int) -> int | None:
        """Give the model's action, or None for the expert's. The model sees every frame."""
        if step == 0:
            self._policy.reset(instruction)
            self.mistakes, self._over = 0, False
        if step % _STRETCH == 0:
            self._led = self._rng.random() < self._share
        action = self._policy.step(frame).action
        self.mistakes += action != right
        self._over |= self.mistakes > _MISTAKES or (action == Action.STOP != right)
        return None if self._over or self._led else int(action)


@dataclass(frozen=True)
class Rollouts:
    """A round's walks, by the model of a checkpoint; share: as of a Mixture."""

    plan: Plan
    checkpoint: Path
    share: float


def roll_out(rollouts: Rollouts, processes: int = 1) -> None:
    """Walk until all are there; walks that are not kept leave an empty mark."""
    fill(rollouts.plan, _walks, rollouts, processes)


@contextmanager
def _walks(rollouts: Rollouts) -> Iterator[Callable[[int], None]]:
    """Give what walks the walk of a number with the model."""
    plan = rollouts.plan
    torch.set_num_threads(1)
    policy = JanusPolicy.from_pretrained(
        rollouts.checkpoint, 'cpu', 'float32', memory=MemoryConfig(mode='windowed')
    )

    def walk(number: int) -> None:
        rng = np.random.default_rng([31, plan.seed, number])
        mixture = Mixture(policy, rollouts.share, rng)
        walk = walker.walk(
            WALKS,
            plan.index(number),
            most=plan.most,
            astray=0.0,
            no_slide=plan.no_slide,
            driven=plan.driven,
            act=mixture,
        )
        if worth_keeping(walk, mixture.mistakes):
            save_walk(plan.path(number), walk, plan.image_width)
        else:
            plan.dropped(number).touch()

    with closing(Walker()) as walker:
        yield walk


def worth_keeping(walk: Walk, mistakes: int) -> bool:
    """Tell whether a walk arrived, and has something to teach."""
    return bool(mistakes and walk.labels[-1] == Action.STOP)
