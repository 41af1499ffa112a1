"""What the policy's tests share: the golden model and a random one."""

from pathlib import Path

from janusvln_ros.policy import JanusPolicy, MemoryConfig
from janusvln_ros.policy.tiny import write_random_checkpoint
import numpy as np
import pytest
import torch

DATA = Path(__file__).parent / 'data'
GOLDEN = DATA / 'goldens' / 'tiny_act'


@pytest.fixture(scope='session', autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope='session')
def checkpoint_folder(tmp_path_factory):
    return write_random_checkpoint(tmp_path_factory.mktemp('policy') / 'tiny')


@pytest.fixture(scope='session')
def golden_policies():
    """Give the golden model in both memory modes, with a window of 2 + 4 frames."""
    return {
        mode: JanusPolicy.from_pretrained(
            GOLDEN / 'checkpoint',
            device='cpu',
            dtype='float32',
            image_width=112,
            memory=MemoryConfig(mode, initial_frames=2, recent_frames=4),
        )
        for mode in ('sampled', 'windowed')
    }


@pytest.fixture(scope='session')
def make_frames():
    return blocks


def blocks(count, width=160, height=120, seed=0):
    """Camera frames of moving coloured blocks: uint8 (count, height, width, 3)."""
    generator = np.random.default_rng(seed)
    small = generator.integers(0, 256, (count, 6, 8, 3), dtype=np.uint8)
    return small.repeat(-(-height // 6), 1).repeat(-(-width // 8), 2)[:, :height, :width].copy()
