"""A fresh tiny checkpoint and a few walks, made once."""

from pathlib import Path

from janusvln_ros.training import tiny_model
from janusvln_ros.training.data.collect import collect, Plan
import pytest
import torch


@pytest.fixture(scope='session', autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope='session')
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the untrained tiny checkpoint."""
    return tiny_model.write_fresh_checkpoint(tmp_path_factory.mktemp('fresh') / 'checkpoint')


@pytest.fixture(scope='session')
def walks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with four short walks."""
    folder = tmp_path_factory.mktemp('walks')
    collect(Plan(folder, 4, seed=1, categories=('reach', 'memory'), most=10))
    return folder
