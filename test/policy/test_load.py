"""The one loader: what options load, and what they refuse."""

from dataclasses import replace
import subprocess
import sys

from janusvln_ros.parameters import build
from janusvln_ros.policy.load import choose_device, choose_dtype, load_policy
from janusvln_ros.policy.options import PolicyOptions
import pytest
import torch

RANDOM = PolicyOptions(checkpoint='random', device='cpu')


def test_random_weights_are_loaded_with_the_options():
    policy = load_policy(replace(RANDOM, recent_frames=5, image_width=84, decoding='published'))
    assert policy.random_weights
    assert policy.memory.recent_frames == 5
    assert (policy.image_width, policy.decoding) == (84, 'published')
    assert policy.model.dtype == torch.float32


def test_a_folder_is_loaded(checkpoint_folder):
    options = replace(RANDOM, checkpoint=str(checkpoint_folder), dtype='bfloat16', threads=1)
    policy = load_policy(options)
    assert policy.model.dtype == torch.bfloat16
    assert policy.image_width == 224  # the checkpoint's own
    assert torch.get_num_threads() == 1


def test_no_checkpoint_is_an_error():
    with pytest.raises(ValueError, match='checkpoint is empty.*random'):
        load_policy(PolicyOptions())


def test_pruning_needs_windowed_memory():
    options = replace(RANDOM, memory_mode='windowed', kept_fraction=0.5)
    assert load_policy(options).memory.prunes
    with pytest.raises(ValueError, match='windowed'):
        load_policy(replace(options, memory_mode='sampled'))


def test_auto_is_the_gpu_of_this_rank(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 4)
    assert choose_device() == torch.device('cuda:0')
    monkeypatch.setenv('LOCAL_RANK', '6')
    assert choose_device() == torch.device('cuda:2')
    assert choose_device('cpu') == torch.device('cpu')


def test_without_a_gpu_auto_is_the_cpu_and_cuda_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 0)
    assert choose_device() == torch.device('cpu')
    for device in ('cuda', 'cuda:1'):
        with pytest.raises(ValueError, match="'cpu' would work"):
            choose_device(device)


def test_auto_precision_goes_by_the_device():
    assert choose_dtype('auto', torch.device('cuda')) == torch.bfloat16
    assert choose_dtype('auto', torch.device('cpu')) == torch.float32
    assert choose_dtype('float16', torch.device('cpu')) == torch.float16
    with pytest.raises(ValueError, match='dtype is none of'):
        choose_dtype('float64', torch.device('cpu'))


def test_defaults_are_in_range():
    assert build(PolicyOptions, vars(PolicyOptions())) == PolicyOptions()


def test_the_door_loads_no_torch():
    code = 'import janusvln_ros.policy.load, sys; assert "torch" not in sys.modules'
    subprocess.run([sys.executable, '-c', code], check=True)
