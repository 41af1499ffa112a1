"""
An episode's state, and what a step of each memory mode does with it.

`SampledEpisode` is the released model: every step reads the whole prompt of sampled frames anew, with the current
geometry on all of them. `WindowedEpisode` is the paper's dual memory: a step reads the new frame's block and the
instruction against remembered keys and values.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from janusvln_ros.policy.decoding import AnswerTree, MAX_NEW_TOKENS
from janusvln_ros.policy.fusion import fuse
from janusvln_ros.policy.geometry import GeometryTables
from janusvln_ros.policy.language import MemoryAttention, Rotary
from janusvln_ros.policy.memory import FeatureMemory, KeyValueMemory, MemoryConfig
from janusvln_ros.policy.model import JanusModel
from janusvln_ros.policy.preprocessing import Grid
from janusvln_ros.policy.prompt import Prompt
from janusvln_ros.policy.semantics import VisionTables


def history(step: int, frames: int) -> list[int]:
    """Numbers of the frames in the prompt at a step: evenly sampled past ones, at most `frames`, and the current."""
    if step <= frames:
        return list(range(step + 1))
    return np.linspace(0, step, frames + 1, dtype=int).tolist()


class FrameTables:
    """What both encoders need to know of a frame size; made once, shared by episodes."""

    def __init__(self, model: JanusModel, frame_size: tuple[int, int], grid: Grid) -> None:
        self.frame_size = frame_size  # (width, height) in pixels
        self.grid = grid
        self.geometry: GeometryTables = model.vggt['aggregator'].tables(*grid)
        self.vision: VisionTables = model.visual.tables(*grid.vision)


def geometry_memory(model: JanusModel, grid: Grid, config: MemoryConfig) -> KeyValueMemory:
    """Allocate the geometry encoder's memory."""
    geometry = model.config.geometry
    return KeyValueMemory(
        layers=geometry.num_used_blocks, heads=geometry.num_heads,
        head_dim=geometry.embed_dim // geometry.num_heads,
        frame_tokens=geometry.num_special_tokens + grid.rows * grid.columns,
        initial=config.initial_frames, recent=config.recent_frames, dtype=model.dtype, device=model.device)


def language_memory(model: JanusModel, prompt: Prompt, config: MemoryConfig, answer_tokens: int) -> KeyValueMemory:
    """Allocate the language model's memory for a mode; in `sampled` mode it lasts for one step only."""
    language = model.config.language
    extra = answer_tokens + MAX_NEW_TOKENS
    if config.mode == 'sampled':
        layout = {'scratch': len(prompt.ids(config.history_frames + 1)) + extra}
    else:
        layout = {'frame_tokens': len(prompt.block), 'initial': config.initial_frames,
                  'recent': config.recent_frames, 'pinned': len(prompt.prefix),
                  'scratch': len(prompt.suffix) + extra, 'movable': True}
    return KeyValueMemory(layers=language.num_layers, heads=language.num_key_value_heads,
                          head_dim=language.head_dim, dtype=model.dtype, device=model.device, **layout)


class Episode:
    """State common to both modes."""

    def __init__(self, model: JanusModel, prompt: Prompt, tree: AnswerTree, tables: FrameTables,
                 geometry: KeyValueMemory, language: KeyValueMemory) -> None:
        """Begin an episode in the given storage, whose contents are forgotten."""
        self.model, self.prompt, self.tree, self.tables = model, prompt, tree, tables
        self.geometry, self.language = geometry, language
        geometry.clear()
        language.clear()
        self.rotary = Rotary(model.config.language, model.device)
        self.step = 0
        self.ids: torch.Tensor | None = None  # (L) of the latest prompt
        self.positions: torch.Tensor | None = None  # (3, L) of the latest prompt
        self._embed = model.model.embed_tokens
        self._prefix = self._embedding(prompt.prefix)
        self._marks = self._embedding((prompt.block[0], prompt.block[-1]))
        self._tail = self._embedding((*prompt.suffix, *tree.tokens))

    def _embedding(self, tokens: tuple[int, ...]) -> torch.Tensor:
        return self._embed(torch.tensor(tokens, device=self.model.device))[None]  # (1, tokens, hidden)

    def see(self, pixels: torch.Tensor) -> torch.Tensor:
        """
        Encode the frame's geometry against the remembered frames, and remember it.

        pixels: (1, 3, h, w), normalised. Returns the merged tokens (1, M, hidden), not yet weighted.
        """
        memory = self.geometry

        def attend(block: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            return functional.scaled_dot_product_attention(q, *memory.extend(block, k, v))

        features = self.model.vggt['aggregator'](pixels, self.tables.geometry, memory.seen == 0, attend)
        memory.commit()
        patches = features[:, self.model.config.geometry.num_special_tokens:]
        return self.model.merger(patches, *self.tables.grid)

    def _blocks(self, fused: torch.Tensor) -> torch.Tensor:
        """Put the marks around images (N, M, hidden): one sequence (1, N * block, hidden)."""
        start, end = self._marks.expand(len(fused), -1, -1).split(1, dim=1)
        return torch.cat((start, fused, end), dim=1).flatten(0, 1)[None]

    def _forward(self, embeddings: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Run the language model over new tokens and the tree behind them; logits (1 + tree, vocab), float32."""
        positions = torch.cat((positions, (positions[0, -1] + 1 + self.tree.depths).expand(3, -1)), dim=1)
        attend = MemoryAttention(self.language, self.rotary(positions), self.tree.visible)
        hidden = self.model.model(embeddings, attend, read=1 + len(self.tree.tokens))
        self._answer = embeddings.shape[1] - len(self.tree.tokens), int(positions[0, -len(self.tree.tokens)])
        return self.model.lm_head(hidden)[0].float()

    def proceed(self, tokens: list[int]) -> torch.Tensor:
        """Return the logits (vocab,) after the tokens of an answer that has left the tree."""
        offset, position = self._answer
        known = 0 if not self._said or tokens[:len(self._said)] != self._said else len(self._said)
        new = tokens[known:]
        positions = (position + torch.arange(known, len(tokens))).expand(3, -1)
        attend = MemoryAttention(self.language, self.rotary(positions), offset=offset + known)
        self._said = list(tokens)
        hidden = self.model.model(self._embedding(tuple(new)), attend, read=1)
        return self.model.lm_head(hidden)[0, 0].float()

    def finish(self) -> None:
        """End a step: the new frame is remembered, the suffix and the answer are forgotten."""
        self._said = []
        self.step += 1


class SampledEpisode(Episode):
    """Semantics of evenly sampled frames, read anew at each step (the released model)."""

    def __init__(self, *args, memory: MemoryConfig) -> None:
        super().__init__(*args)
        self._frames = memory.history_frames
        self.features = FeatureMemory(memory.resident_frames, self.model.device)
        self._said = []

    @property
    def nbytes(self) -> int:
        """Bytes of everything that is remembered."""
        return self.geometry.nbytes + self.language.nbytes + self.features.nbytes

    def decide(self, semantics: torch.Tensor, geometry: torch.Tensor) -> torch.Tensor:
        """Read the prompt with the frame's semantics and geometry (1, M, hidden): logits (1 + tree, vocab)."""
        self.features.append(semantics[0])
        images = self.features.gather(history(self.step, self._frames))
        fused = fuse(images, geometry, self.model.config.lam)
        self.ids, self.positions = self.prompt.ids(len(images)), self.prompt.positions(len(images))
        return self._forward(torch.cat((self._prefix, self._blocks(fused), self._tail), dim=1), self.positions)


class WindowedEpisode(Episode):
    """Keys and values of the initial and the latest frames (paper, section 3.3)."""

    def __init__(self, *args, memory: MemoryConfig) -> None:
        super().__init__(*args)
        self._said = []

    @property
    def nbytes(self) -> int:
        """Bytes of everything that is remembered."""
        return self.geometry.nbytes + self.language.nbytes

    def decide(self, semantics: torch.Tensor, geometry: torch.Tensor) -> torch.Tensor:
        """
        Read the frame's block, with its own geometry, then the suffix: logits (1 + tree, vocab).

        Positions are those of the retained frames in one sequence, shifted as a whole: the window stays where it
        is, and instead of it the pinned and initial keys move up over the gap of the evicted frames.
        """
        prompt, memory = self.prompt, self.language
        fused = fuse(semantics, geometry, self.model.config.lam)
        parts, starts = [self._blocks(fused), self._tail], []
        start = len(prompt.prefix) + self.step * prompt.advance
        if memory.seen == 0:
            parts.insert(0, self._prefix)
            starts.append(torch.arange(len(prompt.prefix)).expand(3, -1))
        starts.append(start + prompt.block_positions())
        starts.append(start + prompt.advance + torch.arange(len(prompt.suffix)).expand(3, -1))
        self.positions = torch.cat(starts, dim=1)
        if memory.evicted:
            turn = self.rotary(torch.full((3, 1), memory.evicted * prompt.advance))
            memory.move_anchors(*turn)
        return self._forward(torch.cat(parts, dim=1), self.positions)

    def finish(self) -> None:
        self.language.commit()
        super().finish()
