"""
Compare the actions of INT8 and INT4 language-model weights with those of bfloat16.

    python benchmarks/quantization_agreement.py DIR... [--device cuda]

DIR: folders with a checkpoint and episodes, as `janusvln parity` takes them. For each mode and
kind: steps with the same best action, those of them whose two best actions are more than 0.1 nats
apart in bfloat16, and the relative distance of the logits.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from janusvln_ros.measurement.differences import REDUCED_MARGIN
from janusvln_ros.measurement.parity import find_episodes, read_frame, read_meta
from janusvln_ros.policy import JanusPolicy, MemoryConfig
from janusvln_ros.policy.graphs import StepGraphs
from janusvln_ros.policy.network.quantization import KINDS
import torch
from tqdm import tqdm


def decide(folder: Path, mode: str, kind: str | None, device: str) -> tuple[torch.Tensor, ...]:
    """Run an episode; the answers' log-probabilities (steps, 4) and the logits (steps, vocab)."""
    meta = read_meta(folder)
    memory = MemoryConfig(
        mode, meta['cache_start_size'], meta['cache_recent_size'], meta['num_history']
    )
    policy = JanusPolicy.from_pretrained(
        folder.parent.parent / 'checkpoint',
        device,
        'bfloat16',
        image_width=meta['target_size'],
        memory=memory,
        language_weights=kind,
    )
    policy.reset(meta['instruction'])
    frames = [read_frame(folder, step) for step in range(len(meta['steps']))]
    with StepGraphs.eager():  # to compile takes longer than an episode
        decisions = [policy.step(frame) for frame in frames]
    answers = [list(decision.log_probabilities.values()) for decision in decisions]
    return torch.tensor(answers), torch.stack([decision.logits for decision in decisions])


def main() -> None:
    """Compare, and print one line for each mode and kind."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('folders', nargs='+', type=Path, metavar='DIR')
    parser.add_argument('--device', default='cpu')
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    episodes = find_episodes(arguments.folders)
    runs = [(mode, folder) for mode in ('sampled', 'windowed') for folder in episodes]
    results: dict[tuple[str, str], list[tuple[torch.Tensor, ...]]] = {}
    for mode, folder in tqdm(runs, unit='episode', disable=None):
        answers, logits = decide(folder, mode, None, arguments.device)
        two = answers.topk(2).values
        clear = two[:, 0] - two[:, 1] > REDUCED_MARGIN
        for kind in KINDS:
            other, their = decide(folder, mode, kind, arguments.device)
            same = other.argmax(1) == answers.argmax(1)
            distance = (their - logits).norm(dim=1) / logits.norm(dim=1)
            results.setdefault((mode, kind), []).append((same, clear, distance))
    for (mode, kind), parts in results.items():
        same, clear, distance = (torch.cat(part) for part in zip(*parts))
        print(
            f'{mode} {kind}: {int(same.sum())} of {len(same)} actions as in bfloat16, '
            f'{int((same & clear).sum())} of {int(clear.sum())} of the clear ones; '
            f'logits differ by {100 * distance.median():.1f} % (median)'
        )


if __name__ == '__main__':
    main()
