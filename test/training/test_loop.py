"""Runs that were killed or interrupted end as one that was not."""

import os
from pathlib import Path
import signal
import subprocess
import sys

from janusvln_ros.policy import JanusPolicy, MemoryConfig
from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.config import JanusConfig
from janusvln_ros.policy.prompt import PromptEncoder
from janusvln_ros.training import log
from janusvln_ros.training.command import main
from janusvln_ros.training.data.sources import WalkFiles
from janusvln_ros.training.export import export
from janusvln_ros.training.imitation import ImitationBatches, ImitationNetwork
from janusvln_ros.training.loop import learning_rate, LoopConfig, train
import pytest
from safetensors.torch import load_file
import torch
from waiting import wait_for
import yaml

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TRAINED = ('visual_merger', 'merger', 'model', 'lm_head')


def _loop(**changes) -> LoopConfig:
    return LoopConfig(
        **{
            'steps': 6,
            'learning_rate': 1e-3,
            'seed': 3,
            'batches': 2,
            'log_every': 2,
            'save_every': 1e9,
            **changes,
        }
    )


def _network(fresh: Path) -> ImitationNetwork:
    torch.manual_seed(0)
    model = checkpoint.load(
        fresh, JanusConfig.from_folder(fresh), torch.device('cpu'), torch.float32
    )
    return ImitationNetwork(model, trained=TRAINED, memory=MemoryConfig('windowed'))


def _batches(fresh: Path, walks: Path, **changes) -> ImitationBatches:
    return ImitationBatches(
        WalkFiles([walks]),
        PromptEncoder(fresh),
        **{
            'walks_per_batch': 1,
            'questions': 4,
            'seed': 3,
            'batches': 2,
            'sampled_every': 3,
            **changes,
        },
    )


def _weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def _same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Killed(Exception):
    """Stands for a kill: nothing is saved on the way out."""


class Fragile:
    """Data that fail at a step."""

    def __init__(self, data: ImitationBatches, step: int) -> None:
        self._data, self._step = data, step

    def batch(self, step: int, part: int):
        if step == self._step:
            raise Killed
        return self._data.batch(step, part)


@pytest.mark.parametrize('prefetch', [0, 2])
def test_a_killed_run_goes_on_bit_by_bit(fresh, walks, tmp_path, prefetch):
    whole = _network(fresh)
    assert train(whole, _batches(fresh, walks), _loop(), tmp_path / 'whole')

    loop = _loop(save_every=0.0, prefetch=prefetch)  # saves at every step
    with pytest.raises(Killed):
        train(_network(fresh), Fragile(_batches(fresh, walks), 4), loop, tmp_path / 'killed')
    again = _network(fresh)
    assert not _same(_weights(again), _weights(whole))
    assert train(again, _batches(fresh, walks), loop, tmp_path / 'killed')
    assert _same(_weights(again), _weights(whole))
    curves = [log.read(tmp_path / name / 'log.csv')['loss'][-1] for name in ('whole', 'killed')]
    assert curves[0] == curves[1]
    drawn = (tmp_path / 'killed' / 'log.svg').read_text()
    assert '<!-- loss -->' in drawn and 'id="axes_5"' in drawn


def test_a_run_that_is_shorter_than_a_line_of_the_log_is_logged(fresh, walks, tmp_path):
    loop = _loop(steps=3, log_every=20)
    assert train(_network(fresh), _batches(fresh, walks), loop, tmp_path / 'run')
    ((step, _),) = log.read(tmp_path / 'run' / 'log.csv')['loss']
    assert step == 3


def test_frozen_parts_stay_and_trained_parts_learn(fresh, walks, tmp_path):
    network = _network(fresh)
    before = _weights(network)
    train(network, _batches(fresh, walks), _loop(), tmp_path / 'run')
    for name, value in network.state_dict().items():
        encoder = name.startswith(
            ('model.vggt.', 'model.visual.blocks.', 'model.visual.patch_embed.')
        )
        # Keys' biases have no gradient: softmax does not see them.
        if encoder:
            assert torch.equal(value, before[name]), name
        elif name.endswith('weight') and 'embed_tokens' not in name:
            assert not torch.equal(value, before[name]), name


def test_overfits_a_few_questions(fresh, walks, tmp_path):
    """The loss falls to almost nothing where the same questions come again and again."""

    class Same:
        def __init__(self) -> None:
            self._batch = _batches(fresh, walks, questions=6, sampled_every=0).batch(0, 0)

        def batch(self, step: int, part: int):
            return self._batch

    train(
        _network(fresh), Same(), _loop(steps=60, batches=1, learning_rate=3e-3), tmp_path / 'run'
    )
    curves = log.read(tmp_path / 'run' / 'log.csv')
    assert curves['windowed_loss'][0][1] > 4.0
    assert curves['windowed_loss'][-1][1] < 0.1
    assert curves['windowed_accuracy'][-1][1] == 1.0


def test_what_is_saved_loads_as_published(fresh, walks, tmp_path):
    network = _network(fresh)
    train(network, _batches(fresh, walks), _loop(steps=2), tmp_path / 'run')
    export(network, tmp_path / 'checkpoint', fresh)
    export(network, tmp_path / 'checkpoint', fresh)  # replaces it
    policy = JanusPolicy.from_pretrained(tmp_path / 'checkpoint', device='cpu', dtype='float32')
    saved = policy.model.state_dict()
    for name, value in network.model.state_dict().items():
        assert torch.equal(saved[name], value), name
    assert not policy.random_weights
    assert sorted(path.name for path in tmp_path.iterdir()) == ['checkpoint', 'run']


def test_learning_rate_warms_up_and_falls_to_zero():
    config = _loop(steps=1000, learning_rate=2e-5)
    rates = [learning_rate(config, step) for step in range(1000)]
    assert rates[0] == pytest.approx(2e-5 / 30)
    assert max(rates) == pytest.approx(2e-5) and rates.index(max(rates)) in (29, 30)
    assert rates[-1] < 1e-10 and rates[515] == pytest.approx(1e-5, rel=1e-2)


def _config(tmp_path: Path, fresh: Path, walks: Path, name: str, **loop) -> Path:
    path = tmp_path / f'{name}.yaml'
    path.write_text(
        yaml.safe_dump(
            {
                'output': str(tmp_path / name),
                'stages': {
                    'base': {
                        'kind': 'imitate',
                        'start': str(fresh),
                        'data': [{'walks': str(walks)}],
                        'trained': list(TRAINED),
                        'walks_per_batch': 1,
                        'questions': 4,
                        'sampled_every': 3,
                        'loop': {'learning_rate': 1e-3, 'batches': 2, 'log_every': 1, **loop},
                    }
                },
            }
        )
    )
    return path


def _words(config: Path) -> list[str]:
    return ['base', f'--config={config}', '--device=cpu']


def _train(config: Path) -> None:
    """Run the command in this process: only one that is killed needs its own."""
    assert main(_words(config)) == 0


def _latest(folder: Path, process: subprocess.Popen) -> bool:
    """Tell whether a run has saved its state; fails where it has ended."""
    assert process.poll() is None, process.communicate()
    return (folder / 'latest').exists()


STEPS = {'steps': 12, 'save_every': 0.0}


@pytest.fixture(scope='module')
def whole(fresh, walks, tmp_path_factory) -> dict[str, torch.Tensor]:
    """Give what a command learns that nobody disturbs."""
    folder = tmp_path_factory.mktemp('whole')
    _train(_config(folder, fresh, walks, 'run', **STEPS))
    return load_file(folder / 'run' / 'base' / 'checkpoint' / 'model.safetensors')


@pytest.mark.timeout(900)  # seconds; a quarter of a minute on an idle machine
@pytest.mark.parametrize('number, status', [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_killed_or_interrupted_command_goes_on(fresh, walks, tmp_path, whole, number, status):
    config = _config(tmp_path, fresh, walks, 'run', **STEPS)
    process = subprocess.Popen(
        [sys.executable, '-m', 'janusvln_ros.cli', 'train', *_words(config)],
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: _latest(tmp_path / 'run' / 'base', process), 'a saved state', 400)
    process.send_signal(number)
    out, err = process.communicate(timeout=400)
    assert process.returncode == status, err
    assert ('the same command goes on' in out) == (number == signal.SIGINT)
    _train(config)
    assert _same(load_file(tmp_path / 'run' / 'base' / 'checkpoint' / 'model.safetensors'), whole)
