"""The language model on its own: one plain pass, far positions, gradients."""

from pathlib import Path

from janusvln_ros.measurement.parity import Recorder
from janusvln_ros.policy import JanusPolicy, MemoryConfig
from janusvln_ros.policy.network.language import Rotary
from janusvln_ros.policy.network.layers import rotate
from janusvln_ros.policy.preprocessing import Grid
from plain_attention import PlainAttention
import torch
from torch.nn import functional

GOLDEN = Path(__file__).parent / 'data' / 'goldens' / 'tiny_act' / 'checkpoint'
CPU = torch.device('cpu')
MODEL = JanusPolicy.from_pretrained(GOLDEN, device='cpu', dtype='float32').model


def windowed(initial, recent, image_width=84):
    policy = JanusPolicy.from_pretrained(
        GOLDEN,
        device='cpu',
        dtype='float32',
        image_width=image_width,
        memory=MemoryConfig('windowed', initial, recent),
    )
    policy.model = MODEL
    return policy


def test_before_eviction_it_is_one_plain_pass(make_frames):
    policy = windowed(2, 3)
    policy.reset('Go to the red chair.')
    recorder = Recorder(policy)
    fused = []
    with torch.inference_mode():
        for frame in make_frames(5):
            logits = recorder.step(frame).logits
            prompt = policy.episode.prompt
            start = 1 if fused else len(prompt.prefix) + 1
            fused.append(recorder.seen['embeddings'][start : start + prompt.grid.tokens])
        embeddings = MODEL.model.embed_tokens(torch.tensor(prompt.ids(5)))
        pads = torch.tensor(prompt.ids(5)) == prompt.block[1]
        embeddings[pads] = torch.cat(fused)
        rotation = Rotary(MODEL.config.language, CPU)(prompt.positions(5))
        hidden = MODEL.model(embeddings[None], PlainAttention(rotation), read=1)
        plain = MODEL.lm_head(hidden)[0, 0]
    assert (logits - plain).norm() < 5e-6 * plain.norm()


def test_positions_stay_exact_however_long_an_episode_lasts():
    """Attention between positions a million frames on is the same: only differences matter."""
    rotary = Rotary(MODEL.config.language, CPU)
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 400, MODEL.config.language.head_dim, generator=generator)
    positions = torch.randint(0, 300, (3, 400), generator=generator)
    near, far = (
        rotate(q, *rotary(positions + shift)) @ rotate(k, *rotary(positions + shift)).T
        for shift in (0, 25_000_000)
    )
    assert (near - far).norm() < 1e-6 * near.norm()


def test_gradients_reach_every_used_weight():
    """Training runs the same modules: the forward pass is differentiable."""
    policy = JanusPolicy.from_pretrained(
        GOLDEN,
        device='cpu',
        dtype='float32',
        image_width=84,
        memory=MemoryConfig('windowed', 1, 2),
    )
    model = policy.model.requires_grad_(True)
    prompt = policy.encoder.prompt(policy.encoder.suffix('Go.'), Grid(6, 6))
    tables = model.visual.tables(*prompt.grid.vision)
    aggregator = model.vggt.aggregator
    features = aggregator(
        torch.rand(1, 3, 84, 84),
        aggregator.tables(*prompt.grid),
        aggregator.special(0),
        lambda block, q, k, v: functional.scaled_dot_product_attention(q, k, v),
    )
    merged = model.merger(features[:, 5:].unflatten(1, prompt.grid))
    fused = model.visual(torch.rand(1, 36, 1176), tables) + 0.3 * merged
    embeddings = torch.cat((model.model.embed_tokens(torch.tensor([prompt.prefix])), fused), 1)
    rotation = Rotary(model.config.language, CPU)(torch.arange(embeddings.shape[1]).expand(3, -1))
    logits = model.lm_head(model.model(embeddings, PlainAttention(rotation)))
    logits.logsumexp(-1).sum().backward()
    without = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    depth = model.config.geometry.depth - 1
    assert all(f'_blocks.{depth}.' in name for name in without), without
