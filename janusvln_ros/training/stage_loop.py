"""What a stage that trains does around the loop: processes, what it writes, and its probes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from janusvln_ros.training.export import export
from janusvln_ros.training.loop import Data, LoopConfig, Network, train
from janusvln_ros.training.parallel import agree, rank, read_weights, shard, world
from janusvln_ros.training.stage import ADAPTER, CHECKPOINT, StageContext
from janusvln_ros.training.validation import Validation
from torch.nn.attention import sdpa_kernel, SDPBackend


def train_stage(
    context: StageContext,
    network: Network,
    data: Data,
    loop: LoopConfig,
    start: Path,
    probe: Mapping[str, Any] | None = None,
    write: Callable[[Any, Path, Path], None] | None = None,
    validation: Validation | None = None,
) -> bool:
    """
    Train a network in the stage's folder, and write its checkpoint there.

    write: writes, instead, an adapter of the checkpoint that was begun with. validation: is
    measured before what is written with the last step, and before the first. probe: what is
    written walks; an adapter's base does so before the first step.
    """
    folder, device = context.folder, context.device
    if world() == 1:
        network.to(device)
    elif loop.batches % world():
        raise ValueError(
            f'{loop.batches} batches to a step cannot be shared by {world()} processes'
        )
    else:
        shard(network, device, loop.dtype)
        read_weights(network, device, start)
    network.train()
    exported, adapts = -1, write is not None
    target = folder / (ADAPTER if adapts else CHECKPOINT)
    write = write or export

    def validate(step: int) -> dict[str, float]:
        if validation is None:
            return {}
        return validation.measure(network, step, always=step in (0, loop.steps))

    def walk(step: int, base: Path, adapter: Path | None) -> dict[str, float]:
        if not probe or rank() > 0:
            return {}
        from janusvln_ros.training.probe import closed_loop

        return closed_loop(base, adapter, folder / 'probes' / f'{step:08}', probe, context.cores)

    def begin() -> dict[str, float]:
        return validate(0) | (walk(0, start, None) if adapts else {})

    def measure(step: int) -> dict[str, float]:
        nonlocal exported
        scores = validate(step)
        write(network, target, start)
        exported = step
        scores |= walk(step, *((start, target) if adapts else (target, None)))
        if adapts and probe:
            write(network, target, start)  # once more: its card tells how it walks
        agree()
        return scores

    # For short sequences torch's own products are faster on a CPU than its flash attention.
    backends = (
        [SDPBackend.MATH]
        if device.type == 'cpu'
        else [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    )
    with sdpa_kernel(backends):
        finished = train(network, data, loop, folder, device=device, probe=measure, before=begin)
        if exported < loop.steps:
            if finished:
                validate(loop.steps)
            write(network, target, start)
    return finished
