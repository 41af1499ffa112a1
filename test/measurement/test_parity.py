"""Equality with the published network and the windowed oracle, tensor by tensor."""

import json
from pathlib import Path
import shutil

from janusvln_ros.actions import Action
from janusvln_ros.measurement import differences, goldens, parity
import pytest
from safetensors.torch import load_file, save_file
import torch

DATA = Path(__file__).parents[1] / 'policy' / 'data'
EPISODE = DATA / 'goldens' / 'tiny_act' / 'episodes' / 'ep0_actions'


@pytest.mark.parametrize('mode', ['sampled', 'windowed'])
def test_every_tensor_of_every_step_is_equal(mode):
    report = parity.run_episode(EPISODE, mode, 'cpu', 'float32')
    assert report.failures == []
    assert report.steps == 16
    # far below the tolerances: the goldens' own target
    logits = report.differences['logits0' if mode == 'sampled' else 'logits']
    assert logits.checked == 16
    assert logits.relative < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize('mode', ['sampled', 'windowed'])
def test_bfloat16_takes_the_same_actions(mode):
    report = parity.run_episode(EPISODE, mode, 'cpu', 'bfloat16')
    logits = report.differences['logits0' if mode == 'sampled' else 'logits']
    assert logits.relative < differences.REDUCED_LOGITS
    assert report.clear >= 15
    assert report.agreed >= differences.REDUCED_AGREEMENT * report.clear


def test_constrained_and_published_agree_where_the_text_is_an_action():
    report = parity.run_episode(EPISODE, 'sampled', 'cpu', 'float32')
    constrained = report.differences['constrained']
    said = [step['text'] in Action.__members__ for step in goldens.read_meta(EPISODE)['steps']]
    assert constrained.checked == sum(said) == 16
    assert constrained.unequal == 0


@pytest.mark.slow
def test_command_passes_and_tells(capsys):
    assert parity.main([str(DATA), '--mode', 'windowed']) == 0
    output = capsys.readouterr().out
    assert 'last_layer_key_mean' in output
    assert output.rstrip().endswith('PASS')


@pytest.fixture
def spoilt(tmp_path):
    """Give a copy of the golden folder, to be changed."""
    shutil.copytree(DATA / 'goldens' / 'tiny_act', tmp_path / 'tiny_act')
    return tmp_path


def test_command_fails_on_another_tensor(spoilt, capsys):
    path = spoilt / 'tiny_act/episodes/ep0_actions/windowed.safetensors'
    tensors = load_file(path)
    tensors['s015.logits'] = tensors['s015.logits'] * 1.001
    save_file(tensors, path)
    assert parity.main([str(spoilt), '--mode', 'windowed']) == 1
    output = capsys.readouterr().out
    assert 'FAIL: logits' in output


def test_command_fails_on_another_history(spoilt, capsys):
    path = spoilt / 'tiny_act/episodes/ep0_actions/meta.json'
    meta = json.loads(path.read_text())
    meta['steps'][12]['history'][3] += 1
    path.write_text(json.dumps(meta))
    assert parity.main([str(spoilt), '--mode', 'sampled']) == 1
    assert 'FAIL: history' in capsys.readouterr().out


def test_command_fails_on_a_damaged_checkpoint(spoilt, capsys):
    path = spoilt / 'tiny_act/checkpoint/model.safetensors'
    path.write_bytes(path.read_bytes()[:100000])
    assert parity.main([str(spoilt)]) == 1
    assert 'damaged' in capsys.readouterr().out


def test_command_fails_on_a_folder_without_episodes(tmp_path):
    with pytest.raises(SystemExit) as end:
        parity.main([str(tmp_path)])
    assert end.value.code == 2


def test_nan_does_not_pass():
    report = parity.Report()
    report.close('x', torch.tensor([float('nan')]), torch.tensor([0.0]), relative=1.0)
    assert report.failures == ['x']
