"""
Whole episodes through the network at once, differentiably.

What `janusvln_ros.policy` computes frame by frame against its memories is computed here for all
frames of several episodes in one pass, by masks instead of memories; as long as the language
model's window has evicted nothing, the results are the same (spec of the windowed mode: a step's
logits equal those of one causal pass). Letters in shapes: E episodes, T frames, S supervised
steps, M tokens of an image, P geometry tokens of a frame, D hidden size.
"""

from __future__ import annotations

from dataclasses import dataclass

from janusvln_ros.policy.episode import history
from janusvln_ros.policy.fusion import fuse
from janusvln_ros.policy.language import Rotary
from janusvln_ros.policy.layers import rotate
from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.model import JanusModel
from janusvln_ros.policy.preprocessing import (
    GEOMETRY_MEAN,
    GEOMETRY_STD,
    PATCH,
    VISION_MEAN,
    VISION_STD,
)
from janusvln_ros.policy.prompt import Prompt
import torch
from torch.nn import functional


def vision_rows(frames: torch.Tensor) -> torch.Tensor:
    """
    Turn resized frames, uint8 (B, h, w, 3), into rows of the vision tower (B, patches, 3, 196).

    They are the tower's own rows (B, patches, 1176) before a frame is doubled in time.
    """
    pixels = _normalised(frames, VISION_MEAN, VISION_STD)
    rows, columns = (side // PATCH // 2 for side in pixels.shape[2:])
    pixels = pixels[:, :, :rows * 2 * PATCH, :columns * 2 * PATCH]
    patches = pixels.reshape(-1, 3, rows, 2, PATCH, columns, 2, PATCH)
    patches = patches.permute(0, 2, 5, 3, 6, 1, 4, 7)
    return patches.reshape(len(frames), rows * columns * 4, 3, PATCH ** 2)


def _normalised(frames: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]
                ) -> torch.Tensor:
    def column(values: tuple[float, ...]) -> torch.Tensor:
        return torch.tensor(values, device=frames.device).view(3, 1, 1)

    return (frames.permute(0, 3, 1, 2).float() / 255.0 - column(mean)) / column(std)


def see_patches(model: JanusModel, frames: torch.Tensor) -> torch.Tensor:
    """Encode semantics of resized frames, uint8 (E, T, h, w, 3), to patches (E, T, 4 M, C)."""
    height, width = frames.shape[2:4]
    tower = model.visual
    tables = tower.tables(height // PATCH // 2 * 2, width // PATCH // 2 * 2)
    rows = vision_rows(frames.flatten(0, 1)).flatten(2)
    # Both times show the same frame, so their weights add up: half the work.
    weight = tower.patch_embed['proj'].weight.sum(2).flatten(1)
    x = functional.linear(rows.to(weight.dtype), weight)
    x = x.unflatten(1, (-1, 4))[:, tables.order].flatten(1, 2)
    whole = ((1, x.shape[1]),)
    for index, block in enumerate(tower.blocks):
        full = index in tower.config.full_attention_blocks
        x = block(x, tables, whole if full else tables.windows)
    return x.unflatten(0, frames.shape[:2])


def merge_vision(model: JanusModel, patches: torch.Tensor, rows: int, columns: int
                 ) -> torch.Tensor:
    """Merge the patches (E, T, 4 M, C) of `see_patches`, in windows, to tokens (E, T, M, D)."""
    tables = model.visual.tables(rows, columns)
    tokens = model.visual.merger(patches.flatten(0, 1))[:, tables.restore]
    return tokens.unflatten(0, patches.shape[:2])


def window_mask(frames: int, initial: int, recent: int, device: torch.device) -> torch.Tensor:
    """Tell which frame (column) is remembered, or current, at which step (row): bool (T, T)."""
    step = torch.arange(frames, device=device)[:, None]
    frame = torch.arange(frames, device=device)[None]
    return (frame <= step) & ((frame < initial) | (frame >= step - recent))


def measure(model: JanusModel, frames: torch.Tensor, memory: MemoryConfig) -> torch.Tensor:
    """
    Encode geometry of resized frames, uint8 (E, T, h, w, 3), streaming: features (E, T, P0, 2C).

    Every frame sees the frames that its window remembers, as `Episode.see` computes it.
    """
    aggregator = model.vggt['aggregator']
    config = aggregator.config
    episodes, length, height, width = frames.shape[:4]
    tables = aggregator.tables(height // PATCH, width // PATCH)
    pixels = _normalised(frames.flatten(0, 1), GEOMETRY_MEAN, GEOMETRY_STD)
    patches = aggregator.patch_embed(pixels, tables.positions)  # (E T, P0, C)
    variant = torch.ones(length, dtype=torch.long, device=frames.device)
    variant[0] = 0
    special = torch.cat((aggregator.camera_token, aggregator.register_token), dim=2)[0, variant]
    special = special.expand(episodes, -1, -1, -1).flatten(0, 1)
    x = torch.cat((special, patches), dim=1)  # (E T, P, C)
    tokens = x.shape[1]
    mask = window_mask(length, memory.initial_frames, memory.recent_frames, frames.device)
    mask = mask.repeat_interleave(tokens, 0).repeat_interleave(tokens, 1)

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        q, k, v = (part.unflatten(0, (episodes, length)).transpose(1, 2).flatten(2, 3)
                   for part in (q, k, v))  # (E, heads, T P, head_dim)
        output = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return output.unflatten(2, (length, tokens)).transpose(1, 2).flatten(0, 1)

    for index in range(config.num_used_blocks):
        within = aggregator.frame_blocks[index](x, tables)
        x = aggregator.global_blocks[index](within, tables, attend)
    features = torch.cat((within, x), dim=-1)[:, config.num_special_tokens:]
    return features.unflatten(0, (episodes, length))


def merge(model: JanusModel, features: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Merge geometry features (E, T, P0, 2C) to tokens of the language model (E, T, M, D)."""
    return model.merger(features.flatten(0, 1), rows, columns).unflatten(0, features.shape[:2])


@dataclass(frozen=True)
class Questions:
    """
    What is asked of some episodes, and after which frames.

    steps: (E, S) int64, the frame after which it is asked, -1 where nothing is. tokens: (E, S, s)
    int64, suffix and answer, padded at the end. lengths: (E, S) int64, of the suffix alone.
    """

    steps: torch.Tensor
    tokens: torch.Tensor
    lengths: torch.Tensor

    def to(self, device: torch.device) -> Questions:
        """Move to a device."""
        return Questions(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


class _WindowedAttention:
    """Attention of prefix and blocks among themselves, and of every suffix to what it may see."""

    def __init__(self, rotary: Rotary, prompt: Prompt, frames: int, questions: Questions) -> None:
        device = questions.steps.device
        self.prefix, self.block = len(prompt.prefix), len(prompt.block)
        self.context = self.prefix + frames * self.block
        starts = self.prefix + prompt.advance * torch.arange(frames, device=device)
        block = prompt.block_positions().to(device)
        positions = torch.cat((
            torch.arange(self.prefix, device=device).expand(3, -1),
            (starts[None, :, None] + block[:, None]).flatten(1)), dim=1)
        self.context_rotation = rotary(positions)  # (context, head_dim / 2)
        episodes, asked, length = questions.tokens.shape
        self.shape = asked, length
        step = questions.steps.clamp(min=0)
        first = self.prefix + prompt.advance * (step + 1)  # (E, S)
        positions = first[..., None] + torch.arange(length, device=device)
        cos, sin = rotary(positions.flatten().expand(3, -1))
        self.suffix_rotation = tuple(part.view(episodes, 1, asked * length, -1)
                                     for part in (cos, sin))
        end = self.prefix + self.block * (step + 1)  # (E, S)
        seen = torch.arange(self.context, device=device) < end[..., None]  # (E, S, context)
        own = torch.ones(length, length, dtype=torch.bool, device=device).tril()
        mask = torch.cat((seen[:, :, None].expand(-1, -1, length, -1),
                          own.expand(episodes, asked, -1, -1)), dim=-1)
        self.bias = torch.zeros(mask.shape, device=device).masked_fill_(~mask, -torch.inf)

    def __call__(self, layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
                 ) -> torch.Tensor:
        split = [self.context, q.shape[2] - self.context]
        (qc, qs), (kc, ks), (vc, vs) = (part.split(split, dim=2) for part in (q, k, v))
        qc, kc = rotate(qc, *self.context_rotation), rotate(kc, *self.context_rotation)
        context = functional.scaled_dot_product_attention(
            qc, kc, vc, is_causal=True, enable_gqa=True)
        qs, ks = rotate(qs, *self.suffix_rotation), rotate(ks, *self.suffix_rotation)
        asked, length = self.shape
        episodes, heads, _, dim = qs.shape
        groups = heads // ks.shape[1]
        qs = qs.unflatten(1, (-1, groups)) * dim ** -0.5  # (E, kv heads, groups, S s, dim)
        to_context = torch.matmul(qs.flatten(2, 3), kc.transpose(2, 3))
        to_context = to_context.view(episodes, -1, groups, asked, length, self.context)
        qs = qs.unflatten(3, (asked, length))
        ks, vs = (part.view(episodes, -1, 1, asked, length, dim) for part in (ks, vs))
        scores = torch.cat((to_context, torch.matmul(qs, ks.transpose(-1, -2))), dim=-1)
        weights = (scores.float() + self.bias[:, None, None]).softmax(-1).to(v.dtype)
        to_context, to_own = weights.split([self.context, length], dim=-1)
        to_context = to_context.reshape(episodes, -1, groups * asked * length, self.context)
        output = torch.matmul(to_context, vc).view(episodes, -1, groups, asked, length, dim)
        output = (output + torch.matmul(to_own, vs)).flatten(1, 2).flatten(2, 3)
        return torch.cat((context, output), dim=2)


def answer_windowed(model: JanusModel, prompt: Prompt, fused: torch.Tensor, questions: Questions
                    ) -> torch.Tensor:
    """
    Ask all questions against the memory of the `windowed` mode.

    fused: (E, T, M, D), each frame's semantics with its own geometry. Only the ids of prefix and
    marks are read from `prompt`. Returns final hidden states (E, S, s, D) of suffix and answer.
    """
    episodes, frames = fused.shape[:2]
    embed = model.model.embed_tokens
    device = fused.device
    prefix = embed(torch.tensor(prompt.prefix, device=device)).expand(episodes, -1, -1)
    marks = embed(torch.tensor((prompt.block[0], prompt.block[-1]), device=device))
    start, end = marks[:, None].expand(-1, episodes * frames, -1).view(
        2, episodes, frames, 1, -1).to(fused.dtype)
    blocks = torch.cat((start, fused, end), dim=2).flatten(1, 2)
    suffixes = embed(questions.tokens)
    x = torch.cat((prefix.to(fused.dtype), blocks, suffixes.flatten(1, 2).to(fused.dtype)), dim=1)
    attend = _WindowedAttention(Rotary(model.config.language, device), prompt, frames, questions)
    hidden = model.model(x, attend, read=suffixes.shape[1] * suffixes.shape[2])
    return hidden.view(suffixes.shape)


class _SampledAttention:
    """Causal attention over prompts that are padded at the end, each with its own positions."""

    def __init__(self, rotary: Rotary, positions: torch.Tensor) -> None:
        prompts, _, length = positions.shape
        cos, sin = rotary(positions.transpose(0, 1).flatten(1))
        self.rotation = tuple(part.view(prompts, 1, length, -1) for part in (cos, sin))

    def __call__(self, layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
                 ) -> torch.Tensor:
        return functional.scaled_dot_product_attention(
            rotate(q, *self.rotation), rotate(k, *self.rotation), v, is_causal=True,
            enable_gqa=True)


def answer_sampled(model: JanusModel, prompt: Prompt, semantics: torch.Tensor,
                   geometry: torch.Tensor, questions: Questions, frames: int) -> torch.Tensor:
    """
    Ask all questions as the `sampled` mode does.

    semantics, geometry: (E, T, M, D); frames: of the history at most. Returns final hidden states
    (E, S, s, D) of suffix and answer, as `answer_windowed`.
    """
    device = semantics.device
    embed = model.model.embed_tokens
    rotary = Rotary(model.config.language, device)
    prefix = embed(torch.tensor(prompt.prefix, device=device)).to(semantics.dtype)
    marks = embed(torch.tensor((prompt.block[0], prompt.block[-1]), device=device))
    marks = marks.to(semantics.dtype)
    episodes, asked, length = questions.tokens.shape
    most = len(prompt.prefix) + (frames + 1) * len(prompt.block) + length
    sequences, positions, starts = [], [], []
    block_positions = prompt.block_positions().to(device)
    for episode, steps in enumerate(questions.steps.clamp(min=0).tolist()):
        for ask, step in enumerate(steps):
            numbers = history(step, frames)
            images = fuse(semantics[episode, numbers], geometry[episode, step],
                          model.config.lam)
            count = len(numbers)
            blocks = torch.cat((marks[:1].expand(count, 1, -1), images,
                                marks[1:].expand(count, 1, -1)), dim=1).flatten(0, 1)
            suffix = embed(questions.tokens[episode, ask]).to(semantics.dtype)
            sequence = torch.cat((prefix, blocks, suffix))
            offsets = len(prefix) + prompt.advance * torch.arange(count + 1, device=device)
            position = torch.cat((
                torch.arange(len(prefix), device=device).expand(3, -1),
                (offsets[None, :-1, None] + block_positions[:, None]).flatten(1),
                (offsets[-1] + torch.arange(length, device=device)).expand(3, -1)), dim=1)
            gap = most - len(sequence)
            sequences.append(functional.pad(sequence, (0, 0, 0, gap)))
            positions.append(functional.pad(position, (0, gap)))
            starts.append(len(sequence) - length)
    attend = _SampledAttention(rotary, torch.stack(positions))
    hidden = model.model(torch.stack(sequences), attend)
    index = torch.tensor(starts, device=device)[:, None] + torch.arange(length, device=device)
    hidden = hidden.gather(1, index[..., None].expand(-1, -1, hidden.shape[-1]))
    return hidden.unflatten(0, (episodes, asked))
