"""Compiled stretches of the networks against the same run plainly, and when there are none."""

import os
import shutil

from janusvln_ros.policy.network import regions
from janusvln_ros.policy.network.config import GeometryConfig
from janusvln_ros.policy.network.geometry import Aggregator, Block
from janusvln_ros.policy.network.layers import GatedMLP
import pytest
import torch

CPU = torch.device('cpu')


@pytest.mark.slow
@pytest.mark.skipif(shutil.which('g++') is None, reason='there is no g++, by which CPUs compile')
@pytest.mark.skipif(' ' in torch.__path__[0], reason="torch's compiler splits paths at spaces")
@torch.inference_mode()
def test_a_compiled_block_is_the_plain_one(tmp_path, monkeypatch):
    from torch._inductor import config as compiler

    monkeypatch.setattr(compiler, 'compile_threads', 1)  # each of more is a process with torch
    monkeypatch.setenv(regions.CACHE, str(tmp_path))
    torch.manual_seed(0)
    block = Block(8, 2, 2, 1e-5, qk_norm=True)
    config = GeometryConfig(embed_dim=8, num_heads=2, depth=0, dino_depth=0, dino_num_heads=1)
    tables = Aggregator(config).tables(2, 3)
    x = torch.randn(1, config.num_special_tokens + 6, 8)
    plain = block(x, tables)
    assert not list(tmp_path.iterdir())  # outside the context nothing is compiled
    with regions.compiled(True):
        compiled = block(x, tables)
    assert list(tmp_path.iterdir())
    assert torch.allclose(compiled, plain, atol=1e-6)


@pytest.mark.slow
def test_a_machine_that_cannot_compile_says_why(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setenv(regions.CACHE, '/somewhere/torchinductor_me')
    assert 'GPU' in regions.why_plain(CPU)
    assert os.environ[regions.CACHE] == '/somewhere/torchinductor_me'
    if torch.cuda.is_available():
        pytest.skip('there is a GPU here')
    said = regions.why_plain(torch.device('cuda'))
    assert said.startswith('nothing can be compiled here: ')
    assert 'CUDA' in said
    assert '\n' not in said


@pytest.mark.parametrize('chosen', [None, '/tmp/torchinductor_me', '/mine'])
def test_what_was_compiled_is_kept_where_a_restart_finds_it(monkeypatch, tmp_path, chosen):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setenv(regions.CACHE, str(chosen))
    if chosen is None:
        monkeypatch.delenv(regions.CACHE)
    regions.keep_compiled()
    ours = str(tmp_path / 'janusvln_ros' / 'inductor')
    assert os.environ[regions.CACHE] == ('/mine' if chosen == '/mine' else ours)


@pytest.mark.parametrize('hidden, multiple', [(20, 16), (32, 16)])
@torch.inference_mode()
def test_joined_and_padded_products_are_the_same(hidden, multiple):
    torch.manual_seed(0)
    mlp, x = GatedMLP(12, hidden, bias=True), torch.randn(5, 12)
    before = mlp(x)
    for _ in range(2):  # the second time it is done already
        mlp.join(multiple)
        assert mlp.gate_proj.weight.shape == (64, 12)
        assert torch.allclose(mlp(x), before, atol=1e-6)
