"""Two processes on a CPU do what one does: they share weights, and wait for what one collects."""

import json
import os
from pathlib import Path
import subprocess

from janusvln_ros.policy.network.checkpoint import INDEX, SINGLE, tensor_files
from janusvln_ros.training import log
from janusvln_ros.training.command import main
import pytest
import yaml

ROOT = Path(__file__).parents[2]
PATHS = {'PYTHONPATH': f'{ROOT}:{ROOT / "test" / "support"}', 'OMP_NUM_THREADS': '1'}
pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]


def _run(words: list[str], folder: Path) -> str:
    result = subprocess.run(
        words, env={**os.environ, **PATHS}, cwd=folder, capture_output=True, text=True, timeout=800
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_each_process_reads_and_writes_a_part(fresh, tmp_path, torchrun):
    """Nothing stays of a checkpoint in more or fewer files that was there before."""
    sizes = [10**6, 10**9, 10**6]
    words = [*torchrun, 'sharded', str(fresh), str(tmp_path / 'written'), *map(str, sizes)]
    for size, line in zip(sizes, _run(words, tmp_path).splitlines(), strict=True):
        names = set(json.loads(line))
        files = [name for name in names if name.endswith('.safetensors')]
        assert (len(files) > 4) == (size == 10**6)
        assert (INDEX in names) == (len(files) > 1)
    assert {path.name for path in fresh.iterdir()} - names == {SINGLE}


def test_all_stages_run_together(tmp_path, torchrun):
    imitate = {
        'data': [{'walks': '{output}/walks'}],
        'trained': ['model', 'lm_head'],
        'walks_per_batch': 1,
        'questions': 4,
        'auxiliary': 0.3,
        'loop': {'steps': 1, 'batches': 2, 'learning_rate': 1e-3, 'log_every': 1},
    }
    stages = {
        'fresh': {'kind': 'fresh'},
        'views': {'kind': 'views', 'tours': 4, 'rooms': [1, 1]},
        'walks': {'kind': 'walks', 'walks': 3, 'categories': ['reach'], 'most': 8},
        'pretrain': {
            'kind': 'pretrain',
            'views': '{output}/views',
            'tours': 2,
            'loop': imitate['loop'],
        },
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
    config = tmp_path / 'config.yaml'
    run = tmp_path / 'run'
    config.write_text(yaml.safe_dump({'output': str(run), 'stages': stages}, sort_keys=False))
    words = ['--config', str(config), '--device', 'cpu', '--processes', '1']
    assert main(['fresh', *words]) == 0
    said = _run([*torchrun, 'janusvln_ros.cli', 'train', 'all', *words], tmp_path)
    assert said.count('done already') == said.count('fresh: done already') == 1
    assert all((run / name / 'done').exists() for name in stages)
    assert len(list((run / 'walks').glob('walk_*.npz'))) == 3
    (results,) = (run / 'base' / 'probes').rglob('results-*.jsonl')
    assert len([json.loads(line) for line in results.read_text().splitlines()]) == 3
    assert {'closed_loop_sr', 'held_out_1_accuracy'} <= {*log.read(run / 'base' / 'log.csv')}
    assert (run / 'dagger' / 'round_2' / 'done').exists()
    assert len(tensor_files(run / 'shipped')) == 1
