"""
Decisions of many rollouts at once, in lockstep: what the policy does frame by frame, in a batch.

All rollouts of a batch have seen equally many frames, so that their memories are of one shape, and
only what is asked of them differs. They forget nothing: a rollout is as long as the window, in
which `windowed` remembers every frame. Letters in shapes: N rollouts, T frames, M tokens of an
image, Q tokens of a question with the tree of answers, V of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

from janusvln_ros.actions import Action
from janusvln_ros.policy.decoding import AnswerTree
from janusvln_ros.policy.network.fusion import fuse
from janusvln_ros.policy.network.language import Rotary
from janusvln_ros.policy.network.layers import rotate
from janusvln_ros.policy.network.model import JanusModel
from janusvln_ros.policy.preprocessing import Grid, Normalisation, PATCH
from janusvln_ros.policy.prompt import Prompt
from janusvln_ros.training.forward import encode_vision, merge_geometry, merge_vision
import numpy as np
import torch
from torch.nn import functional

_Pair = tuple[torch.Tensor, torch.Tensor]


class Encoders:
    """Both encoders with the memory of the geometric one."""

    def __init__(self, model: JanusModel) -> None:
        self._model, self._first = model, True
        self._memory: dict[int, _Pair] = {}  # of each global block, (N, heads, T P, head_dim)

    def __call__(self, frames: torch.Tensor) -> torch.Tensor:
        """Read the next frame of each, uint8 (N, h, w, 3): what the language model is given."""
        model = self._model
        grid = Grid(frames.shape[1] // PATCH, frames.shape[2] // PATCH)
        aggregator = model.vggt.aggregator
        colours = Normalisation(frames.device, model.config.vision)
        variant = torch.full((len(frames),), int(not self._first), device=frames.device)
        features = aggregator(
            colours.geometry(colours.pixels(frames)),
            aggregator.tables(*grid),
            aggregator.special(variant),
            self._attend,
        )[:, aggregator.config.num_special_tokens :]
        self._first = False
        semantics = merge_vision(model, encode_vision(model, frames[:, None]), *grid.vision)
        geometry = merge_geometry(model, features[:, None], *grid)
        return fuse(semantics, geometry, model.config.lam)[:, 0]  # (N, M, D)

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with some of the rollouts, by their places in the batch (n) int64."""
        self._memory = {block: (k[rows], v[rows]) for block, (k, v) in self._memory.items()}

    def _attend(
        self, block: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
    ) -> torch.Tensor:
        if block in self._memory:
            k, v = (torch.cat(pair, dim=2) for pair in zip(self._memory[block], (k, v)))
        self._memory[block] = k, v
        return functional.scaled_dot_product_attention(q, k, v)


class Answers:
    """The language model with its memory, asked for the same instructions at every frame."""

    def __init__(
        self,
        model: JanusModel,
        prompt: Prompt,
        suffixes: Sequence[tuple[int, ...]],
        tree: AnswerTree,
    ) -> None:
        """
        Lay out the questions: each suffix, and behind it the tree's tokens.

        prompt: whose prefix and marks are read. suffixes: of each rollout.
        """
        self._model, self._prompt, self._frames = model, prompt, 0
        self._rotary = Rotary(model.config.language, model.device)
        self._memory: dict[int, _Pair] = {}  # of each layer, (N, heads, context, head_dim)
        size = max(map(len, suffixes)) + len(tree.tokens)
        shape = len(suffixes), size
        self._tokens, self._offsets = (torch.zeros(shape, dtype=torch.long) for _ in range(2))
        # What is padding sees itself, so that no row of the mask is empty.
        self._own = torch.eye(size, dtype=torch.bool).repeat(len(suffixes), 1, 1)
        self._nodes = torch.zeros(len(suffixes), 1 + len(tree.tokens), dtype=torch.long)
        for row, suffix in enumerate(suffixes):
            end, last = len(suffix), len(suffix) + len(tree.tokens)
            self._tokens[row, :last] = torch.tensor((*suffix, *tree.tokens))
            self._offsets[row, :end] = torch.arange(end)
            self._offsets[row, end:last] = end + tree.depths
            self._own[row, :end, :end] = torch.ones(end, end, dtype=torch.bool).tril()
            self._own[row, end:last, :end] = True
            self._own[row, end:last, end:last] = tree.visible
            self._nodes[row] = torch.arange(end - 1, last)
        device = self._model.device
        for name in ('_tokens', '_offsets', '_own', '_nodes'):
            setattr(self, name, getattr(self, name).to(device))

    def __call__(self, fused: torch.Tensor) -> torch.Tensor:
        """Read the next frame (N, M, D) of each: logits (N, 1 + tree, V) of the tree's nodes."""
        model, prompt, device = self._model, self._prompt, fused.device
        embed = model.model.embed_tokens
        rows = len(fused)
        start, end = (
            embed(torch.tensor(mark, device=device)).expand(rows, 1, -1).to(fused.dtype)
            for mark in (prompt.block[0], prompt.block[-1])
        )
        parts = [start, fused, end, embed(self._tokens).to(fused.dtype)]
        at = len(prompt.prefix) + prompt.advance * self._frames
        positions = at + prompt.block_positions().to(device)
        if not self._frames:
            prefix = embed(torch.tensor(prompt.prefix, device=device))
            parts.insert(0, prefix.expand(rows, -1, -1).to(fused.dtype))
            told = torch.arange(len(prompt.prefix), device=device).expand(3, -1)
            positions = torch.cat((told, positions), dim=1)
        self._frames += 1
        self._fresh = self._rotary(positions)  # (new tokens of the context, head_dim / 2)
        asked = (at + prompt.advance + self._offsets).flatten().expand(3, -1)
        self._asked = tuple(
            part.view(rows, 1, self._offsets.shape[1], -1) for part in self._rotary(asked)
        )
        hidden = model.model(torch.cat(parts, dim=1), self._attend, read=self._tokens.shape[1])
        index = self._nodes[..., None].expand(-1, -1, hidden.shape[-1])
        return model.lm_head(hidden.gather(1, index)).float()

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with some of the rollouts, as Encoders.keep."""
        self._memory = {layer: (k[rows], v[rows]) for layer, (k, v) in self._memory.items()}
        for name in ('_tokens', '_offsets', '_own', '_nodes'):
            setattr(self, name, getattr(self, name)[rows])

    def _attend(
        self, layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
    ) -> torch.Tensor:
        fresh = q.shape[2] - self._tokens.shape[1]
        split = [fresh, self._tokens.shape[1]]
        (qc, qs), (kc, ks), (vc, vs) = (part.split(split, dim=2) for part in (q, k, v))
        qc, kc = rotate(qc, *self._fresh), rotate(kc, *self._fresh)
        qs, ks = rotate(qs, *self._asked), rotate(ks, *self._asked)
        if layer in self._memory:
            kc, vc = (torch.cat(pair, dim=2) for pair in zip(self._memory[layer], (kc, vc)))
        self._memory[layer] = kc, vc
        context, device = kc.shape[2], q.device
        seen = torch.ones(fresh, context, dtype=torch.bool, device=device)
        seen = seen.tril(context - fresh)  # of the new tokens of the context
        context_mask = functional.pad(seen, (0, ks.shape[2]))  # that see no question
        mask = torch.cat(
            (
                context_mask.expand(len(q), -1, -1),
                functional.pad(self._own, (context, 0), value=True),
            ),
            dim=1,
        )[:, None]
        groups = q.shape[1] // k.shape[1]
        keys, values = (
            torch.cat(parts, dim=2).repeat_interleave(groups, 1) for parts in ((kc, ks), (vc, vs))
        )
        queries = torch.cat((qc, qs), dim=2)
        return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)


def sample(
    tree: AnswerTree, logits: torch.Tensor, temperature: float, draws: np.ndarray
) -> list[Action]:
    """
    Draw an answer of each row, as `constrained` decoding chooses the likeliest.

    logits: (N, 1 + tree, V). draws: (N, deepest) from 0 to 1, one for every token that is chosen.
    """
    actions = []
    for row, numbers in zip(logits.cpu().double().numpy(), draws):
        node = 0
        for number in numbers:
            allowed = [*tree.children[node], *[tree.end_of_turn] * (node in tree.answers)]
            if len(allowed) == 1:
                token = allowed[0]
            else:
                scores = row[node, allowed] / temperature
                shares = np.exp(scores - scores.max()).cumsum()
                place = np.searchsorted(shares, number * shares[-1], side='right')
                token = allowed[min(int(place), len(allowed) - 1)]
            if token == tree.end_of_turn:
                break
            node = tree.children[node][token]
        actions.append(tree.answers[node])
    return actions
