"""`janusvln evaluate`: a policy on episodes, in numbers and pictures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
import os
from pathlib import Path
import sys
from typing import Any

from janusvln_ros.arguments import one_line, output_file, output_folder, real, whole
from janusvln_ros.episodes import splits
from janusvln_ros.episodes.grammar import CATEGORIES
from janusvln_ros.episodes.vln_ce import write_episodes, write_ground_truth
from janusvln_ros.evaluation.ablations import agent_of, ROW, ROWS, write_ablations
from janusvln_ros.evaluation.agents import AgentSpec, BASELINES
from janusvln_ros.evaluation.report import markdown, write_report
from janusvln_ros.evaluation.runner import EnvironmentSpec, evaluate, rank_and_size, Run
from janusvln_ros.evaluation.samples import write_samples
from janusvln_ros.parameters import add_options, build, given
from janusvln_ros.policy.load import choose_device, choose_dtype
from janusvln_ros.policy.options import PolicyOptions
from tqdm import tqdm

_PRINTED = ('all', 'category', 'held_out_phrasing', 'held_out_pair')
_MEMORY = (
    'memory_mode',
    'initial_frames',
    'recent_frames',
    'history_frames',
    'kept_fraction',
    'pruning',
)


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    result = argparse.ArgumentParser(
        prog='janusvln evaluate',
        description=__doc__,
        epilog='Splits of the embedded world: ' + ', '.join(splits.SPLITS) + f'; all are of '
        f'version {splits.VERSION}. Started again with the same options, a run goes on where it '
        'was. Under torchrun every rank takes its share of the episodes.',
    )
    result.add_argument(
        '--policy',
        default='expert',
        help=f'a folder with a checkpoint, or one of {", ".join(BASELINES)}; with --ablations, '
        f'{ROW} in it stands for the name of each row, which then has a checkpoint of its own',
    )
    result.add_argument('--split', default='val_unseen_small', help='default: %(default)s')
    result.add_argument(
        '--category',
        action='append',
        choices=CATEGORIES,
        metavar='NAME',
        help='only this category, may be repeated: ' + ', '.join(CATEGORIES),
    )
    result.add_argument('--episodes', type=whole(1), help='the first ones only')
    result.add_argument(
        '--output',
        type=output_folder,
        help='folder of the run; default: out/evaluate/POLICY/SPLIT',
    )
    result.add_argument(
        '--processes', type=whole(1), help='default: one, or one per CPU core for the baselines'
    )
    result.add_argument('--seed', type=whole(), default=0, help='of the random policy')
    result.add_argument(
        '--max-steps',
        type=whole(1),
        default=splits.MAX_STEPS,
        help='of an episode in the embedded world; default: %(default)s',
    )
    result.add_argument(
        '--no-slide',
        action='store_true',
        help="stand before an obstacle (RxR-CE's rule) instead of sliding on",
    )
    result.add_argument(
        '--driven',
        action='store_true',
        help='drive a real body in physics, by the motion executor, instead of exact steps',
    )
    result.add_argument(
        '--videos',
        type=whole(),
        default=0,
        metavar='N',
        help='write videos of the first N episodes',
    )
    result.add_argument(
        '--hash-pictures',
        action='store_true',
        help='draw and hash the pictures for policies that do not see, too',
    )
    result.add_argument(
        '--shuffle-instructions',
        action='store_true',
        help="give each episode another one's instruction (a control)",
    )
    model = result.add_argument_group('checkpoints')
    model.add_argument(
        '--device',
        default='auto',
        help="auto, cuda, cuda:1 or cpu; auto is this rank's GPU if there is one",
    )
    names = 'adapter', 'dtype', 'image_width', 'geometry_heads'
    add_options(model, PolicyOptions, *names, *_MEMORY)
    model.add_argument('--lam', type=real(0.0), help='weight of geometry; 0 is without geometry')
    model.add_argument(
        '--ablations',
        nargs='*',
        metavar='ROW',
        help="the paper's ablations, all or some rows: " + ', '.join(ROWS),
    )
    habitat = result.add_argument_group('Habitat')
    habitat.add_argument(
        '--env',
        choices=('house', 'habitat'),
        default='house',
        help='the embedded world, or Habitat where it is installed',
    )
    habitat.add_argument('--habitat-config', default='r2r', help='r2r, rxr, or a YAML file')
    other = result.add_argument_group('instead of an evaluation')
    other.add_argument(
        '--samples',
        type=output_file,
        metavar='HTML',
        help="write a page with the expert's pictures beside the instructions",
    )
    other.add_argument('--per-category', type=whole(1), default=4, help='episodes on that page')
    other.add_argument(
        '--export',
        type=output_folder,
        metavar='FOLDER',
        help='write the split as VLN-CE files: SPLIT.json.gz, SPLIT_gt.json.gz',
    )
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status (2: an error, 130: interrupted)."""
    options = parser().parse_args(argv)
    try:
        return _run(options)
    except (ValueError, RuntimeError, OSError, ModuleNotFoundError, TypeError) as error:
        print(f'janusvln evaluate: {one_line(error)}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('interrupted; the same command goes on from here', file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    categories = tuple(options.category or CATEGORIES)
    if options.env == 'house':
        split = splits.find_split(options.split)
        if options.samples:
            write_samples(options.samples, split.name, categories, options.per_category)
            print(f'wrote {options.samples}')
            return 0
        if options.export:
            _export(options.export, split, categories, options.episodes)
            return 0
        environment = EnvironmentSpec(
            split.full_name,
            slide=not options.no_slide,
            driven=options.driven,
            max_steps=options.max_steps,
        )
    else:
        environment = EnvironmentSpec(options.split, habitat_config=options.habitat_config)
    agent = _agent(options)
    folder = options.output or Path(
        'out', 'evaluate', Path(options.policy).name, environment.split
    )
    processes = options.processes or (
        (os.cpu_count() or 1) if options.policy in BASELINES and options.env == 'house' else 1
    )

    asked = options.episodes, options.hash_pictures, options.videos
    run = Run(folder, agent, environment, categories, *asked)
    if options.ablations is None:
        summaries = _evaluate(run, processes)
        if summaries is not None:
            print(markdown({key: summaries[key] for key in _PRINTED if key in summaries}))
            print(f'report: {folder / "report.html"}')
        return 0
    if options.policy in BASELINES:
        raise ValueError('ablations are of a checkpoint: --policy FOLDER')
    agents = {
        row: agent_of(row, agent.changed(policy=options.policy.replace(ROW, row)))
        for row in options.ablations or ROWS
    }
    for each in agents.values():
        each.check()
    rows: dict[str, Any] = {}
    for row in tqdm(agents, desc='ablations', unit='row'):
        summaries = _evaluate(replace(run, folder=folder / row, agent=agents[row]), processes)
        if summaries is not None:
            rows[row] = summaries['all']['all']
    if rank_and_size()[0] == 0 and rows:
        print(write_ablations(folder, rows))
    return 0


def _evaluate(run: Run, processes: int) -> dict[str, Any] | None:
    """Run and write the report; None where other ranks are not done yet, the last one writes."""
    records = evaluate(run, processes=processes)
    environment = run.environment.make()
    expected = len(environment.keys(list(run.categories))[: run.episodes])
    if len(records) < expected:
        print(f'{len(records)} of {expected} episodes are done; other ranks are at work')
        return None
    return write_report(run.folder, records)


def _agent(options: argparse.Namespace) -> AgentSpec:
    settings = given(PolicyOptions, options)
    device = settings.pop('device')  # here it may be cuda:1 as well
    model = build(PolicyOptions, settings)  # checks them all
    spec = AgentSpec(
        options.policy,
        model.adapter or None,
        seed=options.seed,
        lam=options.lam,
        image_width=model.image_width or None,
        shuffled=options.shuffle_instructions,
        geometry_heads=model.geometry_heads,
        memory={
            name.removeprefix('memory_'): settings[name] for name in _MEMORY if name in settings
        },
    )
    if options.ablations is None or ROW not in options.policy:
        spec.check()
    if options.policy in BASELINES:
        return spec
    model.memory()  # checks what the memory's options are together
    device = choose_device(device)
    dtype = choose_dtype(model.dtype, device)
    return spec.changed(device=str(device), dtype=str(dtype).removeprefix('torch.'))


def _export(
    folder: Path, split: splits.Split, categories: Sequence[str], count: int | None
) -> None:
    """Write a split's episodes and trajectories as VLN-CE files."""
    numbers = splits.numbers_of(split, categories)[:count]
    built = [splits.build_episode(split, number) for number in tqdm(numbers, unit='episode')]
    write_episodes(folder / f'{split.full_name}.json.gz', [episode for episode, _ in built])
    write_ground_truth(
        folder / f'{split.full_name}_gt.json.gz',
        {str(episode.episode_id): truth for episode, truth in built},
    )
    print(f'wrote {folder / split.full_name}.json.gz and …_gt.json.gz')


if __name__ == '__main__':
    sys.exit(main())
