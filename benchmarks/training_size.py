"""
Loading, steps, saving and exporting of training at full size, each timed, on all GPUs of a host.

    torchrun --standalone --nproc_per_node=2 benchmarks/training_size.py FOLDER

FOLDER needs room for 150 GB. It gets a checkpoint of random weights in bfloat16 (18 GB) and some
examples; what training writes (100 GB of state, then 37 GB) is deleted as soon as it is measured.
The disk's own speed, measured first, is what the rates of saving are to be compared with.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
import os
from pathlib import Path
import shutil
import tempfile
import time
from typing import Any

from janusvln_ros.actions import Action
from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.config import FULL_SIZE, JanusConfig
from janusvln_ros.policy.prompt import PromptEncoder
from janusvln_ros.policy.random_checkpoint import (
    random_tensors,
    small_config,
    train_tokenizer,
    write_companions,
)
from janusvln_ros.training.data.layout import AnnotationWriter, build_examples, read_annotations
from janusvln_ros.training.data.sources import ExampleFiles
from janusvln_ros.training.export import export
from janusvln_ros.training.imitation import ImitationBatches, ImitationNetwork
from janusvln_ros.training.parallel import (
    agree,
    checkpoint_activations,
    processes,
    rank,
    read_weights,
    shard,
    world,
)
from janusvln_ros.training.state import load_state, save_state
import numpy as np
import torch

TRAINED = ('visual_merger', 'merger', 'model', 'lm_head')  # as config/training/base.yaml
PROBE = 4 * 2**30  # bytes that every process writes to measure the disk


def write_start(folder: Path, device: torch.device) -> None:
    """Write random weights of full size."""
    language, vision = FULL_SIZE.language, FULL_SIZE.vision
    config = small_config(
        train_tokenizer(),
        {
            'hidden_size': language.hidden_size,
            'intermediate_size': language.intermediate_size,
            'num_hidden_layers': language.num_layers,
            'num_attention_heads': language.num_heads,
            'num_key_value_heads': language.num_key_value_heads,
            'rope_theta': language.rope_theta,
            'rope_scaling': {
                'type': 'default',
                'rope_type': 'default',
                'mrope_section': language.mrope_section,
            },
            'vocab_size': language.vocab_size,
        },
        {
            'depth': vision.depth,
            'hidden_size': vision.hidden_size,
            'intermediate_size': vision.intermediate_size,
            'num_heads': vision.num_heads,
            'out_hidden_size': vision.out_hidden_size,
            'window_size': vision.window_size,
            'fullatt_block_indexes': vision.full_attention_blocks,
        },
        merger=FULL_SIZE.merger_hidden_dim,
        image_width=644,
    )
    config['torch_dtype'] = 'bfloat16'
    with tempfile.TemporaryDirectory() as companions:
        write_companions(Path(companions), train_tokenizer(), config)
        (Path(companions) / 'vggt_config.json').unlink()  # VGGT-1B's numbers are the default
        model = checkpoint.build(JanusConfig.from_dicts(config, None))
        tensors = random_tensors(model, 0, device, torch.bfloat16)
        checkpoint.write(folder, config, tensors, [companions])


def write_examples(folder: Path, target: Path) -> None:
    """Write trajectories of noise, and an example for each of their pictures."""
    rng = np.random.default_rng(0)
    writer = AnnotationWriter(folder, 'random')
    for number in range(4):
        frames = rng.integers(0, 256, (16, 480, 640, 3), dtype=np.uint8)
        actions = [*rng.integers(1, 4, 15).tolist(), Action.STOP]
        writer.write(f'random_{number}', 'Go to the red chair.', frames, actions)
    build_examples(read_annotations(folder), target)


def timed(name: str, do: Callable[[], Any], folder: Path | None = None) -> Any:
    """Do something together; print how long it took, and how fast a folder was filled."""
    agree()
    begin = time.monotonic()
    result = do()
    agree()
    seconds = time.monotonic() - begin
    line = f'{name:<28}{seconds:8.1f} s'
    if folder is not None:
        size = sum(file.stat().st_size for file in folder.rglob('*') if file.is_file()) / 1e9
        line += f'{size:8.1f} GB {size / seconds:7.2f} GB/s'
    if torch.cuda.is_available():
        line += f'   peak {torch.cuda.max_memory_allocated() / 2**30:6.1f} GiB of a GPU'
        torch.cuda.reset_peak_memory_stats()
    if rank() == 0:
        print(line, flush=True)
    return result


def write_plainly(folder: Path) -> None:
    """Write noise to a file of this process, and wait until it is on the disk."""
    folder.mkdir(exist_ok=True)
    block = os.urandom(2**26)
    with (folder / f'plain_{rank()}').open('wb') as file:
        for _ in range(PROBE // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


def main() -> None:
    """Measure one part after another."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path, help='to write to, on the disk that is measured')
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cuda')
    parser.add_argument('--checkpoint', type=Path, help='another checkpoint to start from')
    arguments = parser.parse_args()
    folder = arguments.folder
    start = arguments.checkpoint or folder / 'start'
    state, target, plain = folder / 'state', folder / 'checkpoint', folder / 'plain'
    with processes(arguments.device) as device:
        if rank() == 0:
            folder.mkdir(parents=True, exist_ok=True)
            if not start.is_dir():
                write_start(start, device)
            if not (folder / 'examples.jsonl').exists():
                write_examples(folder / 'trajectories', folder / 'examples.jsonl')
        timed('disk', lambda: write_plainly(plain), plain)
        config = JanusConfig.from_folder(start)
        network = ImitationNetwork(
            checkpoint.build(config),
            trained=TRAINED,
            memory=MemoryConfig('sampled', history_frames=8),
            auxiliary=0.0,
        )
        checkpoint_activations(network)

        def load() -> None:
            shard(network, device, 'bfloat16')
            read_weights(network, device, start)

        timed('weights', load)
        batches = ImitationBatches(
            ExampleFiles([folder / 'examples.jsonl'], config.image_width or 644),
            PromptEncoder(start),
            walks_per_batch=1,
            questions=1,
            seed=0,
            batches=world(),
            sampled_every=1,
        )
        groups = [{'params': group['params']} for group in network.groups()]
        optimiser = torch.optim.AdamW(groups, lr=1e-6)

        def step(number: int) -> float:
            with torch.autocast(device.type, torch.bfloat16):
                loss, _ = network(batches.batch(number, rank()))
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            return float(loss.detach())

        for number in range(3):
            timed(f'step {number + 1}', partial(step, number))
        if rank() == 0:
            shutil.rmtree(plain)
            state.mkdir(exist_ok=True)
        timed('state saved', lambda: save_state(network, optimiser, state, 3), state)
        timed('state read again', lambda: load_state(network, optimiser, state), state)
        if rank() == 0:
            shutil.rmtree(state)
        timed('checkpoint written', lambda: export(network, target, start), target)
        if rank() == 0:
            shutil.rmtree(target)


if __name__ == '__main__':
    main()
