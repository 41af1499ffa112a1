"""Several robots on one computer: how fast their policies are together, and each one's share."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
import time
from typing import Any

from janusvln_ros.policy import JanusPolicy
import numpy as np
import torch

INSTRUCTIONS = 'Go to the door.', 'Turn left at the red sofa and stop next to the doorway.'


def share(
    policy: JanusPolicy, count: int, frames: Sequence[np.ndarray], full: int, steps: int
) -> dict[str, Any]:
    """
    Have policies of one network decide as fast as they can, a thread each, with full memories.

    frames: uint8 (H, W, 3), shown again and again; full: steps until memories are. It ends when
    the first policy has taken `steps` more. Returns what was taken in all and by each.
    """
    device = policy.model.device
    policies = [
        policy,
        *(
            JanusPolicy(
                policy.model,
                policy.encoder,
                image_width=policy.image_width,
                memory=policy.memory,
                decoding=policy.decoding,
                repetition_penalty=policy.repetition_penalty,
            )
            for _ in range(count - 1)
        ),
    ]
    together, over = Barrier(count), Event()
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)

    def drive(index: int) -> tuple[int, float]:
        mine = policies[index]
        try:
            mine.warm_up(frames[0].shape[1::-1])
            mine.reset(INSTRUCTIONS[index % len(INSTRUCTIONS)])
            for step in range(full):
                mine.step(frames[step % len(frames)])
            together.wait()
        except BaseException:
            together.abort()
            raise
        begun, taken = time.perf_counter(), 0
        while taken < steps and not over.is_set():
            mine.step(frames[(full + taken) % len(frames)])
            taken += 1
        over.set()
        return taken, time.perf_counter() - begun

    with ThreadPoolExecutor(count) as pool:
        ends = [*pool.map(drive, range(count))]
    counts, seconds = [taken for taken, _ in ends], max(spent for _, spent in ends)
    result = {
        'robots': count,
        'steps': counts,
        'rate': sum(counts) / seconds,
        'shares': [taken * count / sum(counts) for taken in counts],
    }
    if device.type == 'cuda':
        result['peak_bytes'] = torch.cuda.max_memory_allocated(device)
        result['reserved_bytes'] = torch.cuda.memory_reserved(device)
    return result


def line(mode: str, shared: dict[str, Any]) -> str:
    """Say in one line what `share` measured."""
    peak = shared.get('peak_bytes')
    return (
        f'{mode}, {shared["robots"]} at once: {shared["rate"]:.2f} steps a second in all, each '
        f'{min(shared["shares"]):.3f} to {max(shared["shares"]):.3f} of its part'
        + (f', peak {peak / 1e9:.1f} GB' if peak else '')
    )
