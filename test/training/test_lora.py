"""Adapters are trained, alone, and are what PEFT and the policy take."""

from importlib.util import find_spec
import json
from pathlib import Path
import shutil
import sys
import warnings

from janusvln_ros.policy import JanusPolicy
from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.network import checkpoint, quantization
from janusvln_ros.policy.network.adapter import read_adapter
from janusvln_ros.policy.network.config import FULL_SIZE, JanusConfig
from janusvln_ros.training import log
from janusvln_ros.training.command import main
from janusvln_ros.training.data.sources import ConcatWalks, WalkDataset
from janusvln_ros.training.imitation import ImitationBatches
from janusvln_ros.training.lora import lora_config, LoraNetwork, TARGETS
from janusvln_ros.training.parallel import estimate
from janusvln_ros.training.walk_stages import BASES
import numpy as np
import pytest
from safetensors.torch import load_file
import torch
import yaml

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec('peft') is None, reason='peft is missing'),
]
needs_torchao = pytest.mark.skipif(find_spec('torchao') is None, reason='torchao is missing')
QUANTISED = [pytest.param(base, marks=needs_torchao) for base in ('int8', 'int4')]


def config_file(folder: Path, fresh: Path, walks: Path, loop=None, **fields) -> Path:
    loop = {'steps': 12, 'learning_rate': 1e-2, 'log_every': 1, **(loop or {})}
    stage = {
        'kind': 'lora',
        'start': str(fresh),
        'data': [{'walks': str(walks), 'share': 0.5}, {'walks': str(walks), 'share': 0.5}],
        'walks_per_batch': 1,
        'questions': 6,
        'rank': 4,
        **fields,
        'loop': loop,
    }
    folder.mkdir(exist_ok=True)
    path = folder / 'config.yaml'
    path.write_text(yaml.safe_dump({'output': str(folder / 'run'), 'stages': {'own': stage}}))
    return path


def full_size(rank: int, base: str) -> LoraNetwork:
    """Make a network of full size without storage."""
    dtype, quantised = BASES[base]
    model = checkpoint.build(FULL_SIZE).to(dtype)
    checkpoint.fill(model, model.state_dict().items(), quantised, gradients=True)
    with torch.device('meta'):
        return LoraNetwork(model, lora_config(rank, 32, 0.05, TARGETS), MemoryConfig('sampled'))


def test_only_an_adapter_is_merged(tmp_path, capsys):
    config = tmp_path / 'config.yaml'
    config.write_text(yaml.safe_dump({'output': 'run', 'stages': {'raw': {'kind': 'fresh'}}}))
    assert main(['all', '--config', str(config), '--device', 'cpu', '--merge']) == 2
    assert "--merge is for stages of kind 'lora'; ['raw'] has none" in capsys.readouterr().err


@pytest.mark.parametrize('rank, recomputed, kept', [(16, 20.23, 45.54), (64, 21.58, 47.20)])
def test_the_estimate_is_what_a_gpu_took(rank, recomputed, kept):
    """By benchmarks/adapter_size.py: GiB on an H100, for prompts of 3,646 tokens."""
    network = full_size(rank, 'bfloat16')
    for recompute, measured in ((True, recomputed), (False, kept)):
        parts = estimate(network, FULL_SIZE, tokens=3646, processes=1, recompute=recompute)
        assert sum(parts.values()) == pytest.approx(measured, rel=0.05)


@pytest.mark.parametrize('base', QUANTISED)
def test_the_estimate_knows_what_quantised_weights_take(base):
    plain, network = (full_size(16, which) for which in ('bfloat16', base))
    assert quantization.count(network) == sum(p.numel() for p in plain.parameters())
    sizes = quantization.unpacked_sizes(network)
    assert len(sizes) == 7 * FULL_SIZE.language.num_layers  # and the head is as it was
    ours, other = (
        estimate(each, FULL_SIZE, tokens=3646, processes=1, recompute=True)
        for each in (network, plain)
    )
    saved = (1 if base == 'int8' else 1.5) * sum(sizes)
    scales = 4 * sum(sizes) / 128 if base == 'int4' else 0
    unpacked = 2 * max(sizes)
    wanted = (saved - scales - unpacked) / 2**30
    assert other['weights'] - ours['weights'] == pytest.approx(wanted, rel=0.002)
    assert ours['activations'] == other['activations']
    assert ours['gradients and moments'] == other['gradients and moments']


@pytest.mark.parametrize('base', ['float32', *QUANTISED])
def test_an_adapter_learns_and_is_taken_by_who_reads_it(fresh, walks, tmp_path, base):
    import peft  # takes a second

    config = config_file(tmp_path, fresh, walks, dropout=0.0, base=base)
    assert main(['own', '--config', str(config), '--device', 'cpu']) == 0
    assert not (tmp_path / 'run' / 'own' / 'checkpoint').exists()
    assert main(['own', '--config', str(config), '--device', 'cpu', '--merge']) == 0
    stage = tmp_path / 'run' / 'own'
    losses = [value for _, value in log.read(stage / 'log.csv')['loss']]
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])

    janus = JanusConfig.from_folder(fresh)
    where = janus, torch.device('cpu'), torch.float32
    plain = checkpoint.load(fresh, *where).state_dict()
    added = checkpoint.load(fresh, *where, adapter=read_adapter(stage / 'adapter')).state_dict()
    merged = checkpoint.load(stage / 'checkpoint', *where).state_dict()
    assert all(torch.equal(added[name], merged[name]) for name in plain)
    JanusPolicy.from_pretrained(fresh, adapter=stage / 'adapter', device='cpu')
    changed = {name for name in plain if not torch.equal(plain[name], added[name])}
    assert len(changed) == 7 * janus.language.num_layers
    assert all('_proj' in name and name.startswith('model.layers.') for name in changed)

    model = checkpoint.load(fresh, *where)
    with warnings.catch_warnings():
        warnings.simplefilter('error')  # of keys that it misses
        theirs = peft.PeftModel.from_pretrained(model, stage / 'adapter').merge_and_unload()
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(value, merged[name])

    card = (stage / 'adapter' / 'README.md').read_text()
    assert 'licence' in card and str(walks) in card and 'rank | 4' in card


def test_the_card_tells_how_it_walks_before_and_after(fresh, walks, tmp_path):
    probe = {'split': 'val_unseen', 'episodes': 2, 'max_steps': 2, 'categories': ['reach']}
    config = config_file(tmp_path, fresh, walks, {'steps': 2}, probe=probe)
    words = ['--device', 'cpu', '--processes', '1']  # others would start for each probe
    assert main(['own', '--config', str(config), *words]) == 0
    stage = tmp_path / 'run' / 'own'
    assert [step for step, _ in log.read(stage / 'log.csv')['closed_loop_sr']] == [0, 2]
    card = (stage / 'adapter' / 'README.md').read_text()
    assert 'split val_unseen' in card
    zero = '0.000 (0.000–0.000)'  # nothing is reached in two steps
    for steps in 0, 2:
        assert f'| {steps} | 2 | {zero} | {zero} |' in card
    who = [
        json.loads(file.read_text())['agent'] for file in sorted(stage.glob('probes/*/run.json'))
    ]
    assert [agent['adapter'] for agent in who] == [None, str(stage / 'adapter')]


def test_it_goes_on_where_it_was(fresh, walks, tmp_path, capsys):
    whole = config_file(tmp_path / 'whole', fresh, walks)
    assert main(['own', '--config', str(whole), '--device', 'cpu']) == 0
    first = config_file(
        tmp_path / 'first', fresh, walks, {'save_every': 0.0}, checkpoint_activations=True
    )
    state = tmp_path / 'first' / 'run' / 'own'
    with pytest.MonkeyPatch.context() as patch:
        draw = ImitationBatches.batch
        patch.setattr(ImitationBatches, 'batch', lambda *which: _draw_until(7, draw, *which))
        with pytest.raises(Cut):
            main(['own', '--config', str(first), '--device', 'cpu'])
    saved = sum(file.stat().st_size for file in state.glob('step_*/*'))
    assert saved < (fresh / 'model.safetensors').stat().st_size
    for change in {'rank': 8}, {'targets': ['q_proj']}:
        config_file(tmp_path / 'first', fresh, walks, checkpoint_activations=True, **change)
        assert main(['own', '--config', str(first), '--device', 'cpu']) == 2
        assert 'the state of another network' in capsys.readouterr().err
    config_file(tmp_path / 'first', fresh, walks, {'save_every': 0.0}, checkpoint_activations=True)
    assert main(['own', '--config', str(first), '--device', 'cpu']) == 0
    one, other = (
        load_file(tmp_path / name / 'run' / 'own' / 'adapter' / 'adapter_model.safetensors')
        for name in ('whole', 'first')
    )
    assert one.keys() == other.keys()  # recomputing layers changes neither names nor bits
    assert all(torch.equal(one[name], other[name]) for name in one)


@needs_torchao
def test_on_quantised_weights_it_goes_on_with_the_same_bits(fresh, walks, tmp_path):
    loop = {'steps': 3, 'dtype': 'bfloat16', 'save_every': 0.0}
    whole = config_file(tmp_path / 'whole', fresh, walks, loop, base='int4')
    assert main(['own', '--config', str(whole), '--device', 'cpu']) == 0
    first = config_file(tmp_path / 'first', fresh, walks, loop, base='int4')
    with pytest.MonkeyPatch.context() as patch:
        draw = ImitationBatches.batch
        patch.setattr(ImitationBatches, 'batch', lambda *which: _draw_until(2, draw, *which))
        with pytest.raises(Cut):
            main(['own', '--config', str(first), '--device', 'cpu'])
    saved = sum(file.stat().st_size for file in tmp_path.glob('first/run/own/step_*/*'))
    assert saved < (fresh / 'model.safetensors').stat().st_size / 4  # no levels, no scales
    shutil.copytree(tmp_path / 'first', tmp_path / 'other')
    other = config_file(tmp_path / 'other', fresh, walks, loop, base='float32')
    for config in first, other:  # an adapter may also go on where its base is held otherwise
        assert main(['own', '--config', str(config), '--device', 'cpu']) == 0
    one, two, three = (
        load_file(tmp_path / name / 'run' / 'own' / 'adapter' / 'adapter_model.safetensors')
        for name in ('whole', 'first', 'other')
    )
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not all(torch.equal(one[name], three[name]) for name in one)
    assert all((one[name] - three[name]).abs().max() < 0.05 for name in one)


def test_a_quantised_base_without_torchao_is_named(fresh, walks, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torchao.quantization', None)
    config = config_file(tmp_path, fresh, walks, base='int8')
    assert main(['own', '--config', str(config), '--device', 'cpu']) == 2
    assert 'base int8: int8 weights need torchao' in capsys.readouterr().err


def test_an_epoch_has_what_the_shares_say():
    sources = [FakeWalks(4), FakeWalks(10), FakeWalks(6)]  # as many in all as an epoch takes
    order = ConcatWalks(sources, [0.2, 0.3, 0.5]).order(np.random.default_rng(0))
    assert np.bincount(np.searchsorted([4, 14, 20], order, side='right')).tolist() == [4, 6, 10]


class FakeWalks(WalkDataset):
    """So many walks."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count


class Cut(Exception):
    """Stands for a kill."""


def _draw_until(last: int, draw, batches: ImitationBatches, step: int, part: int):
    if step == last:
        raise Cut
    return draw(batches, step, part)


def test_a_base_in_bfloat16_is_trained_on(fresh, walks, tmp_path, capsys):
    config = config_file(
        tmp_path, fresh, walks, {'steps': 2, 'dtype': 'bfloat16'}, base='bfloat16'
    )
    assert main(['own', '--config', str(config), '--device', 'cpu']) == 0
    told = capsys.readouterr().out
    weights = load_file(tmp_path / 'run' / 'own' / 'adapter' / 'adapter_model.safetensors')
    assert {value.dtype for value in weights.values()} == {torch.float32}
    of = sum(value.numel() for value in load_file(fresh / 'model.safetensors').values())
    assert float(told.split('weights')[1].split()[0]) == pytest.approx(2 * of / 2**30, abs=2e-3)
    assert json.loads((tmp_path / 'run' / 'own' / 'adapter' / 'adapter_config.json').read_text())


@pytest.mark.parametrize(
    ('fields', 'word'),
    [
        ({'rank': 0}, 'whole number of at least 1'),
        ({'rank': 2.5}, 'whole number of at least 1'),
        ({'alpha': 0}, 'alpha above 0'),
        ({'targets': ['q']}, 'no targets q; there are q_proj'),
        ({'targets': []}, 'needs targets'),
        ({'targets': 'q_proj'}, 'a list of names'),
        ({'trained': ['model']}, 'it alone learns'),
        ({'base': 'int3'}, "base is float32, bfloat16, int8, int4, not 'int3'"),
        ({'data': [{'walks': '{walks}', 'share': 0.5}, {'walks': '{walks}'}]}, 'share above 0'),
        ({'data': [{'walks': '/nowhere'}]}, 'no walks in /nowhere'),
        ({'data': []}, 'no source of walks'),
        (
            {'data': [{'walks': '{walks}', 'share': s} for s in (0.99, 0.01)]},
            'share 0.01 is less than half a walk',
        ),
        (
            {
                'data': [
                    {'walks': '{walks}', 'share': 0.5},
                    {'examples': '/dev/null', 'share': 0.5},
                ]
            },
            'no walks in the source that is number 2',
        ),
    ],
)
def test_what_cannot_be_is_named(fresh, walks, tmp_path, capsys, fields, word):
    config = config_file(tmp_path, fresh, walks, **fields)
    config.write_text(config.read_text().replace('{walks}', str(walks)))
    assert main(['own', '--config', str(config), '--device', 'cpu']) == 2
    assert word in capsys.readouterr().err
