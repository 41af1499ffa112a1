"""What a stage of training is, and where it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.config import JanusConfig
from janusvln_ros.policy.network.model import JanusModel
from janusvln_ros.training.parallel import world
import torch

CHECKPOINT = 'checkpoint'
ADAPTER = 'adapter'
DONE = 'done'  # is in the folder of a stage that was finished


@dataclass(frozen=True)
class StageContext:
    """
    Where and with what a stage runs.

    output: the run's folder. folder: the stage's. before: names of the stages before it. cores:
    processes that collect data.
    """

    output: Path
    folder: Path
    before: tuple[str, ...]
    device: torch.device
    cores: int

    def path(self, text: str) -> Path:
        """Give a path of the configuration."""
        return Path(text.replace('{output}', str(self.output)))

    def start(self, text: str) -> Path:
        """Give the checkpoint that is begun with; ValueError where there is none."""
        if text:
            return self.path(text)
        for name in reversed(self.before):
            if (self.output / name / CHECKPOINT).is_dir():
                return self.output / name / CHECKPOINT
        raise ValueError(
            f'stage {self.folder.name}: no stage before it has made a checkpoint; run '
            'them first, or give it a start'
        )

    def load(
        self, folder: Path, dtype: torch.dtype = torch.float32, language_weights: str | None = None
    ) -> JanusModel:
        """
        Load a checkpoint to train it; its weights come later where processes share them.

        language_weights: how the language model's are quantised, which then stay as they are.
        """
        config = JanusConfig.from_folder(folder)
        if world() > 1:
            return checkpoint.build(config)
        return checkpoint.load(
            folder, config, self.device, dtype, language_weights, gradients=True
        )


class Stage(Protocol):
    """A step of a run."""

    def run(self, context: StageContext) -> bool:
        """Run, or go on; tell whether it was finished (and not stopped by Ctrl-C)."""
