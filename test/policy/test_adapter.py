"""Low-rank adapters are added as a checkpoint is loaded, or refused in one line."""

from dataclasses import replace
import json
from pathlib import Path

from janusvln_ros.policy.load import load_policy
from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.config import CheckpointError
from janusvln_ros.policy.options import PolicyOptions
from janusvln_ros.policy.settings import settings_of
import numpy as np
import pytest
from safetensors.torch import load_file, save_file
import torch

RANK = 4
CONFIG = {'peft_type': 'LORA', 'r': RANK, 'lora_alpha': 8, 'target_modules': ['q_proj']}
NAMES = 'model.layers.0.self_attn.q_proj', 'model.layers.1.mlp.down_proj', 'lm_head'
PREFIX = 'base_model.model.'


@pytest.fixture
def options(checkpoint_folder) -> PolicyOptions:
    return PolicyOptions(checkpoint=str(checkpoint_folder), device='cpu', dtype='float32')


@pytest.fixture
def adapter(checkpoint_folder, tmp_path) -> Path:
    """Give an adapter of random numbers, large enough to change decisions."""
    weights = load_file(checkpoint_folder / 'model.safetensors')
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for name in NAMES:
        out, into = weights[f'{name}.weight'].shape
        tensors[f'{PREFIX}{name}.lora_A.weight'] = torch.randn(RANK, into, generator=generator)
        tensors[f'{PREFIX}{name}.lora_B.weight'] = torch.randn(out, RANK, generator=generator)
    return _write(tmp_path / 'adapter', CONFIG, tensors)


def _write(folder: Path, config: dict, tensors: dict[str, torch.Tensor]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / 'adapter_config.json').write_text(json.dumps(config))
    save_file(tensors, folder / 'adapter_model.safetensors')
    return folder


def _probabilities(options: PolicyOptions) -> list[dict]:
    policy = load_policy(options)
    policy.reset('Go to the red chair.')
    frames = np.random.default_rng(0).integers(0, 255, (3, 168, 224, 3), np.uint8)
    return [policy.step(frame).probabilities for frame in frames]


def test_an_adapter_is_added_to_the_weights(options, adapter):
    plain = load_policy(options).model.state_dict()
    added = load_policy(replace(options, adapter=str(adapter))).model.state_dict()
    tensors = load_file(adapter / 'adapter_model.safetensors')
    changed = {name for name in plain if not torch.equal(plain[name], added[name])}
    assert changed == {f'{name}.weight' for name in NAMES}
    for name in NAMES:
        a, b = (tensors[f'{PREFIX}{name}.lora_{letter}.weight'] for letter in 'AB')
        right = plain[f'{name}.weight'] + 8 / RANK * (b @ a)
        torch.testing.assert_close(added[f'{name}.weight'], right)


def test_the_sum_is_not_rounded_to_what_the_file_has(options, adapter, tmp_path):
    half = load_policy(replace(options, dtype='bfloat16')).model
    folder = checkpoint.save(half, tmp_path / 'half', options.checkpoint)
    on = replace(options, checkpoint=str(folder), adapter=str(adapter))
    weight = load_policy(on).model.lm_head.weight
    assert not torch.equal(weight, weight.bfloat16().float())


def test_an_adapter_on_decides_as_one_merged(options, adapter, tmp_path):
    on = replace(options, adapter=str(adapter))
    merged = checkpoint.save(load_policy(on).model, tmp_path / 'merged', options.checkpoint)
    decided = _probabilities(on)
    assert decided == _probabilities(replace(options, checkpoint=str(merged)))
    assert decided != _probabilities(options)


def test_an_adapter_is_added_before_weights_are_quantised(options, adapter, tmp_path):
    on = replace(options, adapter=str(adapter))
    merged = checkpoint.save(load_policy(on).model, tmp_path / 'merged', options.checkpoint)
    merged_options = replace(options, checkpoint=str(merged), language_weights='int8')
    decided = _probabilities(replace(on, language_weights='int8'))
    assert decided == _probabilities(merged_options)


def test_what_ran_is_told(options, adapter):
    on = replace(options, adapter=str(adapter))
    told = settings_of(on, load_policy(on))
    assert told['adapter'] == str(adapter) and len(told['adapter_hash']) == 16
    assert on.network != options.network  # policies with it share no weights with others


@pytest.mark.parametrize(
    ('changes', 'complaint'),
    [
        ({'peft_type': 'IA3'}, 'peft_type is \'IA3\', not "LORA"'),
        ({'use_dora': True}, 'use_dora is True; only plain LoRA'),
        ({'alpha_pattern': {'q_proj': 3}}, 'alpha_pattern is .*; only plain LoRA'),
        ({'init_lora_weights': 'pissa'}, "init_lora_weights is 'pissa'; only plain LoRA"),
        ({'r': 8}, 'lora_A.weight is .*says rank 8'),
        ({'r': 0}, 'r is 0, not a rank'),
        ({'lora_alpha': None}, 'lora_alpha is None, not a number'),
    ],
)
def test_adapters_of_other_kinds_are_refused(options, adapter, changes, complaint):
    (adapter / 'adapter_config.json').write_text(json.dumps(CONFIG | changes))
    _refused(options, adapter, complaint)


def test_damaged_and_foreign_adapters_are_refused(options, adapter, tmp_path):
    good = load_file(adapter / 'adapter_model.safetensors')
    first = f'{PREFIX}{NAMES[0]}.lora_'

    def of(tensors: dict[str, torch.Tensor], complaint: str) -> None:
        _refused(options, _write(tmp_path / 'bad', CONFIG, tensors), complaint)

    of({}, 'is empty')
    of({n: t for n, t in good.items() if n != f'{first}B.weight'}, 'only one of A and B')
    of(good | {f'{first}A.weight': good[f'{first}A.weight'] * torch.inf}, 'not finite')
    of(good | {'other.weight': torch.zeros(1)}, 'other.weight is no A or B')
    of(good | {f'{first}B.weight': torch.zeros(5, RANK)}, 'another architecture: .*q_proj')
    foreign = {n.replace('layers.0', 'layers.77'): t for n, t in good.items()}
    of(foreign, 'another architecture: the checkpoint has no model.layers.77')
    encoder = {n.replace('lm_head', 'merger.fc'): t for n, t in good.items()}
    of(encoder, 'no merger.fc.weight in its language model')

    weights = adapter / 'adapter_model.safetensors'
    weights.write_bytes(weights.read_bytes()[:-9])
    _refused(options, adapter, 'is damaged or no safetensors file')
    weights.unlink()
    _refused(options, adapter, 'no file .*adapter_model.safetensors')
    _refused(options, tmp_path, 'is no adapter: it has no adapter_config.json')


def _refused(options: PolicyOptions, folder: Path, complaint: str) -> None:
    with pytest.raises(CheckpointError, match=complaint) as caught:
        load_policy(replace(options, adapter=str(folder)))
    assert '\n' not in str(caught.value)
