"""
Imitation: the right answers to what is asked of walks.

`windowed`: a walk's frames are read once and many questions are asked of one memory. `sampled`:
the released model's prompt is built for every question. An auxiliary head, dropped when the
checkpoint is saved, says where the goal is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from janusvln_ros.policy.decoding import Action
from janusvln_ros.policy.fusion import fuse
from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.model import JanusModel
from janusvln_ros.policy.preprocessing import Grid, PATCH
from janusvln_ros.policy.prompt import Prompt, PromptEncoder
from janusvln_ros.training.forward import (
    answer_sampled,
    answer_windowed,
    measure,
    merge,
    merge_vision,
    Questions,
    see_patches,
)
from janusvln_ros.training.walks import phrase, UNKNOWN, Walk
import numpy as np
import torch
from torch import nn
from torch.nn import functional

BEARINGS = 24  # bins of 15 degrees, the first around straight ahead
IGNORED = -100  # target that torch's cross entropy leaves out
SHARES = {'own': 0.35, 'reach': 0.3, 'tasks': 0.35}  # of the questions, by where they come from
STOP_WEIGHT = 3.0  # of a question whose answer is to stop, a rare one
PARTS = ('visual', 'vggt', 'visual_merger', 'merger', 'model', 'lm_head')


@dataclass(frozen=True)
class Batch:
    """Walks, and what is asked of them; letters as in `forward`."""

    frames: torch.Tensor  # uint8 (E, T, h, w, 3), zeros behind a walk's end
    questions: Questions
    targets: torch.Tensor  # int64 (E, S, s): the token that follows each, or IGNORED
    bearing: torch.Tensor  # int64 (E, S): bin, or IGNORED where the goal's place is not known
    distance: torch.Tensor  # float32 (E, S): log metres
    visible: torch.Tensor  # float32 (E, S)
    prompt: Prompt
    mode: str

    def to(self, device: torch.device) -> Batch:
        """Move to a device."""
        return Batch(*(getattr(self, name).to(device) for name in (
            'frames', 'questions', 'targets', 'bearing', 'distance', 'visible')),
            self.prompt, self.mode)


class Lessons:
    """Draws batches from walks."""

    def __init__(self, walks: Sequence[Walk], encoder: PromptEncoder, *, walks_per_batch: int,
                 questions: int, seed: int, batches: int = 1, sampled_every: int = 0) -> None:
        """
        Take walks, loaded when they are indexed; each comes once in an epoch.

        questions: asked of each walk in a batch. batches: to a step. sampled_every: every so
        many steps are of the `sampled` mode, with a quarter of the questions; 0: none, 1: all.
        """
        if not len(walks):
            raise ValueError('there are no walks to learn from')
        self._walks, self._encoder, self._seed = walks, encoder, seed
        self._per_batch, self._questions = walks_per_batch, questions
        self._batches, self._sampled_every = batches, sampled_every
        self._order: tuple[int, np.ndarray] = -1, np.empty(0)
        self._suffix = lru_cache(maxsize=100_000)(encoder.suffix)
        self._answers = [tuple(encoder.tokenizer.encode(action.name, add_special_tokens=False))
                         for action in Action]

    def _place(self, number: int) -> int:
        """Give the walk that comes at a place of the endless row of shuffled epochs."""
        epoch, place = divmod(number, len(self._walks))
        order = self._order
        if order[0] != epoch:
            order = epoch, np.random.default_rng([self._seed, 1, epoch]).permutation(
                len(self._walks))
            self._order = order
        return int(order[1][place])

    def batch(self, step: int, part: int) -> Batch:
        """Draw walks and questions."""
        rng = np.random.default_rng([self._seed, step, part])
        sampled = bool(self._sampled_every) and step % self._sampled_every == 0
        asked = max(1, self._questions // 4) if sampled else self._questions
        first = (step * self._batches + part) * self._per_batch
        walks = [begin(self._walks[self._place(first + i)], rng) for i in range(self._per_batch)]
        drawn = [draw(walk, asked, rng) for walk in walks]
        shape = len(walks), max(len(asks) for asks in drawn)
        told = [[self._suffix(phrase(walk.asks[number], hint, rng))
                 for number, _, hint in asks] for walk, asks in zip(walks, drawn)]
        room = max(len(answer) for answer in self._answers)
        longest = max(len(suffix) for suffixes in told for suffix in suffixes) + room
        steps = torch.full(shape, -1)
        tokens = torch.zeros(*shape, longest, dtype=torch.long)
        lengths = torch.ones(shape, dtype=torch.long)
        targets = torch.full((*shape, longest), IGNORED)
        bearing = torch.full(shape, IGNORED)
        distance, visible = torch.zeros(shape), torch.zeros(shape)
        for row, (walk, asks, suffixes) in enumerate(zip(walks, drawn, told)):
            for column, ((number, at, hint), suffix) in enumerate(zip(asks, suffixes)):
                ask = walk.asks[number]
                answer = self._answers[int((ask.hinted if hint else ask.actions)[at])]
                end = len(suffix) + len(answer)
                steps[row, column], lengths[row, column] = at, len(suffix)
                tokens[row, column, :end] = torch.tensor((*suffix, *answer))
                targets[row, column, len(suffix) - 1:end] = torch.tensor(
                    (*answer, self._encoder.end_of_turn))
                if np.isfinite(ask.distance[at]):
                    turn = float(ask.bearing[at]) / (2 * np.pi) * BEARINGS
                    bearing[row, column] = round(turn) % BEARINGS
                    distance[row, column] = float(np.log(max(ask.distance[at], 0.1)))
                    visible[row, column] = float(ask.visible[at])
        frames = np.zeros((len(walks), max(len(walk.frames) for walk in walks),
                           *walks[0].frames.shape[1:]), np.uint8)
        for row, walk in enumerate(walks):
            if walk.frames.shape[1:] != frames.shape[2:]:
                raise ValueError(f'{walk.scene}: frames are {walk.frames.shape[1:]}, others of '
                                 f'the batch {frames.shape[2:]}; use one walk to a batch')
            frames[row, :len(walk.frames)] = walk.frames
        grid = Grid(frames.shape[2] // PATCH, frames.shape[3] // PATCH)
        return Batch(torch.from_numpy(frames), Questions(steps, tokens, lengths), targets, bearing,
                     distance, visible, self._encoder.prompt(told[0][0], grid),
                     'sampled' if sampled else 'windowed')


def begin(walk: Walk, rng: np.random.Generator) -> Walk:
    """Let a walk begin with its first frame, or half the time with another that it may."""
    firsts = sorted({ask.first for ask in walk.asks
                     if max(ask.actions.max(), ask.hinted.max()) != UNKNOWN})
    if not firsts:
        raise ValueError(f'{walk.scene}: nothing can be asked of the walk '
                         f'{walk.instruction!r}; every answer is unknown')
    if len(firsts) == 1 or rng.random() < 0.5:
        return walk.begin(firsts[0])
    return walk.begin(int(rng.choice(firsts[1:])))


def draw(walk: Walk, count: int, rng: np.random.Generator) -> list[tuple[int, int, bool]]:
    """Draw questions of a walk: (which, at which frame, with the first turn told)."""
    possible = [(number, int(step), hint) for number, ask in enumerate(walk.asks)
                for hint, actions in ((False, ask.actions), (True, ask.hinted))
                for step in np.flatnonzero(actions >= 0)]
    asks = [walk.asks[number] for number, _, _ in possible]
    kinds = np.array(['own' if 'text' in ask.slots else 'reach' if ask.form == 'reach' else 'tasks'
                      for ask in asks])
    weights = np.array([
        STOP_WEIGHT if (ask.hinted if hint else ask.actions)[step] == Action.STOP else 1.0
        for ask, (_, step, hint) in zip(asks, possible)])
    for kind, share in SHARES.items():
        weights[kinds == kind] *= share / max(weights[kinds == kind].sum(), 1e-9)
    chosen = rng.choice(len(possible), min(count, len(possible)), replace=False,
                        p=weights / weights.sum())
    return [possible[i] for i in chosen]


class ImitationNetwork(nn.Module):
    """The model, and a head that says where the goal is."""

    def __init__(self, model: JanusModel, *, trained: Sequence[str], memory: MemoryConfig,
                 scales: dict[str, float] | None = None, auxiliary: float = 0.3) -> None:
        """
        Take a model.

        trained: which of PARTS learn. scales: of the learning rate, by part. auxiliary: weight
        of the head's losses; 0 leaves the head out.
        """
        super().__init__()
        unknown = sorted({*trained, *(scales or {})} - set(PARTS))
        if unknown:
            raise ValueError(f'no parts {unknown}; there are {", ".join(PARTS)}')
        self.model, self.memory = model, memory
        self._trained, self._scales, self._auxiliary = tuple(trained), scales or {}, auxiliary
        model.requires_grad_(False)
        for name in trained:
            for parameter in self._parameters_of(name):
                parameter.requires_grad_(True)
        if auxiliary:
            hidden = model.config.language.hidden_size
            self.bearing = nn.Linear(hidden, BEARINGS)
            self.rest = nn.Linear(hidden, 2)  # log metres; whether in view

    def groups(self) -> list[dict[str, Any]]:
        """Give the trained parts, and the head."""
        groups = [{'params': self._parameters_of(name), 'scale': self._scales.get(name, 1.0)}
                  for name in self._trained]
        if self._auxiliary:
            groups.append({'params': [*self.bearing.parameters(), *self.rest.parameters()]})
        return groups

    def _parameters_of(self, part: str) -> list[nn.Parameter]:
        visual = self.model.visual
        modules = {'visual': [visual.patch_embed, visual.blocks],
                   'visual_merger': [visual.merger]}.get(part) or [getattr(self.model, part)]
        return [parameter for module in modules for parameter in module.parameters()]

    def forward(self, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        """Add up the cross entropy of answers with their ends, and the head's losses."""
        model = self.model
        batch = batch.to(model.device)
        grid = batch.prompt.grid
        with torch.set_grad_enabled('visual' in self._trained):
            patches = see_patches(model, batch.frames)
        with torch.set_grad_enabled('vggt' in self._trained):
            features = measure(model, batch.frames, self.memory)
        semantics = merge_vision(model, patches, *grid.vision)
        geometry = merge(model, features, *grid)
        if batch.mode == 'sampled':
            hidden = answer_sampled(model, batch.prompt, semantics, geometry, batch.questions,
                                    self.memory.history_frames)
        else:
            fused = fuse(semantics, geometry, model.config.lam)
            hidden = answer_windowed(model, batch.prompt, fused, batch.questions)
        return self._score(hidden, batch)

    def _score(self, hidden: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        taught = batch.targets != IGNORED
        logits = self.model.lm_head(hidden[taught]).float()
        targets = batch.targets[taught]
        loss = functional.cross_entropy(logits, targets)
        right = torch.ones_like(taught)
        right[taught] = logits.argmax(-1) == targets
        asked = batch.questions.steps >= 0
        metrics = {f'{batch.mode}_loss': loss.item(),
                   f'{batch.mode}_accuracy': right.all(-1)[asked].float().mean().item()}
        placed = batch.bearing != IGNORED
        if self._auxiliary:
            index = (batch.questions.lengths - 1)[..., None, None]
            decision = hidden.gather(2, index.expand(-1, -1, 1, hidden.shape[-1]))[:, :, 0][placed]
            rest = self.rest(decision).float()
            bearing = functional.cross_entropy(
                self.bearing(decision).float(), batch.bearing[placed], reduction='sum')
            distance = functional.smooth_l1_loss(
                rest[:, 0], batch.distance[placed], reduction='sum')
            visible = functional.binary_cross_entropy_with_logits(
                rest[:, 1], batch.visible[placed], reduction='sum')
            count = placed.sum().clamp(min=1)
            loss = loss + self._auxiliary * (bearing + distance + 0.3 * visible) / count
            metrics |= {'bearing': bearing.item() / count.item(),
                        'distance': distance.item() / count.item()}
        return loss, metrics
