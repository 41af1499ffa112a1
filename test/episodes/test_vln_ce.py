"""Episode files: R2R-CE's and RxR-CE's layout, our own, and the change of frames."""

import gzip
import json
import math

from hypothesis import given
from hypothesis import strategies as st
from janusvln_ros.episodes.vln_ce import (
    Episode,
    from_habitat,
    Goal,
    GroundTruth,
    Instruction,
    read_episodes,
    read_ground_truth,
    rotation_to_yaw,
    to_habitat,
    write_episodes,
    write_ground_truth,
    yaw_to_rotation,
)
import numpy as np
import pytest

R2R = {
    'episode_id': 1,
    'trajectory_id': 4,
    'scene_id': 'mp3d/7y3sRwLe3Va/7y3sRwLe3Va.glb',
    'start_position': [-16.26, 0.15, -3.5],
    'start_rotation': [-0.0, 0.25881905, -0.0, 0.96592583],
    'info': {'geodesic_distance': 6.43},
    'goals': [{'position': [-12.33, 0.15, 1.17], 'radius': 3.0}],
    'instruction': {'instruction_text': 'Walk past the sofa. ', 'instruction_tokens': [5, 7, 0]},
    'reference_path': [[-16.26, 0.15, -3.5], [-12.33, 0.15, 1.17]],
}
RXR = {
    'episode_id': '12',
    'trajectory_id': '34',
    'scene_id': 'mp3d/x/x.glb',
    'start_position': [0, 0, 0],
    'start_rotation': [0, 1, 0, 0],
    'info': {'geodesic_distance': 6.43, 'role': 'guide'},
    'goals': [{'position': [1, 0, 1], 'radius': 3.0}],
    'instruction': {
        'instruction_id': '77',
        'instruction_text': 'नमस्ते',
        'language': 'hi-IN',
        'annotator_id': '9',
        'edit_distance': 0.1,
        'split': 'train',
        'timed_instruction': [{'end_time': 1.2, 'word': 'x', 'start_time': 0.5}],
    },
    'reference_path': [[0, 0, 0], [1, 0, 1]],
}


def write(path, content):
    text = json.dumps(content).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == '.gz' else text)
    return path


@pytest.mark.parametrize('name', ['val.json', 'val.json.gz'])
def test_reads_r2r_and_rxr(tmp_path, name):
    content = {'episodes': [R2R, RXR], 'instruction_vocab': {'word_list': ['<pad>', 'walk']}}
    first, second = read_episodes(write(tmp_path / name, content))
    assert first.instruction.text == 'Walk past the sofa. '
    assert first.instruction.tokens == (5, 7, 0)
    assert first.goals == (Goal((-12.33, 0.15, 1.17), 3.0),)
    assert first.start == pytest.approx((3.5, 16.26, math.radians(30)))
    assert second.instruction.language == 'hi-IN'
    assert second.instruction.extra['timed_instruction'][0]['word'] == 'x'
    assert second.start[2] == pytest.approx(math.pi)


@pytest.mark.parametrize('name', ['val.json', 'val.json.gz'])
def test_what_is_written_is_what_was_read(tmp_path, name):
    episodes = read_episodes(write(tmp_path / 'source.json', {'episodes': [R2R, RXR]}))
    write_episodes(tmp_path / name, episodes, ['<pad>', 'walk'])
    assert read_episodes(tmp_path / name) == episodes
    opened = gzip.open if name.endswith('.gz') else open
    with opened(tmp_path / name, 'rt') as stream:
        content = json.load(stream)
    assert content == {
        'episodes': [R2R, RXR],
        'instruction_vocab': {'word_list': ['<pad>', 'walk']},
    }


def test_same_episodes_same_bytes(tmp_path):
    episodes = read_episodes(write(tmp_path / 'source.json', {'episodes': [R2R]}))
    for name in ('a.json.gz', 'b.json.gz'):
        write_episodes(tmp_path / name, episodes)
    assert (tmp_path / 'a.json.gz').read_bytes() == (tmp_path / 'b.json.gz').read_bytes()


def test_test_splits_have_no_goals(tmp_path):
    entry = {k: v for k, v in R2R.items() if k not in ('goals', 'reference_path', 'info')}
    (episode,) = read_episodes(write(tmp_path / 'test.json', {'episodes': [entry]}))
    assert episode.goals == () and episode.reference_points.shape == (0, 2)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'start_position': [1, 2]}, r'episodes\[1\].*three finite numbers'),
        ({'start_rotation': [0, 0, 0, 2]}, 'unit quaternion'),
        ({'instruction': {}}, r"episodes\[1\]: field 'instruction_text' is missing"),
        ({'goals': [{'position': [0, 0, 0]}]}, "field 'radius' is missing"),
    ],
)
def test_a_broken_episode_is_named(tmp_path, change, message):
    path = write(tmp_path / 'broken.json', {'episodes': [R2R, R2R | change]})
    with pytest.raises(ValueError, match=message):
        read_episodes(path)


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / 'half.json').write_text('{"episodes": [')
    with pytest.raises(ValueError, match='half.json: not readable as JSON'):
        read_episodes(tmp_path / 'half.json')
    (tmp_path / 'half.json.gz').write_bytes(gzip.compress(b'{"episodes": []}')[:-6])
    with pytest.raises(ValueError, match='half.json.gz: not readable as JSON'):
        read_episodes(tmp_path / 'half.json.gz')
    with pytest.raises(ValueError, match='no list "episodes"'):
        read_episodes(write(tmp_path / 'other.json', {'train': []}))


def test_ground_truth_round_trip(tmp_path):
    truths = {'7': GroundTruth(((0.0, 0.0, 0.0), (0.0, 0.0, -0.25)), (1, 2, 0))}
    path = tmp_path / 'val_gt.json.gz'
    write_ground_truth(path, truths)
    assert read_ground_truth(path) == truths
    assert json.loads(gzip.decompress(path.read_bytes()))['7']['forward_steps'] == 1
    with pytest.raises(ValueError, match='locations and actions'):
        read_ground_truth(write(tmp_path / 'x.json', {'7': {}}))


@given(st.tuples(*[st.floats(-50, 50)] * 3), st.floats(-math.pi + 1e-6, math.pi))
def test_frames_convert_both_ways(point, yaw):
    assert from_habitat(to_habitat(*point)) == pytest.approx(point)
    assert rotation_to_yaw(yaw_to_rotation(yaw)) == pytest.approx(yaw, abs=1e-6)


@given(st.floats(-3, 3))
def test_forward_is_forward_in_both_frames(yaw):
    """A step along our yaw is a step along the rotated -z axis in Habitat's frame."""
    x, y, z, w = yaw_to_rotation(yaw)
    ahead = -np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
    assert to_habitat(math.cos(yaw), math.sin(yaw)) == pytest.approx(tuple(ahead), abs=1e-9)


def test_known_directions():
    """Habitat: a turn to the left by 90 degrees from -z looks along -x; ours looks along +y."""
    left = Episode(1, 1, 's', (0, 0, 0), yaw_to_rotation(math.pi / 2), Instruction(''))
    assert left.start[2] == pytest.approx(math.pi / 2)
    assert from_habitat((-1, 0, 0))[:2] == (0, 1)
    assert from_habitat((0, 0, -1))[:2] == (1, 0)
