"""Pre-training reads what the simulator knows, and never the pairs that evaluation holds out."""

from dataclasses import replace

from janusvln_ros.episodes.grammar import HELD_OUT_PAIRS
from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.config import JanusConfig
from janusvln_ros.sim.house import CATEGORIES, COLOURS
from janusvln_ros.training.data.views import Plan, write_views
from janusvln_ros.training.log import read
from janusvln_ros.training.loop import LoopConfig, train
from janusvln_ros.training.pretrain import PretrainingNetwork, ViewBatches
import numpy as np
import pytest
import torch

PLAN = Plan(tours=12, seed=5, rooms=(1, 2))


@pytest.fixture(scope='module')
def views(tmp_path_factory):
    folder = tmp_path_factory.mktemp('views')
    write_views(folder, PLAN)
    return folder


def _network(fresh):
    torch.manual_seed(0)
    return PretrainingNetwork(
        checkpoint.load(fresh, JanusConfig.from_folder(fresh), torch.device('cpu'), torch.float32)
    )


def test_views_hold_no_held_out_pairs(views):
    classes = set(np.load(views / 'rays.npy').ravel().tolist())
    held_out = {
        len(COLOURS) * CATEGORIES.index(thing) + COLOURS.index(colour)
        for thing, colour in HELD_OUT_PAIRS
    }
    assert not classes & held_out and len(classes) > 10


def test_motion_is_what_the_actions_do(views):
    motion = np.load(views / 'motion.npy').astype(float)
    assert not motion[:, 0].any()
    moved = np.hypot(motion[..., 0], motion[..., 1])
    assert moved.max() <= 0.751
    turns = motion[..., 2] / np.radians(15)
    assert np.abs(turns - turns.round()).max() < 0.01 and np.abs(turns).max() <= 3.01


def test_an_interrupted_drawing_goes_on(views):
    before = np.load(views / 'rgb.npy')
    done = np.load(views / 'done.npy', mmap_mode='r+')
    done[4:6] = False
    rgb = np.load(views / 'rgb.npy', mmap_mode='r+')
    rgb[4:6] = 0
    del done, rgb
    write_views(views, PLAN)
    assert np.array_equal(np.load(views / 'rgb.npy'), before)


def test_another_number_of_tours_is_refused(views):
    with pytest.raises(ValueError, match=r'rgb\.npy has shape .* not '):
        write_views(views, replace(PLAN, tours=14))


def test_the_depth_of_pixels_is_that_of_the_rays(tmp_path):
    write_views(tmp_path, Plan(tours=2, seed=6, rooms=(1, 2), frames=3, dense=True))
    ahead = np.load(tmp_path / 'pixel_depth.npy').astype(float)
    assert ahead.shape == (2, 3, 84, 112)
    for tour, (hfov, height, tilt) in enumerate(np.load(tmp_path / 'camera.npy').tolist()):
        assert abs(tilt) < 0.1 and 1.0 < height < 1.5
        focal = 56 / np.tan(hfov / 2)
        y, x = np.ogrid[-41.5:42, -55.5:56]
        far = ahead[tour] * np.sqrt(1 + (x / focal) ** 2 + (y / focal) ** 2)
        patches = far.reshape(3, 6, 14, 8, 14).mean(axis=(2, 4)).reshape(3, 48)
        labels = np.load(tmp_path / 'depth.npy')[tour].astype(float)
        assert np.median(np.abs(patches - labels) / labels) < 0.01


def test_missing_views_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='janusvln data views'):
        ViewBatches(tmp_path, 2, 0)


@pytest.mark.slow
def test_it_learns(fresh, views, tmp_path):
    network = _network(fresh)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    train(
        network,
        ViewBatches(views, 4, 0),
        LoopConfig(steps=30, learning_rate=4e-3, log_every=5),
        tmp_path / 'run',
    )
    curves = read(tmp_path / 'run' / 'log.csv')
    assert curves['loss'][-1][1] < 0.5 * curves['loss'][0][1]
    for name, value in network.state_dict().items():
        if name.startswith(('model.model.', 'model.lm_head.')):
            assert torch.equal(value, before[name]), name
