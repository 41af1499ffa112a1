"""When a step's parts are recorded, and when not; recording itself takes a GPU."""

from types import SimpleNamespace

from janusvln_ros.policy import graphs
import pytest
import torch

pytestmark = pytest.mark.usefixtures('recordings')


@pytest.fixture
def recordings(monkeypatch):
    """Stand in for CUDA graphs, which need a GPU: what was recorded, by name of the function."""
    made = []

    def record(function, inputs):
        made.append(function.__name__)
        return lambda *inputs: f'replay of {function.__name__}'

    monkeypatch.setattr(graphs, '_Graph', record)
    return made


def on_gpu(*shape):
    return SimpleNamespace(is_cuda=True, shape=shape)


def see(x):
    return 'run'


def read(x, y):
    return 'run'


def test_a_part_is_recorded_once_its_state_repeats(recordings):
    step = graphs.StepGraphs()
    growing = [step.run('see', end, see, on_gpu(3)) for end in (0, 5, 10)]
    steady = [step.run('see', 10, see, on_gpu(3)) for _ in range(3)]
    assert growing == ['run'] * 3
    assert steady == ['replay of see'] * 3
    assert recordings == ['see']


def test_another_state_or_shape_is_not_replayed(recordings):
    step = graphs.StepGraphs()
    for _ in range(2):
        step.run('read', 10, read, on_gpu(3), on_gpu(4))
    assert step.run('read', 10, read, on_gpu(3), on_gpu(5)) == 'run'
    assert step.run('read', 11, read, on_gpu(3), on_gpu(5)) == 'run'
    assert step.run('read', 11, read, on_gpu(3), on_gpu(5)) == 'replay of read'
    assert step.run('see', 11, see, on_gpu(3)) == 'run'
    assert recordings == ['read', 'read']


def test_other_devices_just_run(recordings):
    step = graphs.StepGraphs()
    assert [step.run('see', 0, torch.neg, torch.ones(1)).item() for _ in range(3)] == [-1] * 3
    assert recordings == []
