"""
Build the full-size network with random weights and take steps.

The modules are built on the meta device in seconds (names and shapes are those of the published
checkpoint, 2,068 tensors less 125 that inference does not read); with a GPU that has room for
them, the weights are drawn there and the policy takes steps on 640 x 480 frames.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import tempfile
import time

from janusvln_ros.policy import JanusPolicy, MemoryConfig
from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.config import FULL_SIZE
from janusvln_ros.policy.prompt import PromptEncoder
from janusvln_ros.policy.random_checkpoint import random_tensors, write_random_checkpoint
import numpy as np
import torch

INSTRUCTION = 'Walk past the dining table, turn left at the red sofa and stop next to the doorway.'


def random_policy(device: torch.device, memory: MemoryConfig) -> JanusPolicy:
    """Make a policy of full size with random weights in bfloat16 and a small tokenizer."""
    model = checkpoint.build(FULL_SIZE)
    weights = random_tensors(model, 0, device, torch.bfloat16)
    model.load_state_dict(dict(weights), assign=True)
    with tempfile.TemporaryDirectory() as folder:
        encoder = PromptEncoder(write_random_checkpoint(Path(folder) / 'tiny'))
    return JanusPolicy(
        model,
        encoder,
        image_width=644,
        memory=memory,
        decoding='constrained',
        repetition_penalty=1.05,
    )


def main() -> None:
    """Build, and step where there is a GPU."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--steps', type=int, default=70, help='steps in each mode (default: 70)')
    arguments = parser.parse_args()
    started = time.monotonic()
    model = checkpoint.build(FULL_SIZE)
    count = sum(parameter.numel() for parameter in model.parameters())
    print(
        f'built on the meta device in {time.monotonic() - started:.1f} s: {count / 1e9:.3f} G '
        f'parameters, {len(model.state_dict())} tensors'
    )
    if not torch.cuda.is_available():
        print('no GPU here: no step taken')
        return
    device = torch.device('cuda')
    print(torch.cuda.get_device_name(device))
    frames = np.random.default_rng(0).integers(0, 256, (8, 480, 640, 3), dtype=np.uint8)
    for mode in ('windowed', 'sampled'):
        policy = random_policy(device, MemoryConfig(mode))
        policy.reset(INSTRUCTION)
        for step in range(arguments.steps):
            before = time.monotonic()
            decision = policy.step(frames[step % len(frames)])
            seconds = time.monotonic() - before
            if step < 3 or step == arguments.steps - 1:
                parts = ', '.join(
                    f'{name} {1000 * part:.1f}' for name, part in decision.timings.items()
                )
                print(
                    f'{mode} step {step}: {decision.action.name}, {1000 * seconds:.1f} ms '
                    f'({parts}), {torch.cuda.memory_allocated() / 1e9:.1f} GB allocated'
                )
        del policy
        torch.cuda.empty_cache()


if __name__ == '__main__':
    main()
