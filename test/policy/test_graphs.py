"""When a step's parts are recorded and replayed, and when not; recording itself takes a GPU."""

from types import SimpleNamespace

from janusvln_ros.policy import graphs
import pytest

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


def tensor(*shape):
    return SimpleNamespace(shape=shape)


def see(x):
    return 'run'


def read(x, y):
    return 'run'


def test_a_part_is_recorded_when_told_and_replayed_in_that_state(recordings):
    step = graphs.StepGraphs(compiled=False)
    assert step.run('see', 10, see, tensor(3)) == 'run'
    step.recording = True
    assert step.run('see', 10, see, tensor(3)) == 'run'
    step.recording = False
    growing = [step.run('see', end, see, tensor(3)) for end in (0, 5, 10, 10)]
    assert growing == ['run', 'run', 'replay of see', 'replay of see']
    assert recordings == ['see']


def test_another_state_or_shape_is_not_replayed(recordings):
    step = graphs.StepGraphs(compiled=False)
    step.recording = True
    step.run('read', 10, read, tensor(3), tensor(4))
    step.recording = False
    assert step.run('read', 10, read, tensor(3), tensor(5)) == 'run'
    assert step.run('read', 11, read, tensor(3), tensor(4)) == 'run'
    assert step.run('see', 10, see, tensor(3)) == 'run'
    step.recording = True
    step.run('read', 11, read, tensor(3), tensor(4))
    step.recording = False
    assert step.run('read', 11, read, tensor(3), tensor(4)) == 'replay of read'
    assert step.run('read', 10, read, tensor(3), tensor(4)) == 'run'  # the latest is kept
    assert recordings == ['read', 'read']


def test_nothing_is_replayed_where_hooks_have_to_be_called(recordings):
    step = graphs.StepGraphs(compiled=False)
    step.recording = True
    step.run('see', 10, see, tensor(3))
    step.recording = False
    with step.eager():
        assert step.run('see', 10, see, tensor(3)) == 'run'
    assert step.run('see', 10, see, tensor(3)) == 'replay of see'
