"""
Teach a checkpoint something new from a robot's drives, and measure it before and after.

    python examples/new_thing.py out/new_thing

In houses of the simulator that have a turquoise barrel, which models/janusvln-tiny was never
taught, somebody drives by joystick; a bag records it. The bags become trajectories, these train an
adapter, mixed with walks of what the checkpoint knows. It then drives in other houses with a
barrel, and on val_unseen. Ctrl-C stops it; the same command goes on. docs/own_robot.md tells more.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
import os
from pathlib import Path
import shlex
import signal
import subprocess
import sys
import time

from driver import record
from janusvln_ros.arguments import one_line, output_folder, whole
from janusvln_ros.episodes.splits import find_split
from janusvln_ros.evaluation.metrics import summarise
from janusvln_ros.evaluation.report import cell
from janusvln_ros.evaluation.runner import read_records
from janusvln_ros.workers import end_with, Interruption
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
POLICY = 'models/janusvln-tiny'
DRIVES, UNSEEN = 'new_thing_train', 'new_thing'
WHEN = {'before': '', 'after': 'new_thing/adapter'}


class Stopped(Exception):
    """A step was stopped, or failed; its status is that of the command."""


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    result = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument('folder', type=output_folder, metavar='OUT')
    for name, count, what in (
        ('--drives', 12, 'that are recorded'),
        ('--walks', 60, 'of what the checkpoint knows, against forgetting'),
        ('--episodes', 40, 'with the new thing, before and after'),
        ('--val-episodes', 100, 'of val_unseen, before and after'),
        ('--threads', 2, 'that train, and processes that do all else'),
    ):
        result.add_argument(
            name, type=whole(1), default=count, help=f'{what}; default: %(default)s'
        )
    return result


def record_drives(bags: Path, count: int) -> list[Path]:
    """Record drives that are not there yet; give the bags of `count` that arrived."""
    bags.mkdir(parents=True, exist_ok=True)
    split = find_split(DRIVES)
    found: list[Path] = []
    with Interruption() as interruption, tqdm(total=count, desc='drives') as bar:
        for number in range(split.size):
            bag = bags / f'drive_{number:02}'
            if bag.exists() or record(split, number, bag):
                found.append(bag)
                bar.update()
            if len(found) == count:
                return found
            if interruption.noted:
                raise Stopped(130)
    raise ValueError(f'{DRIVES} has {len(found)} drives that arrive, not {count}')


def commands(options: argparse.Namespace, bags: Sequence[Path]) -> list[list[str]]:
    """Give what is run one after another, as arguments of `janusvln` in the folder ROOT."""
    out = Path(os.path.relpath(options.folder, ROOT))
    walks = ['--walks', str(options.walks), '--seed', '31']  # not the checkpoint's own
    processes = ['--processes', str(options.threads)]
    steps = [
        ['data', 'from-bag', *(str(out / 'bags' / bag.name) for bag in bags), str(out / 'drives')],
        ['data', 'walks', str(out / 'walks'), *walks, *processes],
        ['train', 'new_thing', '--config', 'examples/new_thing.yaml', '--output', str(out)]
        + ['--device', 'cpu', '--threads', str(options.threads)],
    ]
    for split, count in ((UNSEEN, options.episodes), ('val_unseen', options.val_episodes)):
        for when, more in WHEN.items():
            adapter = ['--adapter', str(out / more)] if more else []
            steps.append(
                ['evaluate', '--policy', POLICY, '--split', split, '--episodes', str(count)]
                + ['--memory-mode', 'windowed', '--device', 'cpu', *processes, *adapter]
                + ['--output', str(results(out, split, when))]
            )
    return steps


def results(out: Path, split: str, when: str) -> Path:
    """Give the folder of an evaluation."""
    return out / f'{split}_{when}'


def run(arguments: Sequence[str]) -> None:
    """Run a command of `janusvln`, and pass Ctrl-C on to it; Stopped where it did not succeed."""
    print(f'\n$ janusvln {shlex.join(arguments)}', flush=True)
    with Interruption() as interruption:
        # In a session of its own, so that Ctrl-C comes once, from here.
        child = subprocess.Popen(
            [sys.executable, '-m', 'janusvln_ros.cli', *arguments],
            cwd=ROOT,
            start_new_session=True,
            preexec_fn=partial(end_with, os.getpid()),
        )
        told = False
        while child.poll() is None:
            if interruption.noted and not told:
                child.send_signal(signal.SIGINT)
                told = True
            time.sleep(0.1)
    if child.returncode or interruption.noted:
        raise Stopped(child.returncode or 130)


def table(out: Path) -> str:
    """Put the four evaluations into a Markdown table."""
    lines = ['| split | episodes | SR before | SR after | SPL before | SPL after |']
    lines.append('| --- | --- | --- | --- | --- | --- |')
    for split in (UNSEEN, 'val_unseen'):
        rows = [summarise(read_records(results(out, split, when))) for when in WHEN]
        cells = [' '.join(cell(metric, row)) for metric in ('sr', 'spl') for row in rows]
        lines.append(f'| {split} | {rows[1]["episodes"]["mean"]} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Do it all; 130 for Ctrl-C, 2 for what cannot be."""
    options = parser().parse_args(argv)
    try:
        if find_spec('peft') is None:
            raise ValueError("adapters are trained by PEFT: pip install 'janusvln_ros[lora]'")
        for arguments in commands(options, record_drives(options.folder / 'bags', options.drives)):
            run(arguments)
        found = table(options.folder)
    except Stopped as stopped:
        print('stopped; the same command goes on', file=sys.stderr)
        return int(stopped.args[0])
    except (ValueError, OSError, RuntimeError) as error:
        print(f'new_thing: {one_line(error)}', file=sys.stderr)
        return 2
    (options.folder / 'table.md').write_text(found + '\n', encoding='utf-8')
    print(f'\n{found}\n\nlook at {options.folder / "drives" / "pages"}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
