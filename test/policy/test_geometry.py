"""Details of the encoders that the golden episode cannot tell apart."""

from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.config import FULL_SIZE, GeometryConfig
from janusvln_ros.policy.network.fusion import GeometryMerger
from janusvln_ros.policy.network.geometry import PatchEmbed
from janusvln_ros.policy.network.layers import RMSNorm
import torch
from torch import nn


def test_norms_have_the_published_epsilons():
    model = checkpoint.build(FULL_SIZE)
    for name, module in model.named_modules():
        if isinstance(module, nn.LayerNorm):
            assert module.eps == (1e-6 if 'patch_embed' in name else 1e-5), name
        elif isinstance(module, RMSNorm):
            assert module.eps == 1e-6, name


def test_position_table_is_used_as_it_is_on_its_own_grid():
    embed = PatchEmbed(GeometryConfig(embed_dim=8, dino_depth=0, img_size=70, dino_num_heads=1))
    torch.nn.init.normal_(embed.pos_embed)
    assert embed.positions(5, 5) is embed.pos_embed
    assert embed.positions(4, 7).shape == (1, 29, 8)
    assert torch.equal(embed.positions(4, 7)[:, 0], embed.pos_embed[:, 0])


def test_odd_row_and_column_are_dropped_before_four_patches_become_a_token():
    torch.manual_seed(0)
    merger = GeometryMerger(6, 10, 8)
    features = torch.randn(1, 5, 7, 6)
    merged = merger(features)[0].view(2, 3, 8)
    grid = merger.ln_q(features)[0]
    for row in range(2):
        for column in range(3):
            four = [grid[2 * row + y, 2 * column + x] for y in (0, 1) for x in (0, 1)]
            assert torch.allclose(merged[row, column], merger.mlp(torch.cat(four)), atol=1e-6)
