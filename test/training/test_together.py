"""Two processes on a CPU do what one does: they share weights, and wait for what one collects."""

from dataclasses import dataclass
import json
import os
from pathlib import Path
import re
import subprocess
import sys

from janusvln_ros.policy.network.checkpoint import INDEX, SINGLE, tensor_files
from janusvln_ros.training import log
from janusvln_ros.training.command import main
import pytest
from safetensors.torch import load_file
import torch
import yaml

ROOT = Path(__file__).parents[2]
PATHS = {'PYTHONPATH': f'{ROOT}:{ROOT / "test" / "support"}', 'OMP_NUM_THREADS': '1'}
TORCHRUN = (  # as --standalone, without names
    'torch.distributed.run --rdzv-backend=c10d --rdzv-endpoint=127.0.0.1:0 --local-addr=127.0.0.1'
    ' --nproc_per_node=2 -m together'
)
SIZES = [10**6, 10**9, 10**6]  # bytes of the files of a checkpoint
LOOP = {'steps': 1, 'batches': 2, 'learning_rate': 1e-3, 'log_every': 1}
IMITATE = {'walks_per_batch': 1, 'questions': 4}
pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]


def _one_stage(fresh: Path, walks: Path) -> dict:
    return {
        'base': {
            'kind': 'imitate',
            'start': str(fresh),
            'data': [{'walks': str(walks)}],
            'trained': ['visual_merger', 'merger', 'model', 'lm_head'],
            **IMITATE,
            'sampled_every': 3,
            'loop': {**LOOP, 'steps': 3},
        }
    }


def _all_stages() -> dict:
    imitate = {
        'data': [{'walks': '{output}/walks'}],
        'trained': ['model', 'lm_head'],
        **IMITATE,
        'auxiliary': 0.3,
        'loop': LOOP,
    }
    return {
        'fresh': {'kind': 'fresh'},
        'views': {'kind': 'views', 'tours': 4, 'rooms': [1, 1]},
        'walks': {'kind': 'walks', 'walks': 3, 'categories': ['reach'], 'most': 8},
        'pretrain': {'kind': 'pretrain', 'views': '{output}/views', 'tours': 2, 'loop': LOOP},
        'base': {
            'kind': 'imitate',
            **imitate,
            'probe': {'episodes': 3, 'max_steps': 2, 'categories': ['reach']},
            'validation': {'share': 0.1},
        },
        'dagger': {
            'kind': 'dagger',
            'rounds': 2,
            'walks': 1,
            'share': 1.0,
            'most': 60,
            'categories': ['reach'],
            'imitate': imitate,
        },
        'ship': {'kind': 'ship', 'folder': '{output}/shipped'},
    }


@dataclass(frozen=True)
class Together:
    """What two processes have written below a folder, and said at each of the things they did."""

    folder: Path
    one_stage: str
    all_stages: str
    written: str


@pytest.fixture(scope='module')
def together(fresh, walks, tmp_path_factory) -> Together:
    """Have two processes do everything: each start of them takes ten seconds."""
    folder = tmp_path_factory.mktemp('together')

    def words(name: str, stages: dict) -> list[str]:
        config = folder / f'{name}.yaml'
        settings = {'output': str(folder / name), 'stages': stages}
        config.write_text(yaml.safe_dump(settings, sort_keys=False))
        return [f'--config={config}', '--device=cpu', '--processes=1']

    assert main(['base', *words('one', _one_stage(fresh, walks))]) == 0
    every = words('all', _all_stages())
    assert main(['fresh', *every]) == 0
    tasks = (
        ['train', 'base', *words('two', _one_stage(fresh, walks))],
        ['train', 'all', *every],
        ['sharded', str(fresh), str(folder / 'written'), SIZES],
    )
    result = subprocess.run(
        [sys.executable, '-m', *TORCHRUN.split(), *map(json.dumps, tasks)],
        env={**os.environ, **PATHS},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    *said, rest = re.split(r'^done \d\n', result.stdout, flags=re.MULTILINE)
    assert not rest
    return Together(folder, *said)


def test_each_process_reads_and_writes_a_part(fresh, together):
    """Nothing stays of a checkpoint in more or fewer files that was there before."""
    for size, line in zip(SIZES, together.written.splitlines(), strict=True):
        names = set(json.loads(line))
        files = [name for name in names if name.endswith('.safetensors')]
        assert (len(files) > 4) == (size == 10**6)
        assert (INDEX in names) == (len(files) > 1)
    assert {path.name for path in fresh.iterdir()} - names == {SINGLE}


def test_two_processes_learn_what_one_does(together):
    assert 'each of 2 processes' in together.one_stage
    one, two = (
        load_file(together.folder / name / 'base' / 'checkpoint' / SINGLE)
        for name in ('one', 'two')
    )
    for name, value in one.items():
        assert torch.allclose(value, two[name], atol=2e-4), name


def test_all_stages_run_together(together):
    said, run = together.all_stages, together.folder / 'all'
    assert said.count('done already') == said.count('fresh: done already') == 1
    assert all((run / name / 'done').exists() for name in _all_stages())
    assert len(list((run / 'walks').glob('walk_*.npz'))) == 3
    (results,) = (run / 'base' / 'probes').rglob('results-*.jsonl')
    assert len([json.loads(line) for line in results.read_text().splitlines()]) == 3
    assert {'closed_loop_sr', 'held_out_1_accuracy'} <= {*log.read(run / 'base' / 'log.csv')}
    assert (run / 'dagger' / 'round_2' / 'done').exists()
    assert len(tensor_files(run / 'shipped')) == 1
