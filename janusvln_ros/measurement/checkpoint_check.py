"""A checkpoint, before a robot depends on it: what is in it, where it fits, what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
import time

import cv2
from janusvln_ros.actions import ACTION_NAMES
from janusvln_ros.measurement.estimate import Workload
from janusvln_ros.measurement.findings import FAIL, Finding, OK, WARN
from janusvln_ros.measurement.room import free, needed, workload
from janusvln_ros.policy.decoding import read_repetition_penalty
from janusvln_ros.policy.load import choose_device, load_policy
from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.config import CheckpointError, JanusConfig, read_json
from janusvln_ros.policy.network.quantization import KINDS
from janusvln_ros.policy.options import PolicyOptions
from janusvln_ros.policy.prompt import check_tokens, PromptEncoder
import numpy as np
import torch

INSTRUCTION = 'Turn to the right. Walk to the plant and stop.'
ROUNDS = 2  # times that the pictures are shown; the first step also warms up
_SHOWN = 60  # characters of an answer that is none
_GET = 'docs/weights.md tells where the published weights are; download the folder again, whole'
_FOREIGN = 'give the folder of a JanusVLN checkpoint, the one with config.json in it'


def check_checkpoint(options: PolicyOptions, load: bool) -> Iterator[Finding]:
    """
    Look at a checkpoint's files, its room on the device and, with `load`, its answers.

    Only the headers of the weights are read before it is loaded; it is loaded only if all is well
    so far. Raises ValueError for options that contradict each other or the machine.
    """
    folder = Path(options.checkpoint)
    device = choose_device(options.device)
    options.memory()  # ValueError before anything is said
    try:
        config = JanusConfig.from_folder(folder)
    except CheckpointError as error:
        yield Finding(FAIL, 'checkpoint', _line(error), _FOREIGN)
        return
    yield Finding(OK, 'checkpoint', f'{folder} is described as a JanusVLN checkpoint')
    well = True
    looks: tuple[Callable[[], Finding], ...] = (
        lambda: _weights(folder, config),
        lambda: _tokenizer(folder, config),
        lambda: _generation(folder),
        lambda: _room(workload(options, Workload.frame_size, device), device),
    )
    for look in looks:
        finding = look()
        well = well and finding.mark != FAIL
        yield finding
    if not load:
        yield Finding(OK, 'answers', 'not asked for: it was not loaded (--no-load)')
    elif not well:
        yield Finding(WARN, 'answers', 'not asked for: it cannot be loaded', 'what is said above')
    else:
        yield from _answers(options, config)


def _weights(folder: Path, config: JanusConfig) -> Finding:
    try:
        found = checkpoint.tensor_files(folder)
        checkpoint.check(checkpoint.shapes(checkpoint.build(config)), found, str(folder))
    except CheckpointError as error:
        return Finding(FAIL, 'weights', _line(error), _GET)
    kinds: Counter[str] = Counter()
    for path, names in found.items():
        with checkpoint.open_shard(path, 'cpu') as shard:
            kinds.update(shard.get_slice(name).get_dtype() for name in names)
    size = sum(path.stat().st_size for path in found) / 1e9
    count = sum(kinds.values())
    stored = ' and '.join(sorted(kinds))
    text = f'{count} tensors in {len(found)} files, {size:.2f} GB, stored as {stored}'
    return Finding(OK, 'weights', text)


def _tokenizer(folder: Path, config: JanusConfig) -> Finding:
    try:
        encoder = PromptEncoder(folder)
        check_tokens(encoder, config, str(folder))
        ends = read_json(folder / 'generation_config.json').get('eos_token_id')
        if encoder.end_of_turn not in (ends if isinstance(ends, list) else [ends]):
            raise CheckpointError(
                f"{folder}: the tokenizer's <|im_end|> is {encoder.end_of_turn}, an answer ends "
                f'with {ends} by generation_config.json'
            )
    except CheckpointError as error:
        return Finding(
            FAIL, 'tokenizer', _line(error), 'take the files beside the weights from one download'
        )
    return Finding(
        OK, 'tokenizer', f"{len(encoder.tokenizer)} tokens, Qwen2.5-VL's control tokens among them"
    )


def _generation(folder: Path) -> Finding:
    about = 'generation settings'
    try:
        penalty = read_repetition_penalty(folder)
    except CheckpointError as error:
        return Finding(FAIL, about, _line(error), 'take these settings out of the file')
    return Finding(OK, about, f'greedy, repetition penalty {penalty:g}')


def _room(work: Workload, device: torch.device) -> Finding:
    """Compare what the policy takes with what is free, on the GPU or in the computer's memory."""

    def need(work: Workload) -> float:
        return sum(needed(work, device).values()) / 1e9

    cuda = device.type == 'cuda'
    where = torch.cuda.get_device_name(device) if cuda else 'this computer'
    taken, left, memory = need(work), free(device), work.memory
    text = (
        f'{taken:.2f} GB are needed in {str(work.dtype).removeprefix("torch.")}, {memory.mode}, '
        f'{memory.initial_frames} + {memory.recent_frames} frames; '
        f'{left / 1e9:.1f} GB are free on {where}'
    )
    if taken * 1e9 <= left:
        return Finding(OK, 'room', text)
    less = ', '.join(
        f'--language-weights {kind}: {need(replace(work, language_weights=kind)):.2f} GB'
        for kind in KINDS
    )
    fewer = replace(work, memory=replace(memory, recent_frames=max(1, memory.recent_frames // 2)))
    do = f'{less}; --recent-frames {fewer.memory.recent_frames}: {need(fewer):.2f} GB'
    return Finding(FAIL, 'room', text, f'{do}; or another card (docs/performance.md)')


def _answers(options: PolicyOptions, config: JanusConfig) -> Iterator[Finding]:
    """Load, decide from the pictures that come with the package, and see whether it speaks."""
    started = time.perf_counter()
    try:
        policy = load_policy(replace(options, decoding='published'))
        loaded = time.perf_counter()
        policy.reset(INSTRUCTION)
        texts, times = [], []
        for picture in [*pictures()] * ROUNDS:
            begun = time.perf_counter()
            texts.append(policy.step(picture).text)
            times.append(time.perf_counter() - begun)
    except (RuntimeError, ValueError, ImportError) as error:
        yield Finding(FAIL, 'loading', _line(error), 'another --device, --dtype or card')
        return
    seconds = sorted(times[1:])[len(times) // 2 - 1]
    yield Finding(
        OK,
        'loading',
        f'{loaded - started:.1f} s to load; a step takes {seconds:.2f} s with an almost empty '
        f'memory on {policy.model.device}, the first took {times[0]:.2f} s',
    )
    strange = [text for text in texts if text.strip() not in ACTION_NAMES]
    if config.random_weights:
        said = 'config.json says that its weights are random'
    elif strange:
        said = (
            f'{len(strange)} of {len(texts)} answers are no action, such as '
            f'{strange[0][:_SHOWN]!r}: these are no trained weights of JanusVLN, or damaged ones'
        )
    else:
        yield Finding(OK, 'answers', f'to {len(texts)} pictures it speaks in actions: {texts[-1]}')
        return
    yield Finding(FAIL, 'answers', said, _GET)


def pictures() -> Iterator[np.ndarray]:
    """Give the pictures that come with the package: uint8 (240, 320, 3), RGB."""
    folder = files('janusvln_ros') / 'measurement' / 'pictures'
    for name in ('1.jpg', '2.jpg', '3.jpg'):
        data = np.frombuffer((folder / name).read_bytes(), np.uint8)
        rgb = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
        assert rgb is not None  # it is one of ours
        yield rgb


def _line(error: Exception) -> str:
    """Write an error in one line: what it says, and the first thing that it names."""
    first, *more = [line for line in str(error).splitlines() if line.strip()] or ['no reason']
    named = f'; {more[0]}' if more else ''
    return f'{first}{named}' + (f' and {len(more) - 1} more' if len(more) > 1 else '')
