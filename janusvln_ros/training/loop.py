"""
The loop all stages share: steps, schedule, logs, and checkpoints that resume exactly.

What a step does depends only on its number and the seed: batches are drawn, and random numbers
seeded, by them. So a run that was killed goes on from its last checkpoint with the same bits as
one that was not, and N processes learn from the same batches as one with N times the accumulation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
import math
from pathlib import Path
import signal
import time
from typing import Any, Protocol

from janusvln_ros.training.log import Log
from janusvln_ros.training.parallel import agree, rank, world
from janusvln_ros.training.state import load_state, save_state
from janusvln_ros.workers import Interruption
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast a stage learns."""

    steps: int
    learning_rate: float
    warm_up: float = 0.03  # share of all steps
    weight_decay: float = 0.0
    clip: float = 1.0  # norm of the gradient
    batches: int = 1  # to a step, over all processes
    seed: int = 0
    dtype: str = 'float32'  # 'bfloat16': autocast
    save_every: float = 300.0  # seconds
    log_every: int = 20  # steps
    prefetch: int = 0  # processes that draw batches ahead

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.steps < 1 or self.batches < 1 or self.log_every < 1:
            raise ValueError('steps, batches and log_every are at least 1')
        if self.dtype not in ('float32', 'bfloat16'):
            raise ValueError(f"dtype is 'float32' or 'bfloat16', not {self.dtype!r}")


class Data(Protocol):
    """Where batches come from."""

    def batch(self, step: int, part: int) -> Any:
        """Draw a step's batch of the given number; the two numbers alone decide."""


class Network(nn.Module):
    """What a stage trains: a module whose forward pass gives the loss and what is to be logged."""

    forward: Callable[..., tuple[torch.Tensor, Mapping[str, torch.Tensor]]]

    def groups(self) -> list[dict[str, Any]]:
        """Give the optimiser's groups; 'scale' multiplies the learning rate."""
        raise NotImplementedError


def learning_rate(config: LoopConfig, step: int) -> float:
    """Give a step's learning rate: linear warm-up, then a cosine to zero."""
    warm = max(1, round(config.warm_up * config.steps))
    if step < warm:
        return config.learning_rate * (step + 1) / warm
    turned = math.pi * (step - warm) / max(1, config.steps - warm)
    return config.learning_rate * 0.5 * (1 + math.cos(turned))


def train(
    network: Network,
    data: Data,
    config: LoopConfig,
    folder: Path,
    *,
    device: torch.device | None = None,
    probe: Callable[[int], Mapping[str, float]] | None = None,
    before: Callable[[], Mapping[str, float]] | None = None,
) -> bool:
    """
    Train, or go on training, in `folder`; tell whether all steps are done.

    Ctrl-C saves and returns False. probe: called by all processes after every save with the
    number of steps done; measures something to log (a closed-loop score). before: the same, before
    the first step.
    """
    device = device or torch.device('cpu')
    folder.mkdir(parents=True, exist_ok=True)
    optimiser = torch.optim.AdamW(
        [{'scale': 1.0, **group} for group in network.groups()],
        lr=config.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=config.weight_decay,
    )
    start = load_state(network, optimiser, folder)
    parts = range(rank(), config.batches, world())
    log = Log(folder, start) if rank() == 0 else None
    if start == 0 and before is not None:
        measured = before()
        if log is not None and measured:
            log.add(measured)
            log.flush(0)
    saved = time.monotonic()
    with (
        Interruption() as interruption,
        tqdm(
            total=config.steps, initial=start, desc=folder.name, mininterval=5, disable=rank() > 0
        ) as bar,
    ):
        drawn = _draw_ahead(data, config, start, parts)
        for step in range(start, config.steps):
            rate = learning_rate(config, step)
            for group in optimiser.param_groups:
                group['lr'] = rate * group['scale']
            for part in parts:
                torch.manual_seed((config.seed * 1_000_003 + step) * config.batches + part)
                with torch.autocast(
                    device.type, torch.bfloat16, enabled=config.dtype == 'bfloat16'
                ):
                    loss, metrics = network(next(drawn))
                (loss / len(parts)).backward()
                if log is not None:
                    log.add({'loss': loss, **metrics})
            norm = nn.utils.clip_grad_norm_(
                [p for group in optimiser.param_groups for p in group['params']], config.clip
            )
            norm = norm.full_tensor() if hasattr(norm, 'full_tensor') else norm
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            bar.update()
            if log is not None:
                log.add({'gradient': norm, 'learning_rate': rate})
                if (step + 1) % config.log_every == 0 or step + 1 == config.steps:
                    bar.set_postfix_str(log.flush(step + 1))
            late = step + 1 == config.steps or time.monotonic() - saved > config.save_every
            stop = agree(interruption.noted)
            if stop or agree(late):
                save_state(network, optimiser, folder, step + 1)
                measured = probe(step + 1) if probe is not None and not stop else {}
                if log is not None and measured:
                    log.add(measured)
                    log.flush(step + 1)
                saved = time.monotonic()
                if stop and step + 1 < config.steps:
                    break
        else:
            step = config.steps - 1
    if log is not None:
        log.close()
    return step + 1 == config.steps


class _Drawn(Dataset):
    """Batches by (step, part)."""

    def __init__(self, data: Data) -> None:
        self._data = data

    def __getitem__(self, number: tuple[int, int]) -> Any:
        return self._data.batch(*number)


def _draw_ahead(data: Data, config: LoopConfig, start: int, parts: range) -> Iterator[Any]:
    """Draw batches in processes ahead of time; without processes, when they are taken."""
    order = [(step, part) for step in range(start, config.steps) for part in parts]
    return iter(
        DataLoader(
            _Drawn(data),
            batch_size=None,
            sampler=order,
            num_workers=config.prefetch,
            worker_init_fn=_leave_signals,
        )
    )


def _leave_signals(_: int) -> None:
    """Let the process that trains decide when to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
