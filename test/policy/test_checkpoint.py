"""The published layout: every tensor has its place, and faults are named."""

import gzip
import json
from pathlib import Path
import shutil
import time

from janusvln_ros.policy import CheckpointError, JanusPolicy
from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.config import FULL_SIZE, JanusConfig
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file
import torch

DATA = Path(__file__).parent / 'data'
GOLDEN = DATA / 'goldens' / 'tiny_act' / 'checkpoint'
FLOAT32 = torch.float32


@pytest.fixture
def folder(tmp_path):
    """Give a copy of the golden checkpoint, to be changed."""
    return Path(shutil.copytree(GOLDEN, tmp_path / 'checkpoint'))


def load(folder, dtype=FLOAT32):
    return checkpoint.load(folder, JanusConfig.from_folder(folder), torch.device('cpu'), dtype)


def change(folder, edit):
    tensors = load_file(folder / 'model.safetensors')
    edit(tensors)
    save_file(tensors, folder / 'model.safetensors')


def shard(folder, dtype):
    """Rewrite a checkpoint in `dtype` and in three shards with an index."""
    tensors = load_file(folder / 'model.safetensors')
    (folder / 'model.safetensors').unlink()
    weight_map = {}
    for number in range(3):
        name = f'model-0000{number + 1}-of-00003.safetensors'
        part = {key: tensors[key].to(dtype) for key in sorted(tensors)[number::3]}
        save_file(part, folder / name)
        weight_map |= dict.fromkeys(part, name)
    (folder / 'model.safetensors.index.json').write_text(json.dumps({'weight_map': weight_map}))


def test_every_tensor_of_the_full_checkpoint_has_its_place():
    with gzip.open(DATA / 'full_checkpoint_layout.json.gz') as file:
        layout = json.load(file)
    started = time.monotonic()
    config = JanusConfig.from_dicts({'model_type': 'qwen2_5_vl', **layout['config']})
    assert config == FULL_SIZE
    model = checkpoint.build(config)
    assert time.monotonic() - started < 20
    published = {name: tuple(shape) for name, shape in layout['tensors'].items()}
    assert len(published) == 2068
    checkpoint.check(checkpoint.shapes(model), {Path('layout'): published}, origin='layout')
    unread = {name for name in published if name.startswith(checkpoint.UNUSED)}
    assert published.keys() - unread == checkpoint.shapes(model).keys()
    assert len(unread) == 125
    assert all(tensor.is_meta for tensor in model.state_dict().values())


@pytest.mark.slow
def test_sharded_bfloat16_loads_the_same(folder):
    whole = load(folder)
    shard(folder, torch.bfloat16)
    for name, tensor in load(folder).state_dict().items():
        assert tensor.dtype == FLOAT32
        assert torch.equal(tensor, whole.state_dict()[name].bfloat16().float()), name
    assert all(
        t.dtype == torch.bfloat16 for t in load(folder, torch.bfloat16).state_dict().values()
    )


def test_all_faults_are_named_in_one_error(folder):
    def edit(tensors):
        del tensors['model.norm.weight'], tensors['vggt.aggregator.camera_token']
        tensors['model.layers.9.extra'] = torch.zeros(3)
        tensors['lm_head.weight'] = torch.zeros(7, 64)
        tensors['vggt.camera_head.bias'] = torch.zeros(1)

    change(folder, edit)
    with pytest.raises(CheckpointError) as error:
        load(folder)
    message = str(error.value)
    assert '2 missing, 2 unexpected, 1 misshapen' in message
    for name in (
        'missing: model.norm.weight',
        'missing: vggt.aggregator.camera_token',
        'unexpected: model.layers.9.extra',
        'unexpected: vggt.camera_head.bias',
        'misshapen: lm_head.weight is (7, 64), should be (592, 64)',
    ):
        assert name in message


def test_unread_tensors_may_be_there_or_not(folder):
    change(
        folder,
        lambda tensors: tensors.update(
            {
                'vggt.point_head.norm.weight': torch.ones(3),
                'vggt.depth_head.norm.weight': torch.ones(3),
            }
        ),
    )
    load(folder)
    change(
        folder,
        lambda tensors: [
            tensors.pop(name) for name in list(tensors) if name.startswith(checkpoint.UNUSED)
        ],
    )
    load(folder)


def test_stock_model_is_told_apart(folder):
    change(
        folder,
        lambda tensors: [
            tensors.pop(name) for name in list(tensors) if name.startswith(('vggt.', 'merger.'))
        ],
    )
    with pytest.raises(CheckpointError, match='plain Qwen2.5-VL'):
        load(folder)


@pytest.mark.parametrize('size', [0, 4, 1000, 500_000])
def test_truncated_weights_are_an_error_with_the_file(folder, size):
    path = folder / 'model.safetensors'
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointError, match='model.safetensors is damaged'):
        load(folder)


def test_quantised_weights_of_others_are_an_error(folder):
    change(
        folder,
        lambda tensors: tensors.update(
            {'lm_head.weight': tensors['lm_head.weight'].to(torch.int8)}
        ),
    )
    with pytest.raises(CheckpointError, match='lm_head.weight is stored as I8'):
        load(folder)


def test_missing_shard_is_an_error_with_the_file(folder):
    shard(folder, FLOAT32)
    (folder / 'model-00002-of-00003.safetensors').unlink()
    with pytest.raises(CheckpointError, match='no file .*model-00002-of-00003'):
        load(folder)


def test_index_that_forgets_shards_is_an_error(folder):
    shard(folder, FLOAT32)
    index = json.loads((folder / 'model.safetensors.index.json').read_text())
    index['weight_map'] = dict.fromkeys(index['weight_map'], 'model-00001-of-00003.safetensors')
    (folder / 'model.safetensors.index.json').write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match='missing: '):
        load(folder)


def test_pickled_weights_are_not_read(folder):
    torch.save(load_file(folder / 'model.safetensors'), folder / 'pytorch_model.bin')
    (folder / 'model.safetensors').unlink()
    with pytest.raises(CheckpointError, match='safetensors only'):
        load(folder)


@pytest.mark.parametrize(
    ('name', 'content', 'said'),
    [
        ('config.json', '{', 'cannot be read as JSON'),
        ('config.json', '[]', 'no JSON object'),
        ('config.json', '{"model_type": "llama"}', "'llama'"),
        ('config.json', '{"model_type": "qwen2_5_vl"}', 'lacks the field'),
        ('config.json', None, 'no file'),
        ('preprocessor_config.json', '{}', 'image_mean'),
        ('preprocessor_config.json', None, 'no file'),
        ('generation_config.json', '{"no_repeat_ngram_size": 3}', 'no_repeat_ngram_size'),
        ('generation_config.json', '{"repetition_penalty": -1}', 'repetition_penalty'),
        ('tokenizer.json', '{}', 'tokenizer'),
        ('model.safetensors', None, 'no file'),
    ],
)
def test_faulty_folder_is_an_error_that_says_where(folder, name, content, said):
    (folder / name).unlink()
    if name == 'tokenizer.json':
        (folder / 'vocab.json').unlink()
    if content is not None:
        (folder / name).write_text(content)
    with pytest.raises(CheckpointError, match=said) as error:
        JanusPolicy.from_pretrained(folder, device='cpu', dtype='float32')
    assert str(folder) in str(error.value)


@pytest.mark.parametrize(
    ('field', 'value', 'said'),
    [
        ('mrope_section', [2, 3, 4], 'mrope_section'),
        ('num_attention_heads', 3, 'divides'),
        ('num_key_value_heads', 3, 'divides'),
        ('hidden_size', None, 'not understood'),
        ('vocab_size', 400, 'tokens'),
        ('image_token_id', 5, 'image_pad'),
        ('tie_word_embeddings', True, 'tie_word_embeddings'),
    ],
)
def test_numbers_that_do_not_fit_are_an_error(folder, field, value, said):
    config = json.loads((folder / 'config.json').read_text())
    (config['rope_scaling'] if field == 'mrope_section' else config)[field] = value
    (folder / 'config.json').write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=said):
        JanusPolicy.from_pretrained(folder, device='cpu', dtype='float32')


def test_missing_folder_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match='nowhere'):
        JanusPolicy.from_pretrained(tmp_path / 'nowhere', device='cpu')


def test_nested_configuration_of_transformers_5_is_read(folder):
    config = json.loads((folder / 'config.json').read_text())
    flat = JanusConfig.from_folder(folder)
    top = ('model_type', 'vision_config', 'lam', 'vggt_merger_hidden_dim', 'image_token_id')
    nested = {name: config[name] for name in top}
    nested['text_config'] = {name: value for name, value in config.items() if name not in top}
    scaling = nested['text_config'].pop('rope_scaling')
    nested['text_config']['rope_parameters'] = {
        **scaling,
        'rope_theta': nested['text_config'].pop('rope_theta'),
    }
    (folder / 'config.json').write_text(json.dumps(nested))
    assert JanusConfig.from_folder(folder) == flat


def test_saved_model_loads_the_same_and_keeps_unread_tensors(folder, tmp_path):
    heads = {'vggt.point_head.norm.weight': torch.rand(3)}
    change(folder, lambda tensors: tensors.update(heads))
    model = load(folder)
    with torch.no_grad():
        model.lm_head.weight.mul_(2)
    saved = checkpoint.save(model, tmp_path / 'saved', folder)
    again = load(saved)
    assert checkpoint.stored_dtype(saved) == torch.float32
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    with (
        safe_open(folder / 'model.safetensors', 'pt') as old,
        safe_open(saved / 'model.safetensors', 'pt') as new,
    ):
        assert set(old.keys()) == set(new.keys())
        assert torch.equal(new.get_tensor(next(iter(heads))), *heads.values())
    JanusPolicy.from_pretrained(saved, device='cpu', dtype='float32')
    assert not (tmp_path / 'saved.partial').exists()
    with pytest.raises(FileExistsError):
        checkpoint.save(model, saved, folder)


def test_large_model_is_saved_in_shards(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, 'SHARD_BYTES', 600_000)
    model = load(folder)
    saved = checkpoint.save(model, tmp_path / 'saved', folder)
    assert len(list(saved.glob('model-*-of-*.safetensors'))) > 2
    again = load(saved).state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in model.state_dict().items())
    half = checkpoint.save(load(folder, torch.bfloat16), tmp_path / 'half', folder)
    assert checkpoint.stored_dtype(half) == torch.bfloat16


def test_training_starts_from_both_parents(folder, tmp_path):
    """Qwen2.5-VL's folder and VGGT's make a complete model with a fresh merger."""
    tensors = load_file(folder / 'model.safetensors')
    qwen = Path(shutil.copytree(folder, tmp_path / 'qwen'))
    (qwen / 'vggt_config.json').unlink()
    save_file(
        {
            name: tensor
            for name, tensor in tensors.items()
            if not name.startswith(('vggt.', 'merger.'))
        },
        qwen / 'model.safetensors',
    )
    vggt = tmp_path / 'vggt'
    vggt.mkdir()
    shutil.copy(folder / 'vggt_config.json', vggt)
    save_file(
        {
            **{
                name.removeprefix('vggt.'): tensor
                for name, tensor in tensors.items()
                if name.startswith('vggt.')
            },
            'camera_head.norm.weight': torch.ones(3),
            'depth_head.norm.weight': torch.ones(3),
        },
        vggt / 'model.safetensors',
    )
    started = checkpoint.start(qwen, vggt, tmp_path / 'start', torch.float32)
    loaded = load(started).state_dict()
    for name, tensor in loaded.items():
        if name.startswith('merger.'):
            assert tensor.isfinite().all()
        else:
            assert torch.equal(tensor, tensors[name]), name
    written = load_file(started / 'model.safetensors')
    assert 'vggt.depth_head.norm.weight' in written
    assert 'vggt.camera_head.norm.weight' not in written
    config = json.loads((started / 'config.json').read_text())
    assert config['lam'] == 0.2
    with pytest.raises(CheckpointError, match='missing: vggt.aggregator.camera_token'):
        checkpoint.start(qwen, qwen, tmp_path / 'none')
