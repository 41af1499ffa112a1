"""The full-size network can be described without its weights."""

from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.network.checkpoint import build, load
from janusvln_ros.policy.network.config import (
    GeometryConfig,
    JanusConfig,
    LanguageConfig,
    VisionConfig,
)
from janusvln_ros.policy.prompt import PromptEncoder
from janusvln_ros.training.data.sources import WalkFiles
from janusvln_ros.training.imitation import ImitationBatches, ImitationNetwork
from janusvln_ros.training.parallel import checkpoint_activations, estimate, UNITS
import pytest
import torch
from torch.distributed.checkpoint.state_dict import get_model_state_dict

FULL = JanusConfig(
    LanguageConfig(3584, 18944, 28, 28, 4, 1e-6, 1e6, (16, 24, 24), 152064, 128000),
    VisionConfig(1280, 3420, 32, 16, 3584, 112, (7, 15, 23, 31)),
    GeometryConfig(),
)


@pytest.fixture(scope='module')
def network():
    with torch.device('meta'):
        return ImitationNetwork(
            build(FULL),
            trained=('visual_merger', 'merger', 'model', 'lm_head'),
            memory=MemoryConfig('sampled'),
            auxiliary=0.0,
        )


def test_full_size_is_trained_as_published(network):
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    total = sum(p.numel() for p in network.parameters())
    # Without the two prediction heads, which are never read (2 x 0.0327 G).
    assert total == pytest.approx(9.25e9, rel=0.01)
    merger = sum(p.numel() for p in network.model.visual.merger.parameters())
    assert trained == pytest.approx(7.62e9 + 0.048e9 + merger, rel=0.01)


def test_blocks_make_up_most_of_the_network(network):
    blocks = [m for m in network.modules() if isinstance(m, UNITS)]
    assert len(blocks) == 28 + 32 + 24 * 3
    rest = sum(p.numel() for p in network.parameters()) - sum(
        p.numel() for m in blocks for p in m.parameters()
    )
    assert rest < 1.3e9  # embeddings, head, mergers


def test_memory_of_a_gpu(network):
    tokens = 9 * 393 + 110
    many = estimate(network, FULL, tokens=tokens, processes=64, recompute=True)
    few = estimate(network, FULL, tokens=tokens, processes=8, recompute=True)
    # 16 bytes for each of 7.7 G trained weights, 4 for 1.5 G frozen ones.
    assert few['weights'] + few['gradients and moments'] == pytest.approx(
        (16 * 7.7e9 + 4 * 1.55e9) / 8 / 2**30, rel=0.03
    )
    assert sum(many.values()) < 24 and sum(few.values()) < 40
    kept = estimate(network, FULL, tokens=tokens, processes=8, recompute=False)
    assert kept['activations'] > 3 * few['activations']


@pytest.mark.slow
def test_recomputed_activations_give_the_same_gradients(fresh, walks):
    batches = ImitationBatches(
        WalkFiles([walks]), PromptEncoder(fresh), walks_per_batch=2, questions=5, seed=0
    )
    gradients = []
    for recompute in (False, True):
        torch.manual_seed(0)
        network = ImitationNetwork(
            load(fresh, JanusConfig.from_folder(fresh), torch.device('cpu'), torch.float32),
            trained=('merger', 'model', 'lm_head'),
            memory=MemoryConfig('windowed'),
        )
        if recompute:
            checkpoint_activations(network)
            assert any('_checkpoint_wrapped' in name for name, _ in network.named_modules())
        network(batches.batch(0, 0))[0].backward()
        gradients.append([p.grad for p in network.parameters() if p.requires_grad])
        names = get_model_state_dict(network)
        assert 'model.model.layers.0.mlp.up_proj.weight' in names
    assert len(gradients[0]) == len(gradients[1]) > 30
    for one, two in zip(*gradients):
        assert torch.equal(one, two)
