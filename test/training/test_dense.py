"""A depth head is learned on what the policy computes, and nothing else of the network changes."""

from pathlib import Path

from janusvln_ros.policy import JanusPolicy, MemoryConfig
from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.config import JanusConfig
from janusvln_ros.training import command, dense, log
from janusvln_ros.training.data.views import Plan, write_views
from janusvln_ros.training.export import export
from janusvln_ros.training.imitation import ImitationNetwork
from janusvln_ros.training.tiny_model import write_with_new_words
import numpy as np
import pytest
from safetensors.torch import load_file
import torch
import yaml

pytestmark = pytest.mark.slow

STAGE = {'kind': 'heads', 'features': 8, 'channels': [8, 8, 8, 8], 'frames': 8}
LOOP = {'learning_rate': 2e-3, 'log_every': 1}


@pytest.fixture(scope='module')
def views(tmp_path_factory):
    folder = tmp_path_factory.mktemp('dense') / 'views'
    write_views(folder, Plan(tours=4, seed=3, rooms=(1, 1), frames=3, dense=True))
    return folder


@pytest.fixture
def tiny_with_depth():
    return Path(__file__).parents[2] / 'models' / 'janusvln-tiny'


@pytest.fixture
def train(tmp_path, fresh, views):
    """Give what runs the stage for so many steps, in the same folder: its exit status."""

    def run(steps):
        stage = {**STAGE, 'start': str(fresh), 'views': str(views)}
        stages = {'heads': {**stage, 'loop': {**LOOP, 'steps': steps}}}
        config = tmp_path / 'config.yaml'
        config.write_text(yaml.safe_dump({'output': str(tmp_path), 'stages': stages}))
        return command.main(['all', '--config', str(config), '--device', 'cpu'])

    return run


def walk(folder, views, heads):
    policy = JanusPolicy.from_pretrained(
        folder,
        device='cpu',
        dtype='float32',
        memory=MemoryConfig('windowed'),
        geometry_heads=heads,
    )
    policy.reset('Go to the red chair.')
    frames = np.load(views / 'rgb.npy')[0]
    return [policy.step(frame, geometry=heads != 'none') for frame in frames]


def test_it_learns_depth_and_decisions_stay_as_they_are(train, tmp_path, fresh, views):
    assert train(40) == 0
    losses = [value for _, value in log.read(tmp_path / 'heads' / 'log.csv')['depth']]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    learned = tmp_path / 'heads' / 'checkpoint'
    before, after = (load_file(folder / 'model.safetensors') for folder in (fresh, learned))
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert all(name.startswith('vggt.depth_head.') for name in after.keys() - before.keys())
    plain, told = walk(fresh, views, 'none'), walk(learned, views, 'depth')
    for ours, theirs in zip(plain, told, strict=True):
        assert torch.equal(ours.logits, theirs.logits)
        assert theirs.geometry.depth.shape == (84, 112)


@pytest.mark.parametrize('trained, kept', [(['model'], True), (['vggt'], False)])
def test_a_head_goes_where_the_encoder_that_it_reads_has_changed(
    tmp_path, tiny_with_depth, trained, kept
):
    start = tiny_with_depth
    config = JanusConfig.from_folder(start)
    model = checkpoint.load(start, config, torch.device('cpu'), torch.float32)
    network = ImitationNetwork(model, trained=trained, memory=MemoryConfig('windowed'))
    export(network, tmp_path / 'checkpoint', start)
    names = load_file(tmp_path / 'checkpoint' / 'model.safetensors')
    assert any(name.startswith('vggt.depth_head.') for name in names) == kept


def test_new_words_leave_a_head_as_it_is(tmp_path, tiny_with_depth):
    write_with_new_words(tmp_path / 'new', tiny_with_depth)
    before, after = (
        load_file(folder / 'model.safetensors') for folder in (tiny_with_depth, tmp_path / 'new')
    )
    assert all(
        torch.equal(after[name], tensor.float())
        for name, tensor in before.items()
        if name.startswith('vggt.')
    )


def test_it_reads_what_the_policy_reads(train, tmp_path, fresh, views):
    assert train(2) == 0
    learned = tmp_path / 'heads' / 'checkpoint'
    model = checkpoint.load(
        learned,
        JanusConfig.from_folder(learned),
        torch.device('cpu'),
        torch.float32,
        heads=(dense.HEAD,),
    )
    heads = model.heads
    seen = []
    heads[dense.HEAD].register_forward_hook(lambda module, inputs, output: seen.append(output))
    tokens = np.load(tmp_path / 'heads' / 'tokens' / 'tokens.npy')[0]
    batch = {'tokens': tokens, 'depth': np.ones((3, 84, 112)), 'height': np.ones(3)}
    dense.DenseNetwork(model)({name: torch.from_numpy(value) for name, value in batch.items()})
    for ours, decision in zip(seen[0][:, 0], walk(learned, views, 'depth'), strict=True):
        theirs = torch.from_numpy(decision.geometry.depth)
        assert (ours - theirs).norm() < 2e-3 * theirs.norm()  # tokens are kept in float16


def test_more_tours_are_encoded_when_they_have_been_drawn(train, tmp_path, views):
    done = np.load(views / 'done.npy', mmap_mode='r+')
    done[3] = False
    assert train(1) == 0
    tokens = tmp_path / 'heads' / 'tokens'
    assert np.load(tokens / 'encoded.npy').tolist() == [True, True, True, False]
    done[3] = True
    (tmp_path / 'heads' / 'done').unlink()
    assert train(2) == 0
    assert np.load(tokens / 'encoded.npy').all() and np.load(tokens / 'tokens.npy')[3].any()


def test_views_without_depth_are_refused(tmp_path, fresh, capsys):
    config = tmp_path / 'config.yaml'
    stage = {**STAGE, 'start': str(fresh), 'views': str(tmp_path), 'loop': {**LOOP, 'steps': 1}}
    config.write_text(
        yaml.safe_dump({'output': str(tmp_path / 'run'), 'stages': {'heads': stage}})
    )
    assert command.main(['heads', '--config', str(config), '--device', 'cpu']) == 2
    assert 'dense: true' in capsys.readouterr().err
