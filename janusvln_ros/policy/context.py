"""
An episode's state, and what a step of each memory mode does with it.

`SampledContext` is the released model: every step reads the whole prompt of sampled frames anew,
with the current geometry on all of them. `WindowedContext` is the paper's dual memory: a step
reads the new frame's block and the instruction against remembered keys and values.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from janusvln_ros.policy.attention import attend_to_frames, MemoryAttention, remember_frame
from janusvln_ros.policy.decoding import AnswerTree, MAX_NEW_TOKENS
from janusvln_ros.policy.graphs import StepGraphs
from janusvln_ros.policy.memory import FeatureMemory, KeyValueMemory, MemoryConfig
from janusvln_ros.policy.network.fusion import fuse
from janusvln_ros.policy.network.geometry import GeometryTables
from janusvln_ros.policy.network.heads import HeadTables, Levels
from janusvln_ros.policy.network.language import Rotary
from janusvln_ros.policy.network.model import JanusModel
from janusvln_ros.policy.network.semantics import VisionTables
from janusvln_ros.policy.preprocessing import Grid, Normalisation
from janusvln_ros.policy.prompt import Prompt
from janusvln_ros.policy.pruning import kept_tokens, TokenPruner, VoxelPruner
from janusvln_ros.policy.wording import history
import numpy as np
import torch

SCRATCH_STEP = 128  # tokens


class FrameTables(NamedTuple):
    """What both encoders need to know of a frame size; made once, shared by episodes."""

    frame_size: tuple[int, int]  # (width, height) in pixels
    grid: Grid
    geometry: GeometryTables
    vision: VisionTables
    heads: HeadTables | None  # where the model has any
    colours: Normalisation

    @classmethod
    def of(cls, model: JanusModel, frame_size: tuple[int, int], grid: Grid) -> FrameTables:
        """Make the tables for frames of `frame_size`, of which `grid` are the patches."""
        return cls(
            frame_size,
            grid,
            model.vggt.aggregator.tables(*grid),
            model.visual.tables(*grid.vision),
            HeadTables(model.config.geometry, *grid, model.device) if model.heads else None,
            Normalisation(model.device, model.config.vision),
        )


def geometry_memory(model: JanusModel, grid: Grid, config: MemoryConfig) -> KeyValueMemory:
    """Allocate the geometry encoder's memory, on the model's device."""
    geometry = model.config.geometry
    return KeyValueMemory(
        layers=geometry.depth if model.heads else geometry.num_used_blocks,
        heads=geometry.num_heads,
        head_dim=geometry.embed_dim // geometry.num_heads,
        frame_tokens=geometry.num_special_tokens + grid.rows * grid.columns,
        initial=config.initial_frames,
        recent=config.recent_frames,
        dtype=model.dtype,
        device=model.device,
    )


def head_levels(model: JanusModel, grid: Grid) -> Levels | None:
    """Allocate what the dense heads read of a frame; None where there are none."""
    tokens = model.config.geometry.num_special_tokens + grid.rows * grid.columns
    return Levels(model.config.geometry, tokens, model.device) if model.heads else None


def scratch_tokens(prompt: Prompt, config: MemoryConfig, answer_tokens: int) -> int:
    """Tokens of a step that are not kept; rounded up, so that most instructions need as many."""
    tokens = len(prompt.suffix)
    if config.mode == 'sampled':
        tokens = len(prompt.ids(config.history_frames + 1))
    return -(-(tokens + answer_tokens + MAX_NEW_TOKENS) // SCRATCH_STEP) * SCRATCH_STEP


def language_memory(
    model: JanusModel, prompt: Prompt, config: MemoryConfig, answer_tokens: int
) -> KeyValueMemory:
    """Allocate the language model's memory; in `sampled` mode nothing in it outlasts a step."""
    language = model.config.language
    layout = {'scratch': scratch_tokens(prompt, config, answer_tokens)}
    if config.mode == 'windowed':
        layout |= {
            'frame_tokens': len(prompt.block),
            'initial': config.initial_frames,
            'recent': config.recent_frames,
            'whole': config.whole_frames if config.prunes else config.recent_frames,
            'aged_tokens': kept_tokens(prompt.grid.tokens, config.kept_fraction),
            'pinned': len(prompt.prefix),
        }
    return KeyValueMemory(
        layers=language.num_layers,
        heads=language.num_key_value_heads,
        head_dim=language.head_dim,
        movable=config.mode == 'windowed',
        dtype=model.dtype,
        device=model.device,
        **layout,
    )


class Context:
    """What both modes have in common."""

    def __init__(
        self,
        model: JanusModel,
        prompt: Prompt,
        tree: AnswerTree,
        tables: FrameTables,
        geometry: KeyValueMemory,
        language: KeyValueMemory,
        memory: MemoryConfig,
        graphs: StepGraphs,
        levels: Levels | None = None,
    ) -> None:
        """
        Begin an episode in the given storage, whose contents are forgotten.

        Storage, tables and graphs belong together and outlive the episode.
        """
        self.model, self.prompt, self.tables, self.config = model, prompt, tables, memory
        self.geometry, self.language, self._graphs = geometry, language, graphs
        self._levels = levels
        geometry.clear()
        language.clear()
        self.step = 0
        self.positions: torch.Tensor  # (3, L) of the latest prompt, from `prefill` on
        self._said = self._prompt_tokens = self._next_position = 0
        self._gap: tuple[torch.Tensor, ...] = ()  # rotation by which the anchors' turn has grown
        config = model.config.language
        self._group = config.num_heads // config.num_key_value_heads
        self._rotary = Rotary(config, model.device)
        self._prefix = self._embed(prompt.prefix)
        self._marks = self._embed((prompt.block[0], prompt.block[-1]))
        self._tail = self._embed((*prompt.suffix, *tree.tokens))
        self._depths = tree.depths.to(model.device)
        self._branches = tree.visible.to(model.device)

    @property
    def nbytes(self) -> int:
        """Bytes of everything that is remembered."""
        levels = self._levels.nbytes if self._levels else 0
        return self.geometry.nbytes + self.language.nbytes + levels

    def encode_geometry(self, image: torch.Tensor) -> torch.Tensor:
        """
        Encode geometry against the remembered frames (paper, section 3.2).

        image: (1, h, w, 3) uint8, resized. Returns merged tokens (1, M, hidden), not yet weighted.
        """
        return self._graphs.run('geometry', self.geometry.end, self._encode_geometry, image)

    def _encode_geometry(self, image: torch.Tensor) -> torch.Tensor:
        aggregator = self.model.vggt.aggregator
        special = aggregator.special(0 if self.geometry.seen == 0 else 1)
        attend = partial(attend_to_frames, self.geometry)
        colours = self.tables.colours
        pixels = colours.geometry(colours.pixels(image))
        keep = self._levels.keep if self._levels is not None else None
        features = aggregator(pixels, self.tables.geometry, special, attend, keep)
        if self._levels is not None:
            self._last_pair(self._levels, remember_frame)
        patches = features[:, self.model.config.geometry.num_special_tokens :]
        return self.model.merger(patches.unflatten(1, self.tables.grid))

    def _last_pair(self, levels: Levels, attend: Callable[..., torch.Tensor]) -> torch.Tensor:
        """Run the blocks that only the dense heads read: (1, P, 2C)."""
        last = self.model.config.geometry.depth - 1
        attend = partial(attend, self.geometry)
        pair = self.model.vggt.aggregator.pair(last, levels.stream, self.tables.geometry, attend)
        return torch.cat(pair, dim=-1)

    def predict_geometry(self) -> torch.Tensor:
        """
        Run the dense heads on the frame that was encoded last; before `commit`.

        Returns the channels of all heads (n, H, W) float32, in the order of `heads.HEADS`.
        """
        return self._graphs.run('heads', self.geometry.end, self._predict_geometry)

    def _predict_geometry(self) -> torch.Tensor:
        assert self._levels is not None  # as there are heads
        special = self.model.config.geometry.num_special_tokens
        levels = self._levels.with_last(self._last_pair(self._levels, attend_to_frames))
        patches = [tokens[:, special:] for tokens in levels]
        heads = self.model.heads.values()
        return torch.cat([head(patches, self.tables.heads)[0] for head in heads])

    def encode_vision(self, images: torch.Tensor) -> torch.Tensor:
        """Encode semantics of frames (N, h, w, 3) uint8, resized: tokens (N, M, hidden)."""
        return self._graphs.run('vision', None, self._encode_vision, images)

    def _encode_vision(self, images: torch.Tensor) -> torch.Tensor:
        colours = self.tables.colours
        rows = colours.vision(colours.pixels(images))
        return self.model.visual(rows, self.tables.vision)

    def prefill(self, semantics: torch.Tensor, geometry: torch.Tensor) -> torch.Tensor:
        """
        Read the frame's semantics and geometry, each (1, M, hidden).

        Returns the logits (1 + tree, vocab) in float32 behind the prompt and behind every token of
        the answers.
        """
        raise NotImplementedError

    def decode(self, tokens: list[int]) -> torch.Tensor:
        """Return the logits (vocab,) behind an answer that has left the tree, token by token."""
        new = tokens[self._said :]
        positions = (self._next_position + self._said + torch.arange(len(new))).expand(3, -1)
        rotation, offset = self._rotary(positions), self._prompt_tokens + self._said
        attend = MemoryAttention(self.language, rotation, self._group, offset=offset)
        self._said = len(tokens)
        return self.model.lm_head(self.model.model(self._embed(new), attend, read=1))[0, 0].float()

    def pretend_full(self) -> None:
        """Let the next step be as those of a full window, whatever is in it, to be recorded."""
        self.geometry.seen, self.language.seen = self.geometry.capacity, self.language.capacity

    def commit(self, points: np.ndarray | None = None) -> None:
        """
        End a step: the frame is remembered, suffix and answer are not.

        Until then nothing has changed: a step that failed can be repeated. points: (H, W, 3),
        what the pixels show, where memory is pruned by that.
        """
        self.geometry.commit()
        self.step += 1

    def _embed(self, tokens: tuple[int, ...] | list[int]) -> torch.Tensor:
        table = self.model.model.embed_tokens  # may lie in host memory
        return table(torch.tensor(tokens, device=table.weight.device))[None].to(self.model.device)

    def _blocks(self, fused: torch.Tensor) -> torch.Tensor:
        """Put the marks around images (N, M, hidden): one sequence (1, N * block, hidden)."""
        start, end = self._marks.expand(len(fused), -1, -1).split(1, dim=1)
        return torch.cat((start, fused, end), dim=1).flatten(0, 1)[None]

    def _read(self, next_position: int, *embeddings: torch.Tensor) -> torch.Tensor:
        """
        Run the language model over tokens at `positions` and the tree behind; see `prefill`.

        next_position: the first one behind the prompt, where the tree's begin.
        """
        self._said, self._prompt_tokens = 0, self.positions.shape[1]
        self._next_position = next_position
        tree = (next_position + self._depths).expand(3, -1)
        return self._graphs.run(
            'language',
            self.language.end,
            self._answer,
            torch.cat(embeddings, dim=1),
            self._branches,
            *self._rotary(torch.cat((self.positions, tree), dim=1)),
            *self._gap,
        )

    def _answer(
        self, x: torch.Tensor, branches: torch.Tensor, *turns: torch.Tensor
    ) -> torch.Tensor:
        if turns[2:]:
            self.language.move_anchors(*turns[2:])
        attend = MemoryAttention(self.language, (turns[0], turns[1]), self._group, branches)
        hidden = self.model.model(x, attend, read=1 + len(branches))
        return self.model.lm_head(hidden)[0].float()


class SampledContext(Context):
    """Semantics of evenly sampled frames, read anew at each step (the released model)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.features = FeatureMemory(self.config.resident_frames, self.model.device)
        self._positions: dict[int, torch.Tensor] = {}  # by number of images

    def pretend_full(self) -> None:
        super().pretend_full()
        tokens = self._prefix.new_zeros(self.prompt.grid.tokens, self._prefix.shape[2])
        self.step = self.config.history_frames
        for frame in range(self.step):
            self.features.keep(frame, tokens)

    @property
    def nbytes(self) -> int:
        return super().nbytes + self.features.nbytes

    def prefill(self, semantics: torch.Tensor, geometry: torch.Tensor) -> torch.Tensor:
        self.features.keep(self.step, semantics[0])
        images = self.features.gather(history(self.step, self.config.history_frames))
        if len(images) not in self._positions:
            positions = self.prompt.positions(len(images))
            self._positions[len(images)] = positions.to(self.model.device)
        self.positions = self._positions[len(images)]
        text = len(self.prompt.prefix) + len(self.prompt.suffix)
        next_position = text + len(images) * self.prompt.advance
        fused = fuse(images, geometry, self.model.config.lam)
        return self._read(next_position, self._prefix, self._blocks(fused), self._tail)


class WindowedContext(Context):
    """
    Keys and values of the initial and the latest frames (paper, section 3.3).

    Positions are those of the retained frames in one sequence, shifted as a whole, which attention
    does not see: the window stays where it is, and the pinned and initial keys move up over the
    gap of the evicted frames.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        prompt, config, model = self.prompt, self.config, self.model
        suffix = (prompt.advance + torch.arange(len(prompt.suffix))).expand(3, -1)
        relative = torch.cat((prompt.block_positions(), suffix), dim=1)
        self._relative = relative.to(model.device)  # (3, block + suffix), from the block's start
        self._start = torch.arange(len(prompt.prefix), device=model.device).expand(3, -1)
        self._pruner: TokenPruner | VoxelPruner | None = None
        if config.prunes:
            kept = kept_tokens(prompt.grid.tokens, config.kept_fraction)
            hidden, newest = model.config.language.hidden_size, config.whole_frames
            self._pruner = (
                VoxelPruner(newest, kept, prompt.grid, model.device)
                if config.needs_places
                else TokenPruner(
                    newest, kept, prompt.grid.tokens, hidden, model.dtype, model.device
                )
            )

    @property
    def nbytes(self) -> int:
        return super().nbytes + (self._pruner.nbytes if self._pruner else 0)

    def prefill(self, semantics: torch.Tensor, geometry: torch.Tensor) -> torch.Tensor:
        prompt, memory = self.prompt, self.language
        self._fused = fuse(semantics, geometry, self.model.config.lam)
        embeddings = [self._blocks(self._fused), self._tail]
        block = len(prompt.prefix) + self.step * prompt.advance
        self.positions = self._relative + block
        if memory.seen == 0:
            embeddings.insert(0, self._prefix)
            self.positions = torch.cat((self._start, self.positions), dim=1)
        if memory.seen >= memory.capacity:
            turn = memory.evicted * prompt.advance
            self._gap = self._rotary(torch.full((3, 1), turn, device=self.model.device))
        return self._read(block + prompt.advance + len(prompt.suffix), *embeddings)

    def commit(self, points: np.ndarray | None = None) -> None:
        kept = None
        if isinstance(self._pruner, VoxelPruner):
            assert points is not None
            kept = self._pruner.observe(self.step, points)
        elif self._pruner:
            kept = self._pruner.observe(self.step, self._fused[0])
        self.language.commit(kept)
        super().commit()
