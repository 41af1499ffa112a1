"""
An adapter at full size on one GPU: memory and time of a step, the estimate, and adapter = merged.

    python benchmarks/adapter_size.py FOLDER
    python benchmarks/adapter_size.py --estimate     # the estimate alone, of every base, anywhere

FOLDER needs room for 20 GB. It gets a checkpoint of random weights in bfloat16 and some examples.
The stage is the one of config/training/lora.yaml, with one example to a step.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import redirect_stdout
import io
from itertools import product
import json
from pathlib import Path
import re
import time

from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.adapter import read_adapter, WEIGHTS
from janusvln_ros.policy.network.config import FULL_SIZE, JanusConfig
from janusvln_ros.policy.prompt import PromptEncoder
from janusvln_ros.training.data.sources import ExampleFiles
from janusvln_ros.training.imitation import ImitationBatches, ImitationNetwork
from janusvln_ros.training.loop import LoopConfig
from janusvln_ros.training.lora import lora_config, LoraNetwork, TARGETS
from janusvln_ros.training.parallel import estimate
from janusvln_ros.training.stage import ADAPTER, StageContext
from janusvln_ros.training.walk_stages import BASES, Lora
from safetensors.torch import load_file
import torch
from training_size import write_examples, write_start

_MEMORY = MemoryConfig('sampled', history_frames=8)
_STEPS = 8
_TOKENS = 3646  # of an example's prompt


def logits_with(
    start: Path, examples: Path, device: torch.device, adapter: Path, merged: bool
) -> torch.Tensor:
    """Give what is said to examples with an adapter, merged into the weights or beside them."""
    config = JanusConfig.from_folder(start)
    dtype = torch.bfloat16 if device.type == 'cuda' else torch.float32
    added = read_adapter(adapter) if merged else None
    model = checkpoint.load(start, config, device, dtype, adapter=added)
    network = ImitationNetwork(model, trained=(), memory=_MEMORY, auxiliary=0.0)
    if not merged:
        about = json.loads((adapter / 'adapter_config.json').read_text(encoding='utf-8'))
        shape = lora_config(about['r'], about['lora_alpha'], 0.0, TARGETS)
        network = LoraNetwork(model, shape, _MEMORY).to(device)
        learned = load_file(adapter / WEIGHTS)
        for name, parameter in network.adapter().items():
            parameter.data.copy_(learned[name])
    said: list[torch.Tensor] = []
    model.lm_head.register_forward_hook(lambda module, given, result: said.append(result.float()))
    source = ExampleFiles([examples], config.image_width or 644)
    batches = ImitationBatches(
        source, PromptEncoder(start), walks_per_batch=1, questions=1, seed=9, sampled_every=1
    )
    with torch.no_grad(), torch.autocast(device.type, dtype, enabled=dtype == torch.bfloat16):
        for number in range(8):
            network(batches.batch(number, 0))
    return torch.cat(said)


def tell_estimates(ranks: Sequence[int]) -> None:
    """Print rows of a table: what every base needs at full size; nothing is loaded."""
    for rank, (base, (dtype, quantised)) in product(ranks, BASES.items()):
        model = checkpoint.build(FULL_SIZE).to(dtype)
        checkpoint.fill(model, model.state_dict().items(), quantised, gradients=True)
        with torch.device('meta'):
            network = LoraNetwork(model, lora_config(rank, 2 * rank, 0.05, TARGETS), _MEMORY)
        recomputed, kept = (
            estimate(network, FULL_SIZE, tokens=_TOKENS, processes=1, recompute=recompute)
            for recompute in (True, False)
        )
        sizes = recomputed['weights'], sum(recomputed.values()), sum(kept.values())
        print(f'| {rank} | {base} |', *(f'{size:.1f} GiB |' for size in sizes), flush=True)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path, nargs='?')
    parser.add_argument('--estimate', action='store_true', help='measure nothing')
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cuda')
    parser.add_argument('--checkpoint', type=Path, help='another checkpoint to start from')
    parser.add_argument('--rank', type=int, nargs='+', default=[16, 64])
    parser.add_argument('--base', choices=BASES, help='by default bfloat16, on a CPU float32')
    arguments = parser.parse_args()
    if arguments.estimate:
        tell_estimates(arguments.rank)
        return
    if arguments.folder is None:
        parser.error('a FOLDER to measure in is missing')
    folder, device = arguments.folder, torch.device(arguments.device)
    start, examples = arguments.checkpoint or folder / 'start', folder / 'examples.jsonl'
    base = arguments.base or ('bfloat16' if device.type == 'cuda' else 'float32')
    folder.mkdir(parents=True, exist_ok=True)
    if not start.is_dir():
        write_start(start, device)
    if not examples.exists():
        write_examples(folder / 'trajectories', examples)
    for rank in arguments.rank:
        for recompute in (True, False):
            name = f'{base}, rank {rank}, {"layers recomputed" if recompute else "all kept"}'
            stage = Lora(
                data=({'examples': str(examples)},),
                loop=LoopConfig(_STEPS, 1e-3, dtype='bfloat16', log_every=_STEPS),
                start=str(start),
                sampled_every=1,
                questions=1,
                walks_per_batch=1,
                image_width=JanusConfig.from_folder(start).image_width,
                memory=_MEMORY,
                checkpoint_activations=recompute,
                rank=rank,
                base=base,
            )
            place = folder / name.replace(', ', '_').replace(' ', '_')
            said = io.StringIO()
            if device.type == 'cuda':
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            begin = time.monotonic()
            with redirect_stdout(said):
                stage.run(StageContext(folder, place, (), device, 1))
            seconds = time.monotonic() - begin
            told = re.search(r'estimated: ([\d.]+) GiB', said.getvalue())
            print(said.getvalue().strip())
            line = f'{name}: estimated {told[1] if told else "?"} GiB'
            if device.type == 'cuda':
                line += f', measured {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB'
            print(f'{line}; {seconds:.1f} s with loading, {_STEPS} steps', flush=True)
    beside, merged = (
        logits_with(start, examples, device, place / ADAPTER, merged) for merged in (False, True)
    )
    apart = float((merged - beside).norm() / beside.norm())
    print(f'logits, adapter merged against beside the weights: relative L2 {apart:.1e}')


if __name__ == '__main__':
    main()
