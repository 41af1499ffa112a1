"""
Imitation: the right answers to what is asked of walks.

`windowed`: a walk's frames are read once and many questions are asked of one memory. `sampled`:
the released model's prompt is built for every question. An auxiliary head, dropped when the
checkpoint is saved, says where the goal is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from janusvln_ros.actions import Action
from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.network.fusion import fuse
from janusvln_ros.policy.network.model import JanusModel
from janusvln_ros.policy.preprocessing import Grid, PATCH
from janusvln_ros.policy.prompt import Prompt, PromptEncoder
from janusvln_ros.training.data.sources import WalkDataset
from janusvln_ros.training.data.walks import phrase, Question, UNKNOWN, Walk
from janusvln_ros.training.forward import (
    answer_sampled,
    answer_windowed,
    encode_geometry,
    encode_vision,
    merge_geometry,
    merge_vision,
    QuestionBatch,
)
from janusvln_ros.training.loop import Network
import numpy as np
import torch
from torch import nn
from torch.nn import functional

BEARINGS = 24  # bins of 15 degrees, the first around straight ahead
IGNORED = -100  # target that torch's cross entropy leaves out
_ALIKE = 16  # batches, among which walks are sorted by their length
SHARES = {'own': 0.35, 'reach': 0.3, 'tasks': 0.35}  # of the questions, by where they come from
STOP_WEIGHT = 3.0  # of a question whose answer is to stop, a rare one
PARTS = ('visual', 'vggt', 'visual_merger', 'merger', 'model', 'lm_head')
MEMORIES = ('spatial', 'semantic')


@dataclass(frozen=True)
class Batch:
    """Walks, and what is asked of them; letters as in `forward`."""

    frames: torch.Tensor  # uint8 (E, T, h, w, 3), zeros behind a walk's end
    questions: QuestionBatch
    targets: torch.Tensor  # int64 (E, N): the token that follows each, or IGNORED
    bearing: torch.Tensor  # int64 (E, S): bin, or IGNORED where the goal's place is not known
    distance: torch.Tensor  # float32 (E, S): log metres
    visible: torch.Tensor  # float32 (E, S)
    prompt: Prompt
    mode: str

    def to(self, device: torch.device) -> Batch:
        """Move to a device."""
        names = 'frames', 'questions', 'targets', 'bearing', 'distance', 'visible'
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


@dataclass(frozen=True)
class Asked:
    """A question at a frame, in words, and the right answer."""

    question: Question
    at: int
    said: str
    action: int


class ImitationBatches:
    """Draws batches from walks."""

    def __init__(
        self,
        walks: WalkDataset,
        encoder: PromptEncoder,
        *,
        walks_per_batch: int,
        questions: int,
        seed: int,
        batches: int = 1,
        sampled_every: int = 0,
        free: float = 0.0,
        mirrored: float = 0.0,
        chinese: float = 0.0,
    ) -> None:
        """
        Take walks; each comes once in an epoch, a few twice to fill the last batch.

        questions: asked of each walk in a batch. batches: to a step. sampled_every: every so
        many steps are of the `sampled` mode, with a quarter of the questions; 0: none, 1: all.
        free: share of the English instructions that are said in free words. mirrored: share of
        the walks that are seen in a mirror; their words have to be of the simulator's grammar.
        chinese: share of the grammar's instructions that are said in Chinese.
        """
        if not len(walks):
            raise ValueError('there are no walks to learn from')
        self._walks, self._encoder, self._seed = walks, encoder, seed
        self._per_batch, self._questions = walks_per_batch, questions
        self._batches, self._sampled_every = batches, sampled_every
        self._free, self._mirrored, self._chinese = free, mirrored, chinese
        self._lengths = walks.lengths()
        self._epoch = len(walks.order(np.random.default_rng(0)))  # walks
        self._order: tuple[int, np.ndarray] = -1, np.empty(0)
        self._suffix = lru_cache(maxsize=100_000)(encoder.suffix)
        self._answers = [
            tuple(encoder.tokenizer.encode(action.name, add_special_tokens=False))
            for action in Action
        ]

    def at_once(self, mode: str) -> int:
        """Give how many questions a walk is asked in a batch of a mode."""
        return max(1, self._questions // 4) if mode == 'sampled' else self._questions

    def chosen(self, number: int) -> np.ndarray:
        """Give the walks of a batch of the endless row of shuffled epochs."""
        epoch, place = divmod(number, -(-self._epoch // self._per_batch))
        if self._order[0] != epoch:
            self._order = epoch, self._shuffle(epoch)
        return self._order[1][place]

    def _shuffle(self, epoch: int) -> np.ndarray:
        """
        Shuffle the walks to batches, (batches, walks of a batch).

        A batch's are about equally long, as all are padded. The last is filled with the first.
        """
        rng = np.random.default_rng([self._seed, 1, epoch])
        size = self._per_batch
        order = self._walks.order(rng)
        order = np.resize(order, -(-len(order) // size) * size)
        for start in range(0, len(order), _ALIKE * size):
            some = order[start : start + _ALIKE * size]
            some[:] = some[self._lengths[some].argsort(kind='stable')]
        return rng.permutation(order.reshape(-1, size))

    def batch(self, step: int, part: int) -> Batch:
        """Draw walks and questions."""
        rng = np.random.default_rng([self._seed, step, part])
        sampled = bool(self._sampled_every) and step % self._sampled_every == 0
        mode = 'sampled' if sampled else 'windowed'
        asked = self.at_once(mode)
        numbers = self.chosen(step * self._batches + part)
        walks = [begin(self._walks[int(number)], rng) for number in numbers]
        if self._mirrored:
            walks = [w.mirrored() if rng.random() < self._mirrored else w for w in walks]
        drawn = [draw(walk, asked, rng) for walk in walks]
        said = [
            [
                Asked(
                    question := walk.questions[number],
                    at,
                    phrase(question, hint, rng, self._free, self._chinese),
                    int((question.hinted if hint else question.actions)[at]),
                )
                for number, at, hint in chosen
            ]
            for walk, chosen in zip(walks, drawn)
        ]
        return self.pack(walks, said, mode)

    def pack(self, walks: Sequence[Walk], said: Sequence[Sequence[Asked]], mode: str) -> Batch:
        """Put walks and what is asked of each into a batch; mode: of the memory."""
        rows: list[list[tuple[int, tuple[int, ...], tuple[int, ...]]]] = []
        shape = len(walks), max(map(len, said))
        bearing = torch.full(shape, IGNORED)
        distance, visible = torch.zeros(shape), torch.zeros(shape)
        for row, asked in enumerate(said):
            rows.append([])
            for column, one in enumerate(asked):
                question, at = one.question, one.at
                rows[-1].append((at, self._suffix(one.said), self._answers[one.action]))
                if np.isfinite(question.distance[at]):
                    turn = float(question.bearing[at]) / (2 * np.pi) * BEARINGS
                    bearing[row, column] = round(turn) % BEARINGS
                    distance[row, column] = float(np.log(max(question.distance[at], 0.1)))
                    visible[row, column] = float(question.visible[at])
        questions = QuestionBatch.pack(rows)
        targets = torch.full_like(questions.tokens, IGNORED)
        for row, asked_of_it in enumerate(rows):
            for decision, (_, _, answer) in zip(questions.decisions[row].tolist(), asked_of_it):
                targets[row, decision : decision + len(answer) + 1] = torch.tensor(
                    (*answer, self._encoder.end_of_turn)
                )
        frames = np.zeros(
            (len(walks), max(len(walk.frames) for walk in walks), *walks[0].frames.shape[1:]),
            np.uint8,
        )
        for row, walk in enumerate(walks):
            if walk.frames.shape[1:] != frames.shape[2:]:
                raise ValueError(
                    f'{walk.scene}: frames are {walk.frames.shape[1:]}, others of '
                    f'the batch {frames.shape[2:]}; use one walk to a batch'
                )
            frames[row, : len(walk.frames)] = walk.frames
        grid = Grid(frames.shape[2] // PATCH, frames.shape[3] // PATCH)
        return Batch(
            torch.from_numpy(frames),
            questions,
            targets,
            bearing,
            distance,
            visible,
            self._encoder.prompt(rows[0][0][1], grid),
            mode,
        )


def begin(walk: Walk, rng: np.random.Generator) -> Walk:
    """Let a walk begin with its first frame, or half the time with another that it may."""
    askable = (q for q in walk.questions if max(q.actions.max(), q.hinted.max()) != UNKNOWN)
    firsts = sorted({question.first for question in askable})
    if not firsts:
        raise ValueError(
            f'{walk.scene}: nothing can be asked of the walk '
            f'{walk.instruction!r}; every answer is unknown'
        )
    if len(firsts) == 1 or rng.random() < 0.5:
        return walk.begin(firsts[0])
    return walk.begin(int(rng.choice(firsts[1:])))


def draw(walk: Walk, count: int, rng: np.random.Generator) -> list[tuple[int, int, bool]]:
    """Draw questions of a walk: (which, at which frame, with the first turn told)."""
    possible, kinds, weights = [], [], []
    for number, question in enumerate(walk.questions):
        kind = 'reach' if question.form == 'reach' else 'tasks'
        for hint, actions in ((False, question.actions), (True, question.hinted)):
            for step in np.flatnonzero(actions >= 0):
                possible.append((number, int(step), hint))
                kinds.append('own' if 'text' in question.slots else kind)
                weights.append(STOP_WEIGHT if actions[step] == Action.STOP else 1.0)
    of_kind, weight = np.array(kinds), np.array(weights)
    for kind, share in SHARES.items():
        weight[of_kind == kind] *= share / max(weight[of_kind == kind].sum(), 1e-9)
    chosen = rng.choice(
        len(possible), min(count, len(possible)), replace=False, p=weight / weight.sum()
    )
    return [possible[i] for i in chosen]


class ImitationNetwork(Network):
    """The model, and a head that says where the goal is."""

    def __init__(
        self,
        model: JanusModel,
        *,
        trained: Sequence[str],
        memory: MemoryConfig,
        scales: dict[str, float] | None = None,
        auxiliary: float = 0.3,
        forget: Sequence[str] = (),
    ) -> None:
        """
        Take a model.

        trained: which of PARTS learn. scales: of the learning rate, by part. auxiliary: weight
        of the head's losses; 0 leaves the head out. forget: which of MEMORIES are empty before
        every frame, in both modes.
        """
        super().__init__()
        unknown = sorted({*trained, *(scales or {})} - set(PARTS))
        if unknown:
            raise ValueError(f'no parts {unknown}; there are {", ".join(PARTS)}')
        self.model, self.memory = model, memory
        self._trained, self._scales, self._auxiliary = tuple(trained), scales or {}, auxiliary
        self._forget = frozenset(forget)
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
        groups = [
            {'params': self._parameters_of(name), 'scale': self._scales.get(name, 1.0)}
            for name in self._trained
        ]
        if self._auxiliary:
            groups.append({'params': [*self.bearing.parameters(), *self.rest.parameters()]})
        return groups

    def _parameters_of(self, part: str) -> list[nn.Parameter]:
        visual = self.model.visual
        modules: dict[str, list[nn.Module]] = {
            'visual': [visual.patch_embed, visual.blocks],
            'visual_merger': [visual.merger],
        }
        chosen = modules.get(part) or [getattr(self.model, part)]
        return [parameter for module in chosen for parameter in module.parameters()]

    def forward(self, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """
        Add up the cross entropy of answers with their ends, and the head's losses.

        In eval mode the logits (tokens, vocabulary) of the targets are among what is measured, in
        their order.
        """
        model = self.model
        batch = batch.to(model.device)
        grid, learn = batch.prompt.grid, torch.is_grad_enabled()
        with torch.set_grad_enabled(learn and 'visual' in self._trained):
            patches = encode_vision(model, batch.frames)
        # A frame that finds the memory empty is an episode of its own.
        streams = batch.frames
        if 'spatial' in self._forget:
            streams = streams.flatten(0, 1)[:, None]
        with torch.set_grad_enabled(learn and 'vggt' in self._trained):
            features = encode_geometry(model, streams, self.memory)
        features = features.view(*batch.frames.shape[:2], *features.shape[2:])
        semantics = merge_vision(model, patches, *grid.vision)
        geometry = merge_geometry(model, features, *grid)
        alone = 'semantic' in self._forget
        if batch.mode == 'sampled' or alone:
            # Of the current frame alone both modes make the same prompt.
            most = 0 if alone else self.memory.history_frames
            hidden = answer_sampled(
                model, batch.prompt, semantics, geometry, batch.questions, most
            )
        else:
            fused = fuse(semantics, geometry, model.config.lam)
            hidden = answer_windowed(model, batch.prompt, fused, batch.questions)
        return self._score(hidden, batch)

    def _score(
        self, hidden: torch.Tensor, batch: Batch
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        taught = batch.targets != IGNORED
        logits = self.model.lm_head(hidden[taught]).float()
        targets = batch.targets[taught]
        loss = functional.cross_entropy(logits, targets)
        questions = batch.questions
        wrong = torch.zeros_like(batch.targets)
        wrong[taught] = (logits.argmax(-1) != targets).long()
        wrong = torch.zeros_like(questions.steps).scatter_add_(
            1, questions.owners.clamp(min=0), wrong
        )
        metrics = {
            f'{batch.mode}_loss': loss,
            f'{batch.mode}_accuracy': (wrong[questions.steps >= 0] == 0).float().mean(),
        }
        if not self.training:
            metrics['logits'] = logits
        placed = batch.bearing != IGNORED
        if self._auxiliary:
            index = questions.decisions[..., None].expand(-1, -1, hidden.shape[-1])
            decision = hidden.gather(1, index)[placed]
            rest, count = self.rest(decision).float(), placed.sum().clamp(min=1)
            bearing, distance, visible = (
                loss_of(guess, right[placed], reduction='sum') / count
                for loss_of, guess, right in (
                    (functional.cross_entropy, self.bearing(decision).float(), batch.bearing),
                    (functional.smooth_l1_loss, rest[:, 0], batch.distance),
                    (functional.binary_cross_entropy_with_logits, rest[:, 1], batch.visible),
                )
            )
            metrics |= {'bearing': bearing, 'distance': distance}
            loss = loss + self._auxiliary * (bearing + distance + 0.3 * visible)
        return loss, metrics
