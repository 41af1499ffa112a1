"""Adapters are trained, alone, and are what PEFT and the policy take."""

from importlib.util import find_spec
import json
from pathlib import Path
import warnings

from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.adapter import read_adapter
from janusvln_ros.policy.network.config import FULL_SIZE, JanusConfig
from janusvln_ros.training import log
from janusvln_ros.training.command import main
from janusvln_ros.training.data.sources import ConcatWalks, WalkDataset
from janusvln_ros.training.imitation import ImitationBatches
from janusvln_ros.training.lora import lora_config, LoraNetwork, TARGETS
from janusvln_ros.training.parallel import estimate
import numpy as np
import pytest
from safetensors.torch import load_file
import torch
import yaml

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec('peft') is None, reason='peft is missing'),
]


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


@pytest.mark.parametrize('rank, recomputed, kept', [(16, 20.23, 45.54), (64, 21.58, 47.20)])
def test_the_estimate_is_what_a_gpu_took(rank, recomputed, kept):
    """GiB that benchmarks/adapter_size.py saw on an H100, prompts of 3,646 tokens."""
    model = checkpoint.build(FULL_SIZE).to(torch.bfloat16)
    with torch.device('meta'):
        config = lora_config(rank, 32, 0.05, TARGETS)
        network = LoraNetwork(model, config, MemoryConfig('sampled'))
    for recompute, measured in ((True, recomputed), (False, kept)):
        parts = estimate(network, FULL_SIZE, tokens=3646, processes=1, recompute=recompute)
        assert sum(parts.values()) == pytest.approx(measured, rel=0.05)


def test_an_adapter_learns_and_is_taken_by_who_reads_it(fresh, walks, tmp_path):
    import peft  # takes a second

    config = config_file(tmp_path, fresh, walks, merge=True, dropout=0.0)
    assert main(['own', '--config', str(config), '--device', 'cpu']) == 0
    stage = tmp_path / 'run' / 'own'
    losses = [value for _, value in log.read(stage / 'log.csv')['loss']]
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])

    janus = JanusConfig.from_folder(fresh)
    where = janus, torch.device('cpu'), torch.float32
    plain = checkpoint.load(fresh, *where).state_dict()
    added = checkpoint.load(fresh, *where, adapter=read_adapter(stage / 'adapter')).state_dict()
    merged = checkpoint.load(stage / 'checkpoint', *where).state_dict()
    assert all(torch.equal(added[name], merged[name]) for name in plain)
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
        ({'base': 'int3'}, "'float32' or 'bfloat16'"),
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
