"""`janusvln train STAGE --config FILE`: the stages of training, resumable."""

from __future__ import annotations

import argparse
from dataclasses import replace
import os
from pathlib import Path
import sys

from janusvln_ros.arguments import existing_file, one_line, output_folder, whole
from janusvln_ros.policy.network.config import CheckpointError
from janusvln_ros.training.parallel import processes, rank
from janusvln_ros.training.stage import DONE
from janusvln_ros.training.stage_config import read_config
from janusvln_ros.training.stages import run_stage
from janusvln_ros.training.walk_stages import Lora
import torch


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='janusvln train',
        description='Run a stage of training, or go on with it. Ctrl-C saves. Several GPUs: '
        'torchrun --nproc_per_node=N -m janusvln_ros.cli train …',
    )
    parser.add_argument('stage', help="a stage of the configuration, or 'all' in their order")
    parser.add_argument(
        '--config',
        type=existing_file,
        required=True,
        help='YAML file, for example config/training/tiny.yaml',
    )
    parser.add_argument(
        '--output', type=output_folder, help="folder of the run; default: the file's"
    )
    parser.add_argument(
        '--device',
        choices=('cpu', 'cuda'),
        default='cuda' if torch.cuda.is_available() else 'cpu',
        help='default: %(default)s',
    )
    parser.add_argument(
        '--threads', type=whole(1, 256), default=1, help='of torch on a CPU; default: %(default)s'
    )
    parser.add_argument(
        '--processes',
        type=whole(1),
        default=os.cpu_count() or 1,
        help='that collect data; default: one for each core',
    )
    parser.add_argument(
        '--merge',
        action='store_true',
        help="write the checkpoint with an adapter in it as well (stages of kind 'lora')",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; 2 for a wrong configuration, 130 when it was stopped by Ctrl-C."""
    arguments = _parser().parse_args(argv)
    torch.set_num_threads(arguments.threads)
    try:
        output, stages = read_config(arguments.config)
        if arguments.stage != 'all' and arguments.stage not in stages:
            raise ValueError(
                f'{arguments.config} has no stage {arguments.stage!r}; there are '
                f'{", ".join(stages)}, and all'
            )
        wanted = list(stages) if arguments.stage == 'all' else [arguments.stage]
        if arguments.merge:
            merged = {
                name: replace(stage, merge=True)
                for name, stage in stages.items()
                if name in wanted and isinstance(stage, Lora)
            }
            if not merged:
                raise ValueError(f"--merge is for stages of kind 'lora'; {wanted} has none")
            stages = {**stages, **merged}
        with processes(arguments.device) as device:
            folder = arguments.output or Path(output)
            for name in wanted:
                if rank() == 0 and (folder / name / DONE).exists():
                    print(f'{name}: done already ({folder / name})')
                if not run_stage(stages, name, folder, device, arguments.processes):
                    if rank() == 0:
                        print(f'{name}: stopped and saved; the same command goes on')
                    return 130
    except (ValueError, FileNotFoundError, RuntimeError, CheckpointError) as error:
        print(f'janusvln train: {one_line(error)}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('stopped; the same command goes on', file=sys.stderr)
        return 130
    return 0
