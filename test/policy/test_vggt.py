"""Our aggregator against the published one, on a single frame, where `vggt` is installed."""

from janusvln_ros.policy.network.config import GeometryConfig
from janusvln_ros.policy.network.geometry import Aggregator
from janusvln_ros.policy.preprocessing import Normalisation
import pytest
import torch
from torch.nn import functional

published = pytest.importorskip('vggt.models.aggregator')


def test_single_frame_equals_the_published_aggregator():
    torch.manual_seed(0)
    theirs = published.Aggregator(depth=3).eval()
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if name.endswith('gamma'):  # layer scales start so small that little would show
                parameter.fill_(0.5)
    ours = Aggregator(GeometryConfig(depth=3))
    weights = theirs.state_dict()
    del weights['patch_embed.mask_token']
    ours.load_state_dict(weights)
    pixels = torch.rand(1, 3, 70, 98)
    with torch.inference_mode():
        outputs, special = theirs(pixels[None])
        features = ours(
            Normalisation(torch.device('cpu')).geometry(pixels),
            ours.tables(5, 7),
            ours.special(0),
            lambda block, q, k, v: functional.scaled_dot_product_attention(q, k, v),
        )
    assert special == 5
    expected = outputs[-2][0]
    assert (features - expected).norm() < 1e-5 * expected.norm()
