"""What a policy runs with, recorded as text: what comes back, and what counts as another."""

import shutil

from janusvln_ros.policy.load import load_policy
from janusvln_ros.policy.options import PolicyOptions
from janusvln_ros.policy.settings import checkpoint_hash, differences, options_of, settings_of


def test_settings_bring_back_the_options(checkpoint_folder):
    options = PolicyOptions(
        checkpoint=str(checkpoint_folder), device='cpu', recent_frames=5, kept_fraction=0.5,
        memory_mode='windowed',
    )  # fmt: skip
    settings = settings_of(options, load_policy(options))
    assert settings['dtype'] == 'float32'  # what auto came to
    assert settings['torch'] and settings['janusvln_ros']
    back = options_of(settings)
    assert (back['memory_mode'], back['recent_frames'], back['kept_fraction']) == (
        'windowed', 5, 0.5,
    )  # fmt: skip
    assert not back.keys() & {'checkpoint', 'device', 'threads'}


def test_another_checkpoint_has_another_hash_wherever_it_lies(checkpoint_folder, tmp_path):
    copy = shutil.copytree(checkpoint_folder, tmp_path / 'copy')
    assert checkpoint_hash(str(copy)) == checkpoint_hash(str(checkpoint_folder)) != ''
    weights = bytearray((copy / 'model.safetensors').read_bytes())
    weights[len(weights) // 2] ^= 1
    (copy / 'model.safetensors').write_bytes(weights)
    assert checkpoint_hash(str(copy)) != checkpoint_hash(str(checkpoint_folder))
    assert checkpoint_hash('random') == ''


def test_a_large_file_is_known_by_parts_of_it(tmp_path):
    file = tmp_path / 'model.safetensors'
    with file.open('wb') as stream:
        stream.truncate(80 << 20)
    before = checkpoint_hash(str(tmp_path))
    with file.open('r+b') as stream:
        for place in range(0, 80 << 20, 1 << 18):  # as training does: everywhere
            stream.seek(place)
            stream.write(b'1')
    assert checkpoint_hash(str(tmp_path)) != before


def test_differences_name_what_is_another_and_how():
    ours = {'memory_mode': 'sampled', 'checkpoint': '/a', 'checkpoint_hash': '12', 'torch': '2'}
    theirs = {'memory_mode': 'windowed', 'checkpoint': '/b', 'checkpoint_hash': '12'}
    assert differences(ours, ours) == []
    assert differences(ours, theirs) == [
        'memory_mode sampled instead of windowed',
        'torch 2 instead of unknown',
    ]
