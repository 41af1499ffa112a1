"""
The windowed policy against the memory as one would write it down: lists, everything turned anew.

`NaiveWindow` shares the network's layers with the policy, and nothing of its memory, positions or
masks.
"""

from hypothesis import example, given, Phase, settings
from hypothesis import strategies as st
from janusvln_ros.policy import JanusPolicy, MemoryConfig
from janusvln_ros.policy.network.layers import rotate
from janusvln_ros.policy.preprocessing import Normalisation, patch_grid, resize
import numpy as np
import pytest
import torch
from torch.nn import functional

SIZES = (160, 120), (161, 121), (96, 128), (112, 112), (200, 112)


def evict(frames, initial, recent):
    """Keep the first `initial` and the last `recent` of a list."""
    if len(frames) <= initial + recent:
        return frames
    return frames[:initial] + frames[len(frames) - recent :]


class NaiveWindow:
    """Steps of an episode; `step` returns the logits (vocab,) behind the suffix."""

    def __init__(self, policy, instruction, frame_size):
        self.policy, self.model, self.memory = policy, policy.model, policy.memory
        self.grid = patch_grid(*frame_size, policy.image_width)
        self.prompt = policy.encoder.prompt(policy.encoder.suffix(instruction), self.grid)
        self.tables = self.model.vggt.aggregator.tables(*self.grid)
        self.vision_tables = self.model.visual.tables(*self.grid.vision)
        self.geometry = []  # per retained frame: {block: (keys, values)}
        self.frames = []  # per retained frame: number, tokens that stay, {layer: (keys, values)}
        self.fused = []  # of all frames
        self.prefix = None  # {layer: (keys, values)}, not rotated

    @torch.inference_mode()
    def step(self, rgb):
        model, colours = self.model, Normalisation(torch.device('cpu'))
        pixels = colours.pixels(torch.from_numpy(resize(rgb, self.policy.image_width))[None])
        features = self._geometry(colours.geometry(pixels))[:, 5:]
        geometry = model.merger(features.unflatten(1, self.grid))
        semantics = model.visual(colours.vision(pixels), self.vision_tables)
        fused = (semantics + model.config.lam * geometry)[0]
        self.fused.append(fused)
        if self.prefix is None:
            self.prefix, _ = self._run(self._embed(self.prompt.prefix), [], 0)
        marks = self._embed((self.prompt.block[0], self.prompt.block[-1]))
        block = torch.cat((marks[:1], fused, marks[1:]))
        number = len(self.fused) - 1
        keys_values, _ = self._run(block, self.frames, number, is_block=True)
        everything = torch.arange(len(block))
        self.frames.append((number, everything, keys_values))
        _, hidden = self._run(self._embed(self.prompt.suffix), self.frames, number + 1)
        self._forget()
        return model.lm_head(hidden)[-1]

    def _embed(self, tokens):
        return self.model.model.embed_tokens(torch.tensor(tokens))

    def _geometry(self, pixels):
        new = {}

        def attend(block, q, k, v):
            new[block] = k, v
            past = [frame[block] for frame in self.geometry]
            keys, values = (torch.cat(parts, dim=2) for parts in zip(*past, (k, v)))
            return functional.scaled_dot_product_attention(q, keys, values)

        aggregator = self.model.vggt.aggregator
        special = aggregator.special(1 if self.geometry else 0)
        features = aggregator(pixels, self.tables, special, attend)
        self.geometry.append(new)
        return features

    def _positions(self, frames):
        """Positions (3, tokens) of prefix and frames as one sequence, and the next position."""
        start = len(self.prompt.prefix)
        parts = [torch.arange(start).expand(3, -1)]
        for _, tokens, _ in frames:
            parts.append(start + self.prompt.block_positions()[:, tokens])
            start += max(self.grid.merged) + 2
        return torch.cat(parts, dim=1), start

    def _run(self, embeddings, frames, number, is_block=False):
        """Run tokens behind prefix and frames; their keys (not rotated) and values, and hidden."""
        past, start = self._positions(frames)
        count = len(embeddings)
        if self.prefix is None:
            past, start = past[:, :0], 0
        own = self.prompt.block_positions() if is_block else torch.arange(count).expand(3, -1)
        new = {}

        def attend(layer, q, k, v):
            new[layer] = k, v
            before = [self.prefix[layer]] if self.prefix is not None else []
            before += [keys_values[layer] for _, _, keys_values in frames]
            keys, values = (torch.cat(parts, dim=2) for parts in zip(*before, (k, v)))
            q = rotate(q, *self._angles(start + own))
            keys = rotate(keys, *self._angles(torch.cat((past, start + own), dim=1)))
            group = q.shape[1] // keys.shape[1]
            keys, values = (x.repeat_interleave(group, dim=1) for x in (keys, values))
            scores = q @ keys.mT / q.shape[-1] ** 0.5
            later = torch.ones(count, count).triu(1).bool()
            scores[..., -count:].masked_fill_(later, -torch.inf)
            return scores.softmax(-1) @ values

        hidden = self.model.model(embeddings[None], attend)
        return new, hidden[0]

    def _angles(self, positions):
        config = self.model.config.language
        channels = torch.arange(0, config.head_dim, 2) / config.head_dim
        axis = np.repeat([0, 1, 2], config.mrope_section)
        angles = positions[axis].T / config.rope_theta**channels
        return angles.cos(), angles.sin()

    def _forget(self):
        memory = self.memory
        self.geometry = evict(self.geometry, memory.initial_frames, memory.recent_frames)
        self.frames = evict(self.frames, memory.initial_frames, memory.recent_frames)
        if memory.kept_fraction == 1:
            return
        newest = len(self.fused) - memory.whole_frames
        for index, (number, tokens, keys_values) in enumerate(self.frames):
            if memory.initial_frames <= number < newest and len(tokens) == len(self.prompt.block):
                self.frames[index] = number, *self._prune(number, keys_values)

    def _prune(self, number, keys_values):
        """Keep the marks and the tokens least like any of the next frame's."""
        seen_again = [
            max(functional.cosine_similarity(token[None], self.fused[number + 1]).tolist())
            for token in self.fused[number]
        ]
        count = round(len(seen_again) * self.memory.kept_fraction)
        image = sorted(range(len(seen_again)), key=seen_again.__getitem__)[:count]
        tokens = torch.tensor([0, *(1 + token for token in sorted(image)), 1 + len(seen_again)])
        return tokens, {
            layer: (keys[:, :, tokens], values[:, :, tokens])
            for layer, (keys, values) in keys_values.items()
        }


@pytest.mark.slow
@settings(
    max_examples=12, deadline=None, phases=(Phase.explicit, Phase.generate)
)  # an example is slow to shrink
@example(initial=1, recent=4, extra=4, size=(160, 120), whole=2, fraction=0.5, seed=0)
@example(initial=2, recent=3, extra=4, size=(112, 112), whole=1, fraction=0.25, seed=1)
@example(initial=0, recent=3, extra=3, size=(96, 128), whole=3, fraction=0.5, seed=2)
@given(
    initial=st.integers(0, 3),
    recent=st.integers(0, 4),
    extra=st.integers(-2, 6),
    size=st.sampled_from(SIZES),
    whole=st.integers(1, 3),
    fraction=st.sampled_from((1.0, 1.0, 0.5, 0.0)),
    seed=st.integers(0, 99),
)
def test_policy_equals_the_naive_window(
    golden_policies, make_frames, initial, recent, extra, size, whole, fraction, seed
):
    if initial + recent == 0:
        recent = 1
    policy = golden_policies['windowed']
    memory = MemoryConfig('windowed', initial, recent, whole_frames=whole, kept_fraction=fraction)
    policy = with_memory(policy, memory)
    policy.reset('Go to the sofa.')
    naive = NaiveWindow(policy, 'Go to the sofa.', size)
    for frame in make_frames(max(2, initial + recent + extra), *size, seed=seed):
        want = naive.step(frame)
        got = policy.step(frame).logits
        assert (got - want).norm() / want.norm() < 1e-5


def with_memory(policy, memory):
    """Make a policy of the same weights with another memory."""
    return JanusPolicy(
        policy.model,
        policy.encoder,
        image_width=policy.image_width,
        memory=memory,
        decoding=policy.decoding,
        repetition_penalty=policy.repetition_penalty,
    )
