"""Depth and points of a frame: the published heads' numbers, and decisions as without them."""

import json
from pathlib import Path
import shutil

from janusvln_ros.measurement import goldens, parity
from janusvln_ros.policy import CheckpointError, JanusPolicy, MemoryConfig
from janusvln_ros.policy.network.config import GeometryConfig
from janusvln_ros.policy.network.heads import HeadTables
import numpy as np
import pytest
from safetensors.torch import load_file, save_file
import torch

GOLDEN = Path(__file__).parent / 'data' / 'goldens' / 'depth_a'
EPISODE = GOLDEN / 'episodes' / 'ep0_landscape'
MAPS = ('depth', 'depth_conf', 'world_points', 'world_points_conf')


def policy_with(heads, mode='windowed', folder=GOLDEN / 'checkpoint'):
    return JanusPolicy.from_pretrained(
        folder,
        device='cpu',
        image_width=126,
        memory=MemoryConfig(mode, 2, 4),
        geometry_heads=heads,
    )


def walk(policy, asked):
    """Decide on the episode's frames, asking for the geometry of those numbered `asked`."""
    policy.reset('Go to the door.')
    return [
        policy.step(goldens.read_frame(EPISODE, step), geometry=step in asked)
        for step in range(11)
    ]


def test_every_token_stage_and_map_is_the_published_one():
    report = parity.run_episode(EPISODE, parity.DEPTH, 'cpu', 'float32')
    assert report.failures == []
    for name in MAPS:  # far below the tolerance: the goldens' own target
        assert report.differences[name].checked == 11
        assert report.differences[name].relative < 1e-5
    assert report.differences['stages'].checked == 76


def test_tables_of_the_published_size_are_small():
    tables = HeadTables(GeometryConfig(), 35, 46, torch.device('cpu'))
    parts = [part for embedding in (*tables.coarse, tables.fine) for part in embedding]
    assert sum(part.untyped_storage().nbytes() for part in parts) < 1e6


def test_maps_behind_a_bfloat16_encoder_are_near():
    report = parity.run_episode(EPISODE, parity.DEPTH, 'cpu', 'bfloat16')
    assert report.failures == []
    assert 1e-4 < report.differences['depth'].relative < 1e-2


def test_the_command_fails_on_another_map(tmp_path, capsys):
    shutil.copytree(GOLDEN, tmp_path / 'depth_a')
    path = tmp_path / 'depth_a/episodes/ep0_landscape/golden.safetensors'
    tensors = load_file(path)
    tensors['s009.depth_slice'] = tensors['s009.depth_slice'] * 1.001
    save_file(tensors, path)
    assert parity.main([str(tmp_path)]) == 1
    assert 'FAIL: depth' in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize('mode', ['sampled', 'windowed'])
def test_decisions_are_bit_identical_with_heads_and_without(mode):
    plain = walk(policy_with('none', mode), asked=())
    told = walk(policy_with('points', mode), asked=(0, 3, 4, 10))
    for ours, theirs in zip(plain, told, strict=True):
        assert torch.equal(ours.logits, theirs.logits)
        assert ours.log_probabilities == theirs.log_probabilities
    assert [decision.geometry is not None for decision in told] == [
        step in (0, 3, 4, 10) for step in range(11)
    ]


@pytest.mark.slow
def test_a_frame_that_nobody_asked_about_is_remembered_all_the_same():
    every = walk(policy_with('points'), asked=range(11))
    last = walk(policy_with('points'), asked=(10,))
    golden = load_file(EPISODE / 'golden.safetensors')
    for name, ours, theirs in zip(MAPS, every[-1].geometry, last[-1].geometry, strict=True):
        assert np.array_equal(ours, theirs)
        expected = golden[f's010.{name}'].numpy()
        assert np.linalg.norm(ours - expected) < 1e-5 * np.linalg.norm(expected)


def test_depth_alone_is_the_same_depth():
    both, alone = (
        walk(policy_with(heads), asked=(5,))[5].geometry for heads in ('points', 'depth')
    )
    assert alone.points is None
    assert alone.points_confidence is None
    assert np.array_equal(both.depth, alone.depth)
    assert np.array_equal(both.depth_confidence, alone.depth_confidence)


def test_memory_with_heads_is_counted():
    sizes = {}
    for heads in ('none', 'depth'):
        policy = policy_with(heads)
        walk(policy, asked=())
        sizes[heads] = policy.memory_usage().bytes
    assert sizes['depth'] > sizes['none']


def test_geometry_without_heads_is_refused():
    policy = policy_with('none')
    policy.reset('Go to the door.')
    with pytest.raises(ValueError, match="geometry_heads 'depth' or 'points'"):
        policy.step(goldens.read_frame(EPISODE, 0), geometry=True)
    with pytest.raises(ValueError, match="'everything'"):
        policy_with('everything')


def test_a_checkpoint_without_the_heads_says_so():
    with pytest.raises(CheckpointError, match='no whole depth_head.*"none" would do'):
        policy_with('depth', folder=GOLDEN.parent / 'tiny_act' / 'checkpoint')


@pytest.mark.slow
def test_sizes_come_from_the_tensors_where_no_configuration_states_them(tmp_path):
    folder = tmp_path / 'checkpoint'
    shutil.copytree(GOLDEN / 'checkpoint', folder)
    numbers = json.loads((folder / 'vggt_config.json').read_text())
    del numbers['head_features'], numbers['head_out_channels']
    (folder / 'vggt_config.json').write_text(json.dumps(numbers))
    ours, stated = (
        walk(policy_with('depth', folder=f), asked=(0,))[0].geometry
        for f in (folder, GOLDEN / 'checkpoint')
    )
    assert np.array_equal(ours.depth, stated.depth)


@pytest.mark.parametrize(
    'numbers',
    [
        {'head_layers': [1, 2, 5]},
        {'head_layers': [1, 3, 2, 5]},
        {'head_features': 12},
        {'depth_in_heights': 'yes'},
    ],
)
def test_heads_that_do_not_fit_are_refused(tmp_path, numbers):
    folder = tmp_path / 'checkpoint'
    shutil.copytree(GOLDEN / 'checkpoint', folder)
    stated = json.loads((folder / 'vggt_config.json').read_text())
    (folder / 'vggt_config.json').write_text(json.dumps(stated | numbers))
    with pytest.raises(CheckpointError, match=next(iter(numbers))):
        policy_with('depth', folder=folder)


def test_the_shipped_checkpoint_tells_depth_and_decides_as_before():
    shipped = Path(__file__).parents[2] / 'models' / 'janusvln-tiny'
    frame = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    decisions = []
    for heads in ('none', 'depth'):
        policy = JanusPolicy.from_pretrained(
            shipped, device='cpu', dtype='float32', geometry_heads=heads
        )
        policy.reset('go to the red chair')
        decisions += [policy.step(frame, geometry=heads == 'depth')]
    plain, told = decisions
    assert torch.equal(plain.logits, told.logits)
    assert told.geometry.depth.shape == (84, 112) and (told.geometry.depth > 0).all()
    assert told.geometry.in_heights
    with pytest.raises(CheckpointError, match='no whole point_head.*"none" would do'):
        JanusPolicy.from_pretrained(
            shipped, device='cpu', dtype='float32', geometry_heads='points'
        )
