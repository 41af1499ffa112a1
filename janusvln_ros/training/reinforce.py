"""
Reinforcement: what a group of rollouts did is made likelier where it was better than the others.

GRPO (DeepSeekMath, arXiv 2402.03300), as VLN-R1 (arXiv 2506.17221) fine-tunes with it: the
advantage of a rollout is its reward less the group's mean, over the group's deviation; the ratio
of an action's probability to what it was when it was drawn is clipped; a KL penalty keeps the
network near to where it started. Letters in shapes as in `forward`: E rollouts, T frames, S
decisions, N tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import copy
from dataclasses import dataclass, fields, replace
from typing import Any

from janusvln_ros.actions import Action
from janusvln_ros.policy.decoding import AnswerTree
from janusvln_ros.policy.network.model import JanusModel
from janusvln_ros.policy.prompt import Prompt, PromptEncoder
from janusvln_ros.training.forward import answer_windowed, QuestionBatch
from janusvln_ros.training.loop import Network
import numpy as np
import torch
from torch.nn.attention import sdpa_kernel, SDPBackend

# A question at every frame makes rows that are too long for plain products, on a CPU as well.
_ATTENTION = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
NONE = -1  # target of a token behind which nothing is chosen


def advantages(rewards: np.ndarray, least_spread: float) -> np.ndarray:
    """
    Give how much better each rollout did than its group, of rewards (groups, rollouts).

    The same shape. NaN for a group whose rewards deviate by less than `least_spread`: it is left
    out.
    """
    spread = rewards.std(axis=1, keepdims=True)
    enough = spread >= max(least_spread, 1e-9)
    lead = rewards - rewards.mean(axis=1, keepdims=True)
    return np.where(enough, lead / np.where(enough, spread, 1.0), np.nan)


@dataclass(frozen=True)
class Decisions:
    """Some rollouts with their decisions, ready to be learned from."""

    fused: torch.Tensor  # (E, T, M, D), zeros behind a rollout's end
    questions: QuestionBatch
    targets: torch.Tensor  # int64 (E, N): the token that was chosen behind each, or NONE
    nodes: torch.Tensor  # int64 (E, N): the node of the tree at which it was
    advantage: torch.Tensor  # float32 (E)
    old: torch.Tensor  # float32 (E, S): log-probability of the action when it was drawn
    reference: torch.Tensor  # float32 (E, S): what it was at the start of the training
    weight: float  # of one decision in the loss
    prompt: Prompt
    facts: Mapping[str, float]  # of all rollouts of the round, to be logged

    def to(self, device: torch.device) -> Decisions:
        """Move to a device."""
        moved = {
            item.name: getattr(self, item.name).to(device)
            for item in fields(self)
            if isinstance(getattr(self, item.name), torch.Tensor | QuestionBatch)
        }
        return replace(self, **moved)


class Packing:
    """Puts rollouts' decisions into rows of tokens."""

    def __init__(self, encoder: PromptEncoder) -> None:
        self.tree = AnswerTree(encoder)
        self._paths = [self._path(encoder, action) for action in Action]

    def pack(
        self, suffixes: Sequence[tuple[int, ...]], actions: Sequence[Sequence[int]]
    ) -> tuple[QuestionBatch, torch.Tensor, torch.Tensor]:
        """
        Ask each rollout its instruction's suffix at every frame, and answer what it did.

        Returns questions, targets and nodes as of Decisions. Only choices are targets: where the
        tree leaves one token, that follows in any case.
        """
        if not actions:
            nothing = torch.zeros(0, 0, dtype=torch.long)
            return QuestionBatch(*[nothing] * 5), nothing, nothing
        rows = [
            [
                (step, suffix, tuple(token for _, token in self._paths[action][:-1]))
                for step, action in enumerate(taken)
            ]
            for suffix, taken in zip(suffixes, actions)
        ]
        questions = QuestionBatch.pack(rows)
        targets, nodes = (
            torch.full_like(questions.tokens, NONE),
            torch.zeros_like(questions.tokens),
        )
        for row, taken in enumerate(actions):
            for decision, action in zip(questions.decisions[row].tolist(), taken):
                for offset, (node, token) in enumerate(self._paths[action]):
                    if self._free(node) > 1:
                        targets[row, decision + offset] = token
                        nodes[row, decision + offset] = node
        return questions, targets, nodes

    def allowed(self, vocabulary: int) -> torch.Tensor:
        """Tell which tokens may follow each node of the tree: bool (1 + tree, vocabulary)."""
        table = torch.zeros(1 + len(self.tree.tokens), vocabulary, dtype=torch.bool)
        for node, children in enumerate(self.tree.children):
            table[node, list(children)] = True
            table[node, self.tree.end_of_turn] = node in self.tree.answers
        return table

    def _free(self, node: int) -> int:
        return len(self.tree.children[node]) + (node in self.tree.answers)

    def _path(self, encoder: PromptEncoder, action: Action) -> list[tuple[int, int]]:
        """Give an answer's (node, token that follows), with its end of turn."""
        node, path = 0, []
        for token in encoder.tokenizer.encode(action.name, add_special_tokens=False):
            path.append((node, token))
            node = self.tree.children[node][token]
        return [*path, (node, self.tree.end_of_turn)]


class ReinforceNetwork(Network):
    """A model whose language part learns from its rollouts; its encoders stay as they are."""

    def __init__(
        self,
        model: JanusModel,
        allowed: torch.Tensor,
        *,
        temperature: float,
        clip: float,
        kl: float,
    ) -> None:
        """Take what Packing.allowed gives, and temperature, clip and kl as of the stage."""
        super().__init__()
        self.model, self._temperature, self._clip, self._kl = model, temperature, clip, kl
        self._allowed = allowed
        model.requires_grad_(False)
        for part in (model.model, model.lm_head):
            part.requires_grad_(True)

    def groups(self) -> list[dict[str, Any]]:
        """Give the language part."""
        return [{'params': [p for p in self.model.parameters() if p.requires_grad]}]

    def twin(self) -> ReinforceNetwork:
        """Give a copy that will not learn; it shares the encoders."""
        shared = self.model.visual, self.model.vggt, self.model.merger
        return copy.deepcopy(self, {id(part): part for part in shared}).requires_grad_(False)

    def answers(self, batch: Decisions) -> tuple[torch.Tensor, torch.Tensor]:
        """Give log-probability and entropy of every decision, among the four: both (E, S)."""
        with sdpa_kernel(_ATTENTION):
            hidden = answer_windowed(self.model, batch.prompt, batch.fused, batch.questions)
        chosen = batch.targets != NONE
        logits = self.model.lm_head(hidden[chosen]).float() / self._temperature
        allowed = self._allowed.to(logits.device)[batch.nodes[chosen]]
        logs = logits.masked_fill(~allowed, -torch.inf).log_softmax(-1)
        taken = logs.gather(1, batch.targets[chosen][:, None])[:, 0]
        entropy = -(logs.exp() * logs.masked_fill(~allowed, 0.0)).sum(-1)
        owners = batch.questions.owners.clamp(min=0)
        taken, entropy = (
            torch.zeros_like(batch.old).scatter_add(
                1,
                owners,
                torch.zeros_like(batch.targets, dtype=torch.float32).masked_scatter(
                    chosen, values
                ),
            )
            for values in (taken, entropy)
        )
        return taken, entropy

    def forward(self, batch: Decisions) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Add up the clipped objective and the penalty (an unbiased estimate of the KL)."""
        batch = batch.to(self.model.device)
        facts = {name: torch.tensor(value) for name, value in batch.facts.items()}
        if not len(batch.fused):  # no group of the round has anything to teach
            return sum(p.sum() for p in self.groups()[0]['params']) * 0.0, facts
        taken, entropy = self.answers(batch)
        asked = batch.questions.steps >= 0
        ratio = (taken - batch.old).exp()
        lead = batch.advantage[:, None]
        limited = ratio.clamp(1 - self._clip, 1 + self._clip)
        gain = torch.minimum(ratio * lead, limited * lead)
        back = batch.reference - taken
        away = back.exp() - back - 1
        loss = ((self._kl * away - gain)[asked]).sum() * batch.weight
        clipped = (ratio * lead > limited * lead)[asked]
        return loss, {
            'kl': away[asked].mean(),
            'clipped': clipped.float().mean(),
            'entropy': entropy[asked].mean(),
            **facts,
        }
