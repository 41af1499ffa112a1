"""
The paper's baseline: no memory at all, every step encodes and reads all frames anew.

It decides what the windowed memory decides as long as that has evicted nothing, which is how it is
tested; its time grows with the episode.
"""

from __future__ import annotations

from dataclasses import replace

from janusvln_ros.policy.context import Context, FrameTables, geometry_memory, language_memory
from janusvln_ros.policy.graphs import StepGraphs
from janusvln_ros.policy.janus import JanusPolicy, Stopwatch
from janusvln_ros.policy.network.fusion import fuse
from janusvln_ros.policy.preprocessing import patch_grid
from janusvln_ros.policy.resampling import FrameUpload
import numpy as np
import torch


class RecomputeContext(Context):
    """All frames of an episode at once."""

    def encode(self, frames: list[torch.Tensor]) -> list[torch.Tensor]:
        """Encode the geometry of images (h, w, 3) one after the other: (1, M, hidden) each."""
        encoded = []
        for frame in frames:
            encoded.append(self.encode_geometry(frame[None]))
            self.geometry.commit()
        return encoded

    def prefill(self, semantics: torch.Tensor, geometry: torch.Tensor) -> torch.Tensor:
        """Read all frames (N, M, hidden), each with its geometry: logits (1 + tree, vocab)."""
        prompt, images = self.prompt, len(semantics)
        self.positions = prompt.positions(images).to(self.model.device)
        behind = len(prompt.prefix) + images * prompt.advance + len(prompt.suffix)
        blocks = self._blocks(fuse(semantics, geometry, self.model.config.lam))
        return self._read(behind, self._prefix, blocks, self._tail)


class Recompute:
    """Takes the steps of an episode without a memory, on the weights of a policy."""

    def __init__(self, policy: JanusPolicy) -> None:
        self._policy = policy
        self._frames: list[np.ndarray] = []

    def reset(self, instruction: str) -> None:
        """Begin a new episode."""
        self._suffix = self._policy.encoder.suffix(instruction)
        self._frames = []

    @torch.inference_mode()
    def step(self, rgb: np.ndarray) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the logits (1 + tree, vocab) after one more frame, and seconds by part."""
        policy, model = self._policy, self._policy.model
        self._frames.append(rgb)
        size = rgb.shape[1], rgb.shape[0]
        grid = patch_grid(*size, policy.image_width)
        prompt = policy.encoder.prompt(self._suffix, grid)
        count = len(self._frames)
        memory = replace(
            policy.memory,
            mode='sampled',
            initial_frames=count,
            recent_frames=0,
            history_frames=count,
            kept_fraction=1.0,
        )
        watch = Stopwatch(model.device)
        upload = FrameUpload(size, policy.image_width, model.device)
        images = [upload.resize(upload(frame)) for frame in self._frames]
        watch.lap('preprocess')
        episode = RecomputeContext(
            model,
            prompt,
            policy.tree,
            FrameTables.of(model, size, grid),
            geometry_memory(model, grid, memory),
            language_memory(model, prompt, memory, len(policy.tree.tokens)),
            memory,
            StepGraphs(compiled=not policy.why_plain),
        )
        geometry = torch.cat(episode.encode(images))
        watch.lap('geometry')
        semantics = episode.encode_vision(torch.stack(images))
        watch.lap('vision')
        logits = episode.prefill(semantics, geometry)
        watch.lap('prefill')
        policy.tree.log_probabilities(logits).cpu()
        watch.lap('decode')
        return logits, watch.seconds()
