"""
`janusvln benchmark`: time and memory of a step by part, over the steps of an episode.

Modes: `recompute` (no memory, the paper's baseline), `sampled` and `windowed`. With --estimate it
runs nothing: it tells what a computer's profile takes and the least time of its steps.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
import gc
from itertools import islice
import json
from pathlib import Path
import platform
import sys
import time
from typing import Any

from janusvln_ros.arguments import output_folder, whole
from janusvln_ros.measurement import estimate
from janusvln_ros.measurement.estimate import Computer, Workload
from janusvln_ros.measurement.figure import draw
from janusvln_ros.measurement.recompute import Recompute
from janusvln_ros.measurement.sharing import share
from janusvln_ros.measurement.table import table
from janusvln_ros.parameters import add_options, chosen
from janusvln_ros.policy import JanusPolicy, MemoryConfig
from janusvln_ros.policy.janus import EMBEDDINGS
from janusvln_ros.policy.load import checkpoint_folder, choose_device, choose_dtype
from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.config import FULL_SIZE
from janusvln_ros.policy.network.heads import HEADS_OF
from janusvln_ros.policy.options import AS_LOADED, PolicyOptions
from janusvln_ros.policy.prompt import PromptEncoder
from janusvln_ros.policy.random_checkpoint import random_tensors
import numpy as np
import torch
from tqdm import tqdm

MODES = 'recompute', 'sampled', 'windowed'
PARTS = 'preprocess', 'geometry', 'vision', 'prefill', 'decode'
INSTRUCTION = 'Walk past the dining table, turn left at the red sofa and stop next to the doorway.'
EVERY = 20  # steps between two looks at the memory


def make_policy(
    model: str,
    memory: MemoryConfig,
    device: str,
    dtype: str,
    image_width: int | None,
    language_weights: str | None,
    geometry_heads: str = 'none',
    adapter: str | None = None,
) -> JanusPolicy:
    """
    Load a checkpoint folder, or make a `tiny` or `full` network with random weights.

    adapter: folder of one that is added to a checkpoint's weights; none is to `full`.
    """
    with checkpoint_folder('random' if model in ('tiny', 'full') else model) as folder:
        if model != 'full':
            return JanusPolicy.from_pretrained(
                folder,
                device,
                dtype,
                image_width,
                memory,
                language_weights=language_weights,
                geometry_heads=geometry_heads,
                adapter=adapter,
            )
        encoder = PromptEncoder(folder)
    network = checkpoint.build(FULL_SIZE, HEADS_OF[geometry_heads])
    tensors = (
        (name, _as_loaded(name, tensor))
        for name, tensor in random_tensors(network, 0, device, getattr(torch, dtype))
    )
    return JanusPolicy(
        checkpoint.fill(network, tensors, language_weights),
        encoder,
        image_width=image_width or FULL_SIZE.image_width,
        memory=memory,
        decoding='constrained',
        repetition_penalty=1.05,
    )


def _as_loaded(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Put a tensor where, and into what, `checkpoint.load` puts it."""
    if name.startswith(checkpoint.HEAD_PREFIXES):
        return tensor.float()
    return tensor.cpu() if name == EMBEDDINGS else tensor


def moving_frames(size: tuple[int, int], count: int = 16) -> Iterator[np.ndarray]:
    """Yield frames uint8 (H, W, 3) of coloured blocks for ever, `count` different ones."""
    generator = np.random.default_rng(0)
    blocks = generator.integers(0, 256, (count, 12, 16, 3), dtype=np.uint8)
    rows = np.arange(size[1]) * 12 // size[1]
    columns = np.arange(size[0]) * 16 // size[0]
    frames = np.ascontiguousarray(blocks[:, rows][:, :, columns])  # as a camera's are
    while True:
        yield from frames


def allocated(device: torch.device) -> int:
    """Bytes of tensors: CUDA's allocator's count, or all storages that are alive."""
    gc.collect()
    if device.type == 'cuda':
        return torch.cuda.memory_allocated(device)
    storages = {}
    for item in gc.get_objects():
        if issubclass(type(item), torch.Tensor) and item.layout == torch.strided:
            try:
                storage = item.untyped_storage()
                storages[storage.data_ptr()] = storage.nbytes()
            except (NotImplementedError, RuntimeError):  # a quantised weight: its parts count
                continue
    return sum(storages.values())


def slope(seconds: np.ndarray) -> float:
    """
    Growth of a series over 1,000 steps, as a part of its median.

    Theil and Sen's: the median slope between two points, which a disturbed step does not move.
    """
    from scipy.stats import theilslopes  # takes a second

    return 1000 * float(theilslopes(seconds).slope / np.median(seconds))


def run(
    step: Callable[[np.ndarray], dict[str, float]],
    frames: Iterator[np.ndarray],
    steps: int,
    device: torch.device,
    title: str,
    parts: Sequence[str] = PARTS,
) -> tuple[dict[str, list[float]], list[int]]:
    """
    Take steps; seconds of every step by part, in total and of processor time, and memory.

    Ends early, with what there is, on Ctrl-C.
    """
    series: dict[str, list[float]] = {name: [] for name in (*parts, 'total', 'processor')}
    memory = []
    try:
        for index in tqdm(range(steps), desc=title, unit='step', disable=None):
            frame = next(frames)
            processor, begin = time.process_time(), time.perf_counter()
            timings = step(frame)
            series['total'].append(time.perf_counter() - begin)
            series['processor'].append(time.process_time() - processor)
            for part in parts:
                series[part].append(timings[part])
            if index % EVERY == EVERY - 1:
                memory.append(allocated(device))
    except KeyboardInterrupt:
        print('interrupted: what was measured so far is reported', file=sys.stderr)
    shortest = min(map(len, series.values()))
    return {name: values[:shortest] for name, values in series.items()}, memory


def summarise(series: dict[str, list[float]], memory: list[int], full: int) -> dict[str, Any]:
    """Median and 99th percentile by part once the window is full, and how they change."""
    settled = full if len(series['total']) > full + 1 else len(series['total']) // 2
    parts = {
        name: {
            'median': float(np.median(values[settled:])),
            'p99': float(np.percentile(values[settled:], 99)),
        }
        for name, values in series.items()
    }
    summary = {'from_step': settled, 'seconds': parts}
    if len(series['total']) - settled >= 20:
        summary['growth_per_1000_steps'] = {
            name: slope(np.array(series[name][settled:])) for name in ('total', 'processor')
        }
    late = memory[-(-settled // EVERY) :]
    if late:
        summary['allocated_bytes'] = {'first': late[0], 'least': min(late), 'most': max(late)}
    return summary


def start(
    policy: JanusPolicy, mode: str, frame_size: tuple[int, int]
) -> Callable[[np.ndarray], dict[str, float]]:
    """Begin an episode; return what takes a step and tells its seconds by part."""
    if mode == 'recompute':
        recompute = Recompute(policy)
        recompute.reset(INSTRUCTION)
        return lambda frame: recompute.step(frame)[1]
    print(policy.warm_up(frame_size))
    gc.freeze()  # as the navigator does
    policy.reset(INSTRUCTION)
    geometry = bool(policy.model.heads)
    return lambda frame: policy.step(frame, geometry).timings


def measure(
    arguments: argparse.Namespace,
    options: PolicyOptions,
    mode: str,
    device: torch.device,
    computer: Computer,
) -> dict[str, Any]:
    """Run one mode; return what was measured, with every step's times in it."""
    memory = MemoryConfig(
        'windowed' if mode == 'recompute' else mode,
        arguments.initial,
        arguments.recent,
        arguments.history,
        whole_frames=arguments.whole,
        kept_fraction=options.kept_fraction if mode == 'windowed' else 1.0,
        pruning=options.pruning,
    )
    language_weights = None if options.language_weights == AS_LOADED else options.language_weights
    policy = make_policy(
        arguments.model,
        memory,
        device.type,
        options.dtype,
        options.image_width or None,
        language_weights,
        options.geometry_heads if mode != 'recompute' else 'none',
        options.adapter or None,
    )
    loaded = time.perf_counter()
    steps, full = arguments.steps, memory.initial_frames + memory.recent_frames + 2
    if mode == 'recompute':
        steps = min(steps, arguments.recompute_steps)
        full = max(0, steps - 3)  # it has no steady state: the last three steps
    step = start(policy, mode, arguments.frame_size)
    ready = time.perf_counter()
    parts = (*PARTS, 'heads') if policy.model.heads else PARTS
    series, held = run(step, moving_frames(arguments.frame_size), steps, device, mode, parts)
    taken = len(series['total'])
    work = Workload(
        policy.model.config,
        memory,
        policy.model.dtype,
        language_weights,
        arguments.frame_size,
        policy.image_width,
        suffix_tokens=len(policy.encoder.suffix(INSTRUCTION)),
        heads=tuple(policy.model.heads),
    )
    floors = estimate.step(work, max(0, taken - 2), mode == 'recompute')
    result = {
        **(summarise(series, held, full) if taken else {}),
        'complete': taken == steps,
        'parameters': sum(x.numel() for x in work.model().parameters()),
        'first_decision_seconds': ready - loaded + sum(series['total'][:1]),
        'memory_bytes': policy.memory_usage().bytes,
        'heads_bytes': estimate.of_heads(work),
        'least_seconds': {name: part.seconds(computer) for name, part in floors.items()},
        'steps': series,
        'allocated': held,
    }
    if device.type == 'cuda':
        result['peak_bytes'] = torch.cuda.max_memory_allocated(device)
    if mode != 'recompute' and taken == steps:
        del step
        frames = [*islice(moving_frames(arguments.frame_size), 16)]
        result['robots'] = [
            share(policy, count, frames, full, arguments.robot_steps) for count in arguments.robots
        ]
    return result


def write(report: dict[str, Any], folder: Path) -> None:
    """Write benchmark.json, benchmark.md and benchmark.png to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'benchmark.json').write_text(json.dumps(report, indent=1) + '\n', encoding='utf-8')
    (folder / 'benchmark.md').write_text(table(report), encoding='utf-8')
    # with one thread, processor time is what a step takes on a machine that does nothing else
    clock = 'processor' if report['device'] == 'CPU, threads: 1' else 'total'
    lines = {
        mode: (range(1, 1 + len(result['steps'][clock])), result['steps'][clock])
        for mode, result in report['modes'].items()
    }
    title = f'{report["model"]}, {report["device"]}, {report["dtype"]}: time of a step ({clock})'
    draw(lines, title, folder / 'benchmark.png')


def parse_size(text: str) -> tuple[int, int]:
    """Read WIDTHxHEIGHT."""
    width, _, height = text.partition('x')
    try:
        sides = int(width), int(height)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text!r} is not WIDTHxHEIGHT, as 640x480') from error
    if min(sides) < 1:
        raise argparse.ArgumentTypeError(f'{text} has no pixels; 640x480 would')
    return sides


def parser() -> argparse.ArgumentParser:
    """Describe the command's options."""
    options = argparse.ArgumentParser(
        prog='janusvln benchmark', description='Time and memory of a step, by part, over steps.'
    )
    options.add_argument(
        'model',
        nargs='?',
        default='tiny',
        metavar='MODEL',
        help='checkpoint folder, or tiny or full: random weights (default: tiny)',
    )
    options.add_argument('--modes', nargs='+', choices=MODES, default=list(MODES))
    options.add_argument('--steps', type=whole(1), default=120, help='of each mode (default: 120)')
    options.add_argument(
        '--robots',
        nargs='+',
        type=whole(1, 100),
        default=[],
        metavar='N',
        help='measure N policies of one network beside each other as well, as 1 4',
    )
    options.add_argument(
        '--robot-steps', type=whole(1), default=20, help='of each robot then (default: 20)'
    )
    options.add_argument(
        '--recompute-steps',
        type=whole(1),
        default=24,
        help='at most, in mode recompute, whose cost grows (default: 24)',
    )
    options.add_argument(
        '--frame-size',
        type=parse_size,
        metavar='WIDTHxHEIGHT',
        help='of the camera (default: 640x480, for tiny 224x168)',
    )
    for name, text, least, usual in (
        ('--initial', 'initial', 0, 8),
        ('--recent', 'recent', 1, 48),
        ('--history', 'sampled', 1, 8),
    ):
        about = f'{text} frames (default: {usual})'
        options.add_argument(name, type=whole(least, 1000), default=usual, help=about)
    options.add_argument(
        '--whole',
        type=whole(0, 1000),
        default=16,
        help='newest frames that keep all tokens (default: 16)',
    )
    names = 'adapter', 'image_width', 'kept_fraction', 'pruning', 'device', 'dtype'
    more = 'language_weights', 'geometry_heads', 'threads'
    add_options(options, PolicyOptions, *names, *more)
    options.add_argument(
        '--output',
        type=output_folder,
        metavar='DIR',
        help='write benchmark.json, benchmark.md and benchmark.png there',
    )
    options.add_argument(
        '--estimate',
        nargs='+',
        type=estimate.profile_path,
        metavar='PROFILE',
        help='run nothing: memory and least time of a computer, by name or file of '
        'config/computers (laptop_cpu)',
    )
    return options


def main(argv: list[str] | None = None) -> int:
    """Measure or estimate from the command line; 130 when interrupted."""
    usage = parser()
    arguments = usage.parse_args(argv)
    if arguments.estimate:
        estimate.tell(arguments.estimate)
        return 0
    try:
        options = chosen(PolicyOptions, arguments)
        device = choose_device(options.device)
    except ValueError as error:
        usage.error(str(error))
    if options.adapter and arguments.model == 'full':
        usage.error('--adapter: full has random weights; give the folder of a checkpoint')
    if options.threads:
        torch.set_num_threads(options.threads)
    dtype = choose_dtype(options.dtype, device)
    options = replace(options, dtype=str(dtype).removeprefix('torch.'))
    tiny = arguments.model == 'tiny'
    arguments.frame_size = arguments.frame_size or ((224, 168) if tiny else (640, 480))
    computer = estimate.measure(device, dtype)
    report: dict[str, Any] = {
        'model': arguments.model,
        'adapter': options.adapter,
        'device': computer.name,
        'dtype': options.dtype,
        'language_weights': options.language_weights,
        'geometry_heads': options.geometry_heads,
        'machine': f'{platform.machine()}, torch {torch.__version__}',
        'frame_size': 'x'.join(map(str, arguments.frame_size)),
        'sustained': asdict(computer),
        'modes': {},
    }
    complete = True
    for mode in arguments.modes:
        gc.unfreeze()  # the mode before holds memory until it is found
        gc.collect()
        if device.type == 'cuda':
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        result = measure(arguments, options, mode, device, computer)
        complete = result.pop('complete')
        report['parameters'] = result.pop('parameters')
        if result['steps']['total']:
            report['modes'][mode] = result
        if not complete:
            break
    if report['modes']:
        print(table(report))
        if arguments.output:
            write(report, arguments.output)
            print(f'written to {arguments.output}')
    return 0 if complete else 130
