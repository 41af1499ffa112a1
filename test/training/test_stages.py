"""A configuration runs from nothing to a checkpoint, or says what is wrong with it."""

from pathlib import Path
import re
import subprocess
import sys

from janusvln_ros.policy import JanusPolicy, MemoryConfig
from janusvln_ros.training import command, log
from janusvln_ros.training.stage_config import read_config
from janusvln_ros.training.walk_stages import Imitate
import numpy as np
import pytest
from safetensors import safe_open
import yaml

ROOT = Path(__file__).parents[2]
LEARNING = {'learning_rate': 1e-3, 'log_every': 1}
LEARN_ONCE = LEARNING | {'steps': 1}
IMITATE = {
    'data': [{'walks': '{output}/walks'}],
    'trained': ['model', 'lm_head'],
    'walks_per_batch': 1,
    'questions': 4,
    'auxiliary': 0.3,
}


def _write(tmp_path: Path, stages: dict) -> Path:
    path = tmp_path / 'config.yaml'
    path.write_text(
        yaml.safe_dump({'output': str(tmp_path / 'run'), 'stages': stages}, sort_keys=False)
    )
    return path


@pytest.mark.slow
def test_from_nothing_to_a_checkpoint(tmp_path, capsys):
    shipped = tmp_path / 'shipped'
    shipped.mkdir()
    (shipped / 'README.md').write_text('a model card')
    config = _write(
        tmp_path,
        {
            'fresh': {'kind': 'fresh'},
            'views': {'kind': 'views', 'tours': 4, 'rooms': [1, 1]},
            'walks': {'kind': 'walks', 'walks': 2, 'categories': ['reach'], 'most': 8},
            'pretrain': {
                'kind': 'pretrain',
                'views': '{output}/views',
                'tours': 2,
                'loop': {'steps': 2, **LEARNING},
            },
            'base': {
                'kind': 'imitate',
                **IMITATE,
                'loop': {'steps': 2, **LEARNING},
                'probe': {'episodes': 1, 'max_steps': 2, 'categories': ['reach']},
            },
            'dagger': {
                'kind': 'dagger',
                'rounds': 1,
                'walks': 2,
                'share': 1.0,
                'most': 90,
                'categories': ['reach'],
                'imitate': {**IMITATE, 'epochs': 1, 'loop': {'steps': 1, **LEARNING}},
            },
            'ship': {'kind': 'ship', 'folder': str(shipped)},
        },
    )
    arguments = ['all', '--config', str(config), '--device', 'cpu', '--processes', '1']
    assert command.main(arguments) == 0

    policy = JanusPolicy.from_pretrained(
        shipped, device='cpu', dtype='float32', memory=MemoryConfig('windowed')
    )
    policy.reset('Go to the red chair.')
    decision = policy.step(np.zeros((240, 320, 3), np.uint8))
    assert sum(decision.probabilities.values()) == pytest.approx(1, abs=1e-5)
    with safe_open(shipped / 'model.safetensors', 'pt') as file:
        assert {str(file.get_tensor(name).dtype) for name in file.keys()} == {'torch.bfloat16'}
    assert (shipped / 'README.md').read_text() == 'a model card'
    curves = log.read(tmp_path / 'run' / 'base' / 'log.csv')
    assert {'loss', 'windowed_accuracy', 'closed_loop_sr'} <= set(curves)
    rounds = tmp_path / 'run' / 'dagger'
    # Each kept walk once, and the two of the base stage.
    steps = log.read(rounds / 'round_1' / 'log.csv')['loss'][-1][0]
    assert steps == 2 + len(list((rounds / 'walks').glob('*.npz'))) > 2

    capsys.readouterr()
    assert command.main(arguments) == 0
    assert capsys.readouterr().out.count('done already') == 7


@pytest.mark.parametrize(
    'stage, complaint',
    [
        ({'kind': 'sleep'}, "stage base: kind is 'sleep', not one of"),
        (
            {'kind': 'imitate', **IMITATE, 'questins': 3},
            'stage base: no field questins; there are',
        ),
        (
            {'kind': 'imitate', **IMITATE, 'loop': {'steps': 0, 'learning_rate': 1}},
            'stage base, loop: steps, batches and log_every are at least 1',
        ),
        ({'kind': 'imitate', **IMITATE}, "stage base: .*'loop'"),
        ({'kind': 'imitate', **IMITATE, 'loop': LEARN_ONCE}, 'no stage before it'),
        (
            {'kind': 'imitate', **IMITATE, 'loop': LEARN_ONCE, 'forget': ['places']},
            "stage base: forget has 'places'; there are spatial, semantic",
        ),
        (
            {'kind': 'imitate', **IMITATE, 'loop': LEARN_ONCE, 'forget': ['spatial']}
            | {'probe': {'episodes': 1}},
            'stage base: a probe walks with all memories',
        ),
        (
            {'kind': 'lora', 'data': [], 'loop': LEARN_ONCE, 'forget': ['spatial']},
            'stage base: an adapter has no forget',
        ),
        (
            {'kind': 'dagger', 'rounds': 1, 'walks': 1, 'share': 1.0}
            | {'imitate': {**IMITATE, 'loop': LEARN_ONCE, 'forget': ['semantic']}},
            'stage base: dagger walks with all memories',
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path, capsys, stage, complaint):
    config = _write(tmp_path, {'base': stage})
    assert command.main(['base', '--config', str(config), '--device', 'cpu']) == 2
    message = capsys.readouterr().err
    assert message.startswith('janusvln train: ')
    assert re.search(complaint, message), message


def test_shipped_configurations_are_valid():
    names = {path.stem: read_config(path)[1] for path in (ROOT / 'config/training').glob('*.yaml')}
    assert {'tiny', 'base', 'extra'} <= set(names)
    base = names['base']['base']
    assert isinstance(base, Imitate) and base.epochs == 1 and base.sampled_every == 1
    assert base.loop.learning_rate == 2e-5 and base.scales['merger'] * 2e-5 == 1e-5
    assert base.loop.batches == 64 * 8 and base.loop.warm_up == 0.03


@pytest.mark.slow
@pytest.mark.parametrize(
    ('modules', 'without'),
    [
        ('training.command training.data.command', 'mujoco janusvln_ros.evaluation'),
        # Each worker process would take seconds and memory for it.
        ('training.data.command training.data.collect training.data.views', 'torch'),
    ],
)
def test_what_a_command_does_not_need_it_does_not_load(modules, without):
    code = (
        f'import sys, importlib\nfor name in {modules.split()}: '
        "importlib.import_module(f'janusvln_ros.{name}')\n"
        f'assert not {{*sys.modules}} & {{*{without.split()}}}'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
