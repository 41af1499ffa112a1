"""
Golden data against the policy: ``janusvln parity DIR...``.

A golden folder holds models (``checkpoint/``) with episodes (``episodes/*/``): camera frames, and
what the published network (``meta.json``, ``golden.safetensors``) and an oracle of the windowed
memory (``windowed.json``, ``windowed.safetensors``) computed on them. The frames go through
`JanusPolicy`, as on the robot; hooks read what its modules compute. Episodes of the dense heads
have no decisions and go through `depth_parity`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
import hashlib
import json
from pathlib import Path
from typing import Any

from janusvln_ros.actions import Action
from janusvln_ros.measurement.depth_parity import is_depth_episode, run_depth_episode
from janusvln_ros.measurement.differences import (
    REDUCED_AGREEMENT,
    REDUCED_MARGIN,
    Report,
    table,
    verdict,
)
from janusvln_ros.measurement.goldens import read_frame, read_meta, tensors_of
from janusvln_ros.policy.context import Context
from janusvln_ros.policy.decoding import penalise
from janusvln_ros.policy.graphs import StepGraphs
from janusvln_ros.policy.interface import Decision
from janusvln_ros.policy.janus import JanusPolicy
from janusvln_ros.policy.load import choose_device
from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.network.config import CheckpointError
from janusvln_ros.policy.preprocessing import GEOMETRY_MEAN, GEOMETRY_STD
from janusvln_ros.policy.prompt import Prompt
from janusvln_ros.policy.wording import history
import numpy as np
from safetensors.torch import load_file
import torch
from tqdm import tqdm

REL_L2 = 1e-4  # of every float tensor
LOGITS = 2e-4  # largest absolute difference
LOG_PROBABILITY = 5e-4
PIXELS = 1e-6
NEAR_TIE = 1e-3  # a generated token with less margin may differ, and all after it


class Recorder:
    """What the modules of a policy computed in the latest step, read by hooks."""

    def __init__(self, policy: JanusPolicy) -> None:
        self.policy = policy
        self.seen: dict[str, torch.Tensor] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record while the context lasts."""
        model = self.policy.model
        aggregator = model.vggt.aggregator
        last_used = aggregator.global_blocks[aggregator.config.num_used_blocks - 1]
        last = model.model.layers[-1]
        tower, language = model.visual, model.model
        inputs = {'geometry_pixels': aggregator, 'vision_rows': tower, 'embeddings': language}
        outputs = {
            'features': aggregator,
            'geometry': model.merger,
            'semantics': tower,
            'qkv_first': aggregator.global_blocks[0].get_submodule('attn.qkv'),
            'qkv_last': last_used.get_submodule('attn.qkv'),
            'keys': last.get_submodule('self_attn.k_proj'),
            'values': last.get_submodule('self_attn.v_proj'),
            'answers': model.lm_head,
        }
        handles = [m.register_forward_pre_hook(self._input(n)) for n, m in inputs.items()]
        handles += [m.register_forward_hook(self._output(n)) for n, m in outputs.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _input(self, name: str) -> Callable[..., None]:
        return lambda module, arguments: self._note(name, arguments[0])

    def _output(self, name: str) -> Callable[..., None]:
        return lambda module, arguments, output: self._note(name, output)

    def _note(self, name: str, tensor: torch.Tensor) -> None:
        # a free answer runs the language model again; the first run of a step is the one
        self.seen.setdefault(name, tensor[0].float().cpu())

    def step(self, rgb: np.ndarray) -> Decision:
        """Take a step of the policy, recorded."""
        self.seen.clear()
        with StepGraphs.eager(), self.recording():
            return self.policy.step(rgb)

    @property
    def episode(self) -> Context:
        """Give the policy's episode, which its first step begins."""
        assert self.policy.episode is not None
        return self.policy.episode

    def frame_norm(self, name: str, part: int) -> torch.Tensor:
        """L2 norm of a frame's raw queries, keys or values (part 0, 1, 2), from 'qkv_...'."""
        return self.seen[name].chunk(3, dim=-1)[part].norm()


def check_sampled(
    policy: JanusPolicy, folder: Path, report: Report, progress: Callable[[], object]
) -> None:
    """Run an episode against what the published network computed."""
    meta = read_meta(folder)
    golden = load_file(folder / 'golden.safetensors')
    recorder = Recorder(policy)
    rows: list[np.ndarray] = []  # pixel rows of every frame so far
    norms: dict[str, list[torch.Tensor]] = {'k0': [], 'vlast': []}
    exact = policy.model.dtype == torch.float32
    policy.reset(meta['instruction'])
    for step, expected in enumerate(meta['steps']):
        want = tensors_of(golden, step)
        before = policy.memory_usage().frames
        decision = recorder.step(read_frame(folder, step))
        seen, episode = recorder.seen, recorder.episode
        prompt, positions = episode.prompt, episode.positions
        frames = history(step, policy.memory.history_frames)
        ids = prompt.ids(len(frames))
        answers = torch.tensor(list(decision.log_probabilities.values()))
        report.action(answers, want['action_logprob'])
        rows.append(seen['vision_rows'].numpy())
        if step == 0:
            first_semantics = seen['semantics']
        norms['k0'].append(recorder.frame_norm('qkv_first', 1))
        norms['vlast'].append(recorder.frame_norm('qkv_last', 2))
        kept = episode.geometry.retained()

        report.same('history', frames, expected['history'])
        report.same('input_ids', ids, want['input_ids'].tolist())
        report.same('position_ids', positions.tolist(), want['position_ids'].tolist())
        report.same('rope_delta', int(positions.max()) + 1 - len(ids), expected['rope_delta'])
        grid = [1, *prompt.grid.vision]
        report.same('image_grid_thw', [grid] * len(frames), want['image_grid_thw'].tolist())
        report.same('cache_frames_before', before, expected['cache_frames_before'])
        report.same('cache_frame_ids', kept, expected['cache_frame_ids_after'])
        check_pixels(report, seen, [rows[frame] for frame in frames], expected, want)

        special = policy.model.config.geometry.num_special_tokens
        patches = want.get('vggt_feat_rows', torch.empty(0)).long()
        merged = want.get('embed_rows', torch.empty(0)).long()
        few = merged[: len(want.get('vis_first', ()))]
        fused = seen['embeddings'][: len(ids)][torch.tensor(ids) == prompt.block[1]]
        fused = fused.unflatten(0, (len(frames), -1))
        for name, got in {
            'vggt_feat': seen['features'][special:][patches],
            'vggt_special': seen['features'][:special],
            'embeds3d': seen['geometry'][merged],
            'vis_last': seen['semantics'][merged],
            'vis_first': first_semantics[few],
            'fused_last': fused[-1][merged],
            'fused_first': fused[0][few],
            'cache_k0_frame_norm': torch.stack([norms['k0'][frame] for frame in kept]),
            'cache_vlast_frame_norm': torch.stack([norms['vlast'][frame] for frame in kept]),
        }.items():
            report.close(name, got, want.get(name), relative=REL_L2)
        scores = penalise(decision.logits, prompt.vocabulary, policy.repetition_penalty)
        for name, got in {'logits0': decision.logits, 'scores0': scores}.items():
            report.close(name, got, want[name], relative=REL_L2, absolute=LOGITS)
        report.close('action_logprob', answers, want['action_logprob'], absolute=LOG_PROBABILITY)
        best = Action(int(answers.argmax())).name
        report.same('action', best, expected['action_argmax'])
        if exact:
            check_answer(report, seen['answers'], policy, prompt, decision, expected, want)
        progress()


def check_pixels(
    report: Report,
    seen: dict[str, torch.Tensor],
    rows: list[np.ndarray],
    expected: dict[str, Any],
    want: dict[str, torch.Tensor],
) -> None:
    """Compare what goes into the encoders; `rows` are the pixel rows of the prompt's images."""
    mean = torch.tensor(GEOMETRY_MEAN).view(3, 1, 1)
    deviation = torch.tensor(GEOMETRY_STD).view(3, 1, 1)
    image = ((seen['geometry_pixels'] * deviation + mean) * 255).round().to(torch.uint8)
    _, height, width = image.shape
    report.same('vggt_image_sha256', digest(image.numpy()), expected['vggt_img_uint8_sha256'])
    report.close(
        'vggt_img_slice',
        image[:, :: height // 8, :: width // 8].float() / 255,
        want.get('vggt_img_slice'),
        absolute=PIXELS,
    )
    values = np.concatenate(rows)
    report.same('pixel_values_shape', list(values.shape), expected['pixel_values_shape'])
    if digest(values) == expected['pixel_values_sha256']:
        report.same('pixel_values_sha256', True, True)
    else:
        # another order of operations is allowed, within a rounding
        for name, got in {'pixel_mean': values.mean(), 'pixel_std': values.std()}.items():
            report.close(name, torch.tensor(got), torch.tensor(expected[name]), absolute=1e-5)
    if 'pixel_rows' in want:
        selected = torch.from_numpy(rows[-1])[want['pixel_row_index'].long()]
        report.close('pixel_rows', selected, want['pixel_rows'], absolute=PIXELS)


def check_answer(
    report: Report,
    tree_logits: torch.Tensor,
    policy: JanusPolicy,
    prompt: Prompt,
    decision: Decision,
    expected: dict[str, Any],
    want: dict[str, torch.Tensor],
) -> None:
    """Compare a freely generated answer, up to the first near-tie; check the constrained one."""
    ties = (want['gen_margin'] < NEAR_TIE).nonzero()
    length = int(ties[0]) if len(ties) else len(want['gen_ids'])
    generation = decision.generation
    report.same('gen_ids', generation.tokens[:length], want['gen_ids'].tolist()[:length])
    if length and generation.tokens[:length] == want['gen_ids'].tolist()[:length]:
        best = torch.stack(generation.scores[:length]).topk(2).values
        chosen = [row[token] for row, token in zip(generation.logits, generation.tokens[:length])]
        for name, got in {
            'gen_margin': best[:, 0] - best[:, 1],
            'gen_chosen_logit': torch.stack(chosen),
        }.items():
            report.close(name, got, want[name][:length], absolute=LOGITS)
    if length == len(want['gen_ids']):
        report.same('text', decision.text, expected['text'])
        report.same(
            'decoded_action', decision.action.name, expected['decoded_action'].partition(' ')[0]
        )
    if decision.text in Action.__members__:
        constrained, _ = policy.tree.constrained(
            policy.tree.edges(tree_logits), prompt.vocabulary, policy.repetition_penalty
        )
        report.same('constrained', constrained, decision.action)


def check_windowed(
    policy: JanusPolicy, folder: Path, report: Report, progress: Callable[[], object]
) -> None:
    """Run an episode against what the oracle of the windowed memory computed."""
    meta = read_meta(folder)
    oracle = json.loads((folder / 'windowed.json').read_text(encoding='utf-8'))
    golden = load_file(folder / 'windowed.safetensors')
    recorder = Recorder(policy)
    policy.reset(meta['instruction'])
    for step, expected in enumerate(oracle['steps']):
        want = tensors_of(golden, step)
        attended = [*recorder.episode.language.retained(), step] if step else [0]
        decision = recorder.step(read_frame(folder, step))
        seen, episode = recorder.seen, recorder.episode
        prompt = episode.prompt
        answers = torch.tensor(list(decision.log_probabilities.values()))
        report.action(answers, want['action_logprob'])
        report.same('attended', attended, expected['attended'])
        report.same('kept', episode.language.retained(), expected['kept'])
        report.same('prefix_len', len(prompt.prefix), expected['prefix_len'])
        report.same('block_len', len(prompt.block), expected['block_len'])
        report.same('suffix_len', len(prompt.suffix), expected['suffix_len'])

        start = 0 if step else len(prompt.prefix)
        end = start + len(prompt.block)
        gone = (step + 1 - len(attended)) * prompt.advance  # the sequence as a whole stands higher
        positions = episode.positions - gone
        report.same(
            'positions',
            [
                positions[:, start].tolist(),
                positions[:, end - 1].tolist(),
                int(positions[0, end]),
                int(positions[0, -1]),
            ],
            [
                expected['first_block_position'],
                expected['last_block_position'],
                expected['first_suffix_position'],
                expected['last_suffix_position'],
            ],
        )
        heads = policy.model.config.language.num_key_value_heads
        for name, got in {
            'fused': seen['embeddings'][start + 1 : end - 1][: len(want.get('fused', ()))],
            'last_layer_key_mean': seen['keys'][start:end].mean(0).unflatten(0, (heads, -1)),
            'last_layer_value_mean': seen['values'][start:end].mean(0).unflatten(0, (heads, -1)),
        }.items():
            report.close(name, got, want.get(name), relative=REL_L2)
        report.close('logits', decision.logits, want['logits'], relative=REL_L2, absolute=LOGITS)
        report.close('action_logprob', answers, want['action_logprob'], absolute=LOG_PROBABILITY)
        report.same('action', int(answers.argmax()), int(want['action_logprob'].argmax()))
        progress()


DEPTH = 'depth'
CHECKS = {
    'sampled': ('golden.safetensors', check_sampled),
    'windowed': ('windowed.safetensors', check_windowed),
}


def digest(array: np.ndarray) -> str:
    """SHA-256 of an array's bytes in C order."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def find_episodes(folders: list[Path]) -> list[Path]:
    """Find all episode folders in or below the given ones."""
    return sorted({meta.parent for folder in folders for meta in folder.rglob('meta.json')})


def run_episode(
    folder: Path, mode: str, device: str, dtype: str, progress: Callable[[], object] = lambda: None
) -> Report:
    """Run one episode folder in one memory mode; raises CheckpointError as the policy does."""
    if mode == DEPTH:
        return run_depth_episode(folder, device, dtype, progress)
    meta = read_meta(folder)
    policy = JanusPolicy.from_pretrained(
        folder.parent.parent / 'checkpoint',
        device=device,
        dtype=dtype,
        image_width=meta['target_size'],
        memory=MemoryConfig(
            mode, meta['cache_start_size'], meta['cache_recent_size'], meta['num_history']
        ),
        decoding='published' if mode == 'sampled' else 'constrained',
    )
    report = Report()
    CHECKS[mode][1](policy, folder, report, progress)
    return report


def main(argv: list[str] | None = None) -> int:
    """Compare from the command line; 0 when everything is within tolerance, else 1."""
    parser = argparse.ArgumentParser(
        prog='janusvln parity',
        description='Run golden folders through the policy and compare every tensor.',
    )
    parser.add_argument('folders', nargs='+', type=Path, metavar='DIR', help='golden folder')
    parser.add_argument('--mode', choices=(*CHECKS, 'both'), default='both', help='memory mode')
    parser.add_argument('--device', default='cpu', help='torch device (default: cpu)')
    parser.add_argument(
        '--dtype',
        choices=('float32', 'bfloat16', 'float16'),
        default='float32',
        help='below float32, only logits, the agreement of actions and depth are judged',
    )
    arguments = parser.parse_args(argv)
    exact = arguments.dtype == 'float32'
    modes = tuple(CHECKS) if arguments.mode == 'both' else (arguments.mode,)
    runs = [
        (folder, mode)
        for folder in find_episodes(arguments.folders)
        for mode in ((DEPTH,) if is_depth_episode(folder) else modes)
        if mode == DEPTH or (folder / CHECKS[mode][0]).exists()
    ]
    try:
        choose_device(arguments.device)
    except ValueError as error:
        parser.error(str(error))
    if not runs:
        parser.error(f'no golden episodes below {", ".join(map(str, arguments.folders))}')
    failed, totals = [], {mode: [0, 0, 0] for mode in modes}
    steps = sum(len(read_meta(folder)['steps']) for folder, _ in runs)
    with tqdm(total=steps, unit='step', disable=None) as bar:
        for folder, mode in runs:
            title = f'{folder.parent.parent.name}/{folder.name} {mode}'
            bar.set_description(title)
            try:
                report = run_episode(folder, mode, arguments.device, arguments.dtype, bar.update)
            except KeyboardInterrupt:
                bar.write('stopped')
                return 130
            except (CheckpointError, OSError, KeyError, ValueError) as error:
                failed.append(title)
                bar.write(f'{title}: FAIL, {type(error).__name__}: {error}')
                continue
            wrong = verdict(report, exact)
            failed += [title] * bool(wrong)
            if mode in totals:
                for index, count in enumerate((report.steps, report.clear, report.agreed)):
                    totals[mode][index] += count
            bar.write(f'{title}: {"FAIL: " + ", ".join(wrong) if wrong else "pass"}')
            bar.write(f'  {"tensor":24}steps  max abs    rel L2   limits\n{table(report, exact)}')
    for mode, (steps, clear, agreed) in totals.items():
        if not steps:
            continue
        print(
            f'{mode}: {steps} steps; best action the same in {agreed} of {clear} whose two best '
            f'are more than {REDUCED_MARGIN} nats apart'
        )
        if not exact and agreed < REDUCED_AGREEMENT * clear:
            failed.append(f'agreement of actions in {mode} mode')
    print('FAIL: ' + '; '.join(failed) if failed else 'PASS')
    return 1 if failed else 0
