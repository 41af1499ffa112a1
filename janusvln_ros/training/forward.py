"""
Whole episodes through the network at once, differentiably.

What `janusvln_ros.policy` computes frame by frame against its memories is computed here for all
frames of several episodes in one pass, by masks instead of memories; as long as the language
model's window has evicted nothing, the results are the same (spec of the windowed mode: a step's
logits equal those of one causal pass). Letters in shapes: E episodes, T frames, S questions, N
tokens of an episode's questions, M tokens of an image, P geometry tokens of a frame, D hidden
size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.network.fusion import fuse
from janusvln_ros.policy.network.geometry import Attend, GeometryTables, Keep
from janusvln_ros.policy.network.language import Rotary
from janusvln_ros.policy.network.layers import rotate
from janusvln_ros.policy.network.model import JanusModel
from janusvln_ros.policy.preprocessing import Grid, Normalisation, PATCH
from janusvln_ros.policy.prompt import Prompt
from janusvln_ros.policy.wording import history
import torch
from torch.nn import functional


def encode_vision(model: JanusModel, frames: torch.Tensor) -> torch.Tensor:
    """
    Encode semantics of resized frames, uint8 (E, T, h, w, 3): patches (E, T, 4 M, C).

    They are in the order of the tower's windows, as `merge_vision` takes them.
    """
    grid = Grid(*(side // PATCH for side in frames.shape[2:4]))
    colours = Normalisation(frames.device, model.config.vision)
    x = model.visual.embed_still(colours.patches(colours.pixels(frames.flatten(0, 1))))
    return model.visual.encode(x, model.visual.tables(*grid.vision)).unflatten(0, frames.shape[:2])


def merge_vision(
    model: JanusModel, patches: torch.Tensor, rows: int, columns: int
) -> torch.Tensor:
    """Merge the patches (E, T, 4 M, C) of `encode_vision` to tokens (E, T, M, D)."""
    tokens = model.visual.merge(patches.flatten(0, 1), model.visual.tables(rows, columns))
    return tokens.unflatten(0, patches.shape[:2])


def window_mask(frames: int, initial: int, recent: int, device: torch.device) -> torch.Tensor:
    """Tell which frame (column) is remembered, or current, at which step (row): bool (T, T)."""
    step = torch.arange(frames, device=device)[:, None]
    frame = torch.arange(frames, device=device)[None]
    return (frame <= step) & ((frame < initial) | (frame >= step - recent))


def encode_geometry(model: JanusModel, frames: torch.Tensor, memory: MemoryConfig) -> torch.Tensor:
    """
    Encode geometry of resized frames, uint8 (E, T, h, w, 3), streaming: features (E, T, P0, 2C).

    Every frame sees the frames that its window remembers, as `Context.encode_geometry` has it.
    """
    return _stream(model, frames, memory, None)[0].unflatten(0, frames.shape[:2])


def encode_levels(
    model: JanusModel, frames: torch.Tensor, memory: MemoryConfig
) -> list[torch.Tensor]:
    """Encode as `encode_geometry`: what the dense heads read, four times (E T, P0, 2C)."""
    config = model.config.geometry
    outputs: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def keep(block: int, within: torch.Tensor, across: torch.Tensor) -> None:
        outputs[block] = within, across

    _, tables, attend = _stream(model, frames, memory, keep)
    last = config.depth - 1
    keep(last, *model.vggt.aggregator.pair(last, outputs[last - 1][1], tables, attend))
    special = config.num_special_tokens
    return [torch.cat(outputs[block], dim=-1)[:, special:] for block in config.head_layers]


def _stream(
    model: JanusModel, frames: torch.Tensor, memory: MemoryConfig, keep: Keep | None
) -> tuple[torch.Tensor, GeometryTables, Attend]:
    """Run the aggregator: features (E T, P0, 2C), and what its blocks were run with."""
    aggregator = model.vggt.aggregator
    episodes, length, height, width = frames.shape[:4]
    tables = aggregator.tables(height // PATCH, width // PATCH)
    tokens = len(tables.cos)
    colours = Normalisation(frames.device, model.config.vision)
    pixels = colours.geometry(colours.pixels(frames.flatten(0, 1)))
    variant = torch.ones(episodes, length, dtype=torch.long, device=frames.device)
    variant[:, 0] = 0
    mask = window_mask(length, memory.initial_frames, memory.recent_frames, frames.device)
    mask = mask.repeat_interleave(tokens, 0).repeat_interleave(tokens, 1)

    def attend(block: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            part.unflatten(0, (episodes, length)).transpose(1, 2).flatten(2, 3)
            for part in (q, k, v)
        )  # (E, heads, T P, head_dim)
        output = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return output.unflatten(2, (length, tokens)).transpose(1, 2).flatten(0, 1)

    features = aggregator(pixels, tables, aggregator.special(variant.flatten()), attend, keep)
    return features[:, aggregator.config.num_special_tokens :], tables, attend


def merge_geometry(
    model: JanusModel, features: torch.Tensor, rows: int, columns: int
) -> torch.Tensor:
    """Merge geometry features (E, T, P0, 2C) to tokens of the language model (E, T, M, D)."""
    grid = features.unflatten(2, (rows, columns)).flatten(0, 1)
    return model.merger(grid).unflatten(0, features.shape[:2])


@dataclass(frozen=True)
class QuestionBatch:
    """
    What is asked of some episodes, and after which frames.

    An episode's questions stand one after another in a row of N tokens, padded at the end. All
    are int64. steps: (E, S), the frame after which it is asked, -1 where nothing is. decisions:
    (E, S), the place in the row where the answer is read. tokens: (E, N), suffixes with answers.
    owners: (E, N), which question a token belongs to, -1 for none. offsets: (E, N), its place in
    that question.
    """

    steps: torch.Tensor
    decisions: torch.Tensor
    tokens: torch.Tensor
    owners: torch.Tensor
    offsets: torch.Tensor

    @classmethod
    def pack(
        cls, rows: Sequence[Sequence[tuple[int, Sequence[int], Sequence[int]]]]
    ) -> QuestionBatch:
        """Take each episode's questions: (step, suffix, answer)."""
        lengths = [[len(suffix) + len(answer) for _, suffix, answer in row] for row in rows]
        shape = len(rows), max(map(len, rows))
        steps, decisions = torch.full(shape, -1), torch.zeros(shape, dtype=torch.long)
        tokens = torch.zeros(len(rows), max(map(sum, lengths)), dtype=torch.long)
        owners, offsets = torch.full_like(tokens, -1), torch.zeros_like(tokens)
        for index, row in enumerate(rows):
            start = 0
            for number, (step, suffix, answer) in enumerate(row):
                end = start + len(suffix) + len(answer)
                steps[index, number] = step
                decisions[index, number] = start + len(suffix) - 1
                tokens[index, start:end] = torch.tensor((*suffix, *answer))
                owners[index, start:end] = number
                offsets[index, start:end] = torch.arange(end - start)
                start = end
        return cls(steps, decisions, tokens, owners, offsets)

    def to(self, device: torch.device) -> QuestionBatch:
        """Move to a device."""
        return QuestionBatch(*(getattr(self, item.name).to(device) for item in fields(self)))

    def of_tokens(self, values: torch.Tensor) -> torch.Tensor:
        """Give each token the value of its question: (E, S) to (E, N)."""
        return values.gather(1, self.owners.clamp(min=0))


class _WindowedAttention:
    """Attention of prefix and blocks among themselves, and of every suffix to what it may see."""

    def __init__(
        self, rotary: Rotary, prompt: Prompt, frames: int, questions: QuestionBatch
    ) -> None:
        device = questions.steps.device
        prefix, block = len(prompt.prefix), len(prompt.block)
        self.context = prefix + frames * block
        starts = prefix + prompt.advance * torch.arange(frames, device=device)
        positions = torch.cat(
            (
                torch.arange(prefix, device=device).expand(3, -1),
                (starts[None, :, None] + prompt.block_positions().to(device)[:, None]).flatten(1),
            ),
            dim=1,
        )
        self.context_rotation = rotary(positions)  # (context, head_dim / 2)
        read = questions.of_tokens(questions.steps.clamp(min=0)) + 1  # (E, N), frames
        positions = prefix + prompt.advance * read + questions.offsets
        self.suffix_rotation = tuple(
            part.view(len(read), 1, read.shape[1], -1)
            for part in rotary(positions.flatten().expand(3, -1))
        )
        context = torch.arange(self.context, device=device)
        seen = context < (prefix + block * read)[..., None]  # (E, N, context)
        owners, offsets = questions.owners, questions.offsets
        own = (owners[:, :, None] == owners[:, None]) & (offsets[:, :, None] >= offsets[:, None])
        self.mask = torch.cat((seen, own), dim=-1)[:, None]  # (E, 1, N, context + N)

    def __call__(
        self, layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
    ) -> torch.Tensor:
        split = [self.context, q.shape[2] - self.context]
        (qc, qs), (kc, ks), (vc, vs) = (part.split(split, dim=2) for part in (q, k, v))
        qc, kc = rotate(qc, *self.context_rotation), rotate(kc, *self.context_rotation)
        context = functional.scaled_dot_product_attention(
            qc, kc, vc, is_causal=True, enable_gqa=True
        )
        qs, ks = rotate(qs, *self.suffix_rotation), rotate(ks, *self.suffix_rotation)
        # Torch's fast kernels take a mask or shared heads, not both.
        groups = q.shape[1] // k.shape[1]
        keys, values = (
            torch.cat(parts, dim=2).repeat_interleave(groups, 1) for parts in ((kc, ks), (vc, vs))
        )
        suffixes = functional.scaled_dot_product_attention(qs, keys, values, attn_mask=self.mask)
        return torch.cat((context, suffixes), dim=2)


def answer_windowed(
    model: JanusModel, prompt: Prompt, fused: torch.Tensor, questions: QuestionBatch
) -> torch.Tensor:
    """
    Ask all questions against the memory of the `windowed` mode.

    fused: (E, T, M, D), each frame's semantics with its own geometry. Only the ids of prefix and
    marks are read from `prompt`. Returns final hidden states (E, N, D) of the questions' tokens.
    """
    episodes, frames = fused.shape[:2]
    embed = model.model.embed_tokens
    device = fused.device
    prefix = embed(torch.tensor(prompt.prefix, device=device)).expand(episodes, -1, -1)
    marks = embed(torch.tensor((prompt.block[0], prompt.block[-1]), device=device))
    start, end = (
        marks[:, None]
        .expand(-1, episodes * frames, -1)
        .view(2, episodes, frames, 1, -1)
        .to(fused.dtype)
    )
    blocks = torch.cat((start, fused, end), dim=2).flatten(1, 2)
    suffixes = embed(questions.tokens)
    x = torch.cat((prefix.to(fused.dtype), blocks, suffixes.to(fused.dtype)), dim=1)
    attend = _WindowedAttention(Rotary(model.config.language, device), prompt, frames, questions)
    return model.model(x, attend, read=suffixes.shape[1])


class _SampledPrompts:
    """
    Prompts of different numbers of images in one batch: where what stands, and their attention.

    They are put together with room for as many images as any has; `close` moves the suffix up to
    the last image that there is, so that padding is at the end, where nothing sees it.
    """

    def __init__(
        self, rotary: Rotary, prompt: Prompt, images: torch.Tensor, most: int, suffix: int
    ) -> None:
        """images: (B,), of each prompt, at most `most`. suffix: tokens of the longest."""
        device = images.device
        prefix, block = len(prompt.prefix), len(prompt.block)
        self.begin = prefix + images * block  # (B,), of the suffix
        room = prefix + most * block
        place = torch.arange(room + suffix, device=device)
        order = torch.where(place < self.begin[:, None], place, place + room - self.begin[:, None])
        self.order = order.clamp(max=room + suffix - 1)  # (B, L)
        starts = prefix + prompt.advance * torch.arange(most, device=device)[:, None]
        before = torch.cat(
            (
                torch.arange(prefix, device=device).expand(3, -1),
                (starts + prompt.block_positions().to(device)[:, None]).flatten(1),
            ),
            dim=1,
        )
        behind = prefix + prompt.advance * images[:, None] + torch.arange(suffix, device=device)
        positions = torch.cat(
            (before.expand(len(images), -1, -1), behind[:, None].expand(-1, 3, -1)), dim=2
        )
        positions = positions.gather(2, self.order[:, None].expand(-1, 3, -1))
        self.rotation = tuple(
            part.view(len(images), 1, room + suffix, -1)
            for part in rotary(positions.transpose(0, 1).flatten(1))
        )

    def close(self, x: torch.Tensor) -> torch.Tensor:
        """Move suffixes up: (B, L, D) to the same."""
        return x.gather(1, self.order[..., None].expand(-1, -1, x.shape[2]))

    def __call__(
        self, layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
    ) -> torch.Tensor:
        return functional.scaled_dot_product_attention(
            rotate(q, *self.rotation),
            rotate(k, *self.rotation),
            v,
            is_causal=True,
            enable_gqa=True,
        )


def answer_sampled(
    model: JanusModel,
    prompt: Prompt,
    semantics: torch.Tensor,
    geometry: torch.Tensor,
    questions: QuestionBatch,
    frames: int,
) -> torch.Tensor:
    """
    Ask all questions as the `sampled` mode does, each with a prompt of its own.

    semantics, geometry: (E, T, M, D); frames: of the history at most. Returns final hidden states
    (E, N, D) as `answer_windowed`.
    """
    device, dtype = semantics.device, semantics.dtype
    steps = questions.steps.clamp(min=0)
    asked = steps.numel()
    chosen = [history(step, frames) for step in range(semantics.shape[1])]
    most = max(map(len, chosen))
    numbers = torch.tensor([[*row, *[0] * (most - len(row))] for row in chosen], device=device)
    episode = torch.arange(len(steps), device=device)[:, None]
    fused = fuse(
        semantics[episode[..., None], numbers[steps]],
        geometry[episode, steps][:, :, None],
        model.config.lam,
    )  # (E, S, images, M, D)
    images = torch.tensor([len(row) for row in chosen], device=device)[steps].flatten()

    first = questions.decisions - questions.offsets.gather(1, questions.decisions)
    places = first[..., None] + torch.arange(int(questions.offsets.max()) + 1, device=device)
    places = places.clamp(max=questions.tokens.shape[1] - 1)
    tokens = questions.tokens[episode[..., None], places].flatten(0, 1)

    embed = model.model.embed_tokens
    marks = embed(torch.tensor((prompt.block[0], prompt.block[-1]), device=device)).to(dtype)
    start, end = marks[:, None].expand(-1, asked * most, -1).view(2, asked, most, 1, -1)
    blocks = torch.cat((start, fused.flatten(0, 1), end), dim=2).flatten(1, 2)
    prefix = embed(torch.tensor(prompt.prefix, device=device)).to(dtype)
    x = torch.cat((prefix.expand(asked, -1, -1), blocks, embed(tokens).to(dtype)), dim=1)
    prompts = _SampledPrompts(
        Rotary(model.config.language, device), prompt, images, most, tokens.shape[1]
    )
    hidden = model.model(prompts.close(x), prompts)
    number = episode * steps.shape[1] + questions.owners.clamp(min=0)
    return hidden[number, prompts.begin[number] + questions.offsets]
