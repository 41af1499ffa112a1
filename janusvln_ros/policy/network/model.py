"""The network under the parameter names of the published checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from janusvln_ros.policy.network.config import JanusConfig
from janusvln_ros.policy.network.fusion import GeometryMerger
from janusvln_ros.policy.network.geometry import Aggregator
from janusvln_ros.policy.network.heads import DenseHead, HEADS
from janusvln_ros.policy.network.language import LanguageModel
from janusvln_ros.policy.network.semantics import VisionTower
import torch
from torch import nn


class VGGT(nn.ModuleDict):
    """The part of VGGT that is used, under its name."""

    aggregator: Aggregator


class JanusModel(nn.Module):
    """Weights only; an episode's state lives in `janusvln_ros.policy.context`."""

    def __init__(self, config: JanusConfig, heads: Iterable[str] = ()) -> None:
        """Make the modules; heads: of `heads.HEADS`, those that are wanted."""
        super().__init__()
        self.config = config
        hidden = config.language.hidden_size
        self.visual = VisionTower(config.vision)
        dense = {name: DenseHead(config.geometry, HEADS[name]) for name in heads}
        self.vggt = VGGT({'aggregator': Aggregator(config.geometry), **dense})
        self.merger = GeometryMerger(
            2 * config.geometry.embed_dim, config.merger_hidden_dim, hidden
        )
        self.model = LanguageModel(config.language)
        self.lm_head = nn.Linear(hidden, config.language.vocab_size, bias=False)

    @property
    def heads(self) -> dict[str, DenseHead]:
        """Give the dense heads that are there, by published name."""
        return {name: cast(DenseHead, self.vggt[name]) for name in HEADS if name in self.vggt}

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.lm_head.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the embeddings and of everything that is remembered."""
        return self.model.embed_tokens.weight.dtype
