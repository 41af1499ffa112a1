"""A bag that says what its policy ran with is replayed with that."""

from janusvln_ros.policy.janus import JanusPolicy
from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.options import PolicyOptions
from janusvln_ros.policy.settings import settings_of
from janusvln_ros.replay.command import main
import pytest


@pytest.fixture(scope='module')
def windowed(checkpoint):
    """Load the weights with a memory that is not the default, and say so."""
    options = PolicyOptions(
        checkpoint=str(checkpoint), device='cpu', image_width=84, memory_mode='windowed',
        initial_frames=1, recent_frames=2,
    )  # fmt: skip
    policy = JanusPolicy.from_pretrained(
        checkpoint, 'cpu', image_width=84, memory=MemoryConfig('windowed', 1, 2)
    )
    return policy, settings_of(options, policy)


@pytest.fixture(scope='module')
def drive(windowed, make_drive):
    return make_drive(policy=windowed[0], steps=8)


@pytest.fixture
def bag(tmp_path, drive, windowed, make_settings):
    drive.messages.insert(0, make_settings(windowed[1]))
    yield drive.write(tmp_path / 'bag')
    del drive.messages[0]


def run(bag, tmp_path, *options):
    return main([str(bag), '--device', 'cpu', '--output', str(tmp_path / 'out'), *options])


def test_the_defaults_are_those_of_the_recording(tmp_path, bag, capsys):
    assert run(bag, tmp_path, '--compare', 'live') == 0
    assert '16 of 16 actions agree' in capsys.readouterr().out
    report = (tmp_path / 'out' / 'report.html').read_text()
    assert 'all settings are as recorded' in report and 'windowed: initial 1, recent 2' in report


def test_a_disagreement_says_which_settings_differ(tmp_path, bag, capsys):
    assert run(bag, tmp_path, '--compare', 'live', '--memory-mode', 'sampled') == 1
    output = capsys.readouterr().out
    assert 'settings: memory_mode sampled instead of windowed\n' in output


def test_a_bag_that_says_nothing_needs_a_model(tmp_path, drive, capsys):
    assert run(drive.write(tmp_path / 'bag'), tmp_path) == 2
    assert '--model DIR is needed' in capsys.readouterr().err


def test_a_checkpoint_that_is_gone_is_named(tmp_path, drive, windowed, make_settings, capsys):
    drive.messages.insert(0, make_settings({**windowed[1], 'checkpoint': '/gone'}))
    assert run(drive.write(tmp_path / 'bag'), tmp_path) == 2
    del drive.messages[0]
    assert 'recorded with /gone, which is not here' in capsys.readouterr().err
