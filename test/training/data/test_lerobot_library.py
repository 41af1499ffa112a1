"""The lerobot library itself opens what we write; its statistics and its converter hold."""

from __future__ import annotations

from importlib.util import find_spec
import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

from janusvln_ros.training.data.command import main
from janusvln_ros.training.data.layout import read_annotations, read_picture
from made_bags import poses
from made_lerobot import actions, CAMERA, old_dataset, SENTENCES, trajectories
from made_pictures import picture
import numpy as np
import pytest

PYTHON = os.environ.get('LEROBOT_PYTHON') or (sys.executable if find_spec('lerobot') else '')
SCRIPT = Path(__file__).parents[2] / 'support' / 'lerobot_opens.py'
COUNTS = 5, 3, 9, 7, 2

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PYTHON, reason='lerobot is missing (or LEROBOT_PYTHON, a Python that has it)'
    ),
]
pq = pytest.importorskip('pyarrow.parquet', reason='LeRobot datasets need pyarrow')


def lerobot(*words: object) -> dict[str, Any]:
    """Ask the library; its caches are not kept."""
    done = subprocess.run(
        [PYTHON, str(SCRIPT), *map(str, words)], capture_output=True, text=True, encoding='utf-8'
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.fixture(scope='module', autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('HF_HOME', str(tmp_path_factory.mktemp('cache')))
        yield


@pytest.fixture(scope='module')
def written(tmp_path_factory) -> Path:
    """Export five episodes in three files."""
    place = tmp_path_factory.mktemp('lerobot')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('janusvln_ros.training.data.lerobot.writer._EPISODES', 2)
        assert main(['to-lerobot', str(trajectories(place / 'own', COUNTS)), f'{place}/set']) == 0
    return place


@pytest.fixture(scope='module')
def opened(written: Path) -> dict[str, Any]:
    return lerobot('open', written / 'set')


def test_it_opens_what_we_wrote(written, opened):
    assert (opened['episodes'], opened['frames'], opened['fps']) == (5, sum(COUNTS), 1)
    assert opened['cameras'] == [CAMERA] and opened['shape'] == [3, 48, 64]
    told = [SENTENCES[number % 4] for number, count in enumerate(COUNTS) for _ in range(count)]
    assert opened['tasks'] == told
    assert opened['discrete'] == [action for count in COUNTS for action in actions(count)]
    states = [(i / 7, -i / 11, 0.1 * i) for count in COUNTS for i in range(count)]
    np.testing.assert_allclose(opened['states'], states, atol=1e-6)
    drawn = [
        read_picture(one.folder / name).mean((0, 1)) / 255
        for one in read_annotations(written / 'own')
        for name in one.pictures
    ]
    np.testing.assert_allclose(opened['colours'], drawn, atol=0.015)


def test_its_windows_over_time_are_steps(opened):
    ends = np.cumsum(COUNTS) - 1
    for i, (now, after) in enumerate(opened['next']):
        assert now == opened['actions'][i]
        assert after == opened['actions'][i if i in ends else i + 1]
    starts = [0, *(ends[:-1] + 1)]
    for i, (before, now) in enumerate(opened['before']):
        np.testing.assert_allclose(now, opened['colours'][i], atol=1e-6)
        earlier = opened['colours'][i if i in starts else i - 1]
        np.testing.assert_allclose(before, earlier, atol=1e-6)


def test_its_statistics_are_ours(opened):
    for feature, numbers in opened['computed'].items():
        ours = opened['stats'][feature]
        assert set(ours) == set(numbers) and ours['count'] == numbers['count'] == [sum(COUNTS)]
        size = np.ptp([ours['min'], ours['max']], axis=0)
        for name, value in numbers.items():
            assert np.shape(value) == np.shape(ours[name])
            # It counts in single precision, and takes quantiles from a histogram of 5000 bins.
            off = np.abs(np.array(ours[name]) - value)
            assert (off <= 3e-4 * size + 1e-6).all(), (feature, name, ours[name], value)


def test_its_statistics_of_pictures_are_ours(written):
    episodes = pq.read_table(written / 'set/meta/episodes/chunk-000/file-001.parquet')
    one = next(t for t in read_annotations(written / 'own') if t.name == 'drive_2')
    theirs = lerobot('pictures', *(one.folder / name for name in one.pictures))
    for name, value in theirs.items():
        ours = np.array(episodes[f'stats/{CAMERA}/{name}'].to_pylist()[0])
        assert ours.shape == np.shape(value)
        np.testing.assert_allclose(ours, value, atol=3e-4, err_msg=name)


def test_its_converter_makes_of_version_2_1_what_we_read_the_same(tmp_path, written):
    root = old_dataset(tmp_path / 'drives', COUNTS[:4])
    before, after = tmp_path / 'before', tmp_path / 'after'
    assert main(['from-lerobot', str(root), str(before)]) == 0
    lerobot('convert', root)
    assert json.loads((root / 'meta/info.json').read_text())['codebase_version'] == 'v3.0'
    assert main(['from-lerobot', str(root), str(after)]) == 0
    pairs = list(zip(read_annotations(before), read_annotations(after), strict=True))
    assert len(pairs) == 4
    for a, b in pairs:
        assert (a.name, a.instructions, a.actions) == (b.name, b.instructions, b.actions)
        for x, y in zip(a.pictures, b.pictures, strict=True):
            np.testing.assert_array_equal(read_picture(a.folder / x), read_picture(b.folder / y))
    path = 'meta/episodes/chunk-000/file-000.parquet'
    theirs, ours = (
        {name for name in pq.read_schema(place / path).names if not name.startswith('stats/')}
        for place in (root, written / 'set')
    )
    assert ours - theirs == {'janusvln/name', 'janusvln/recorded'} and theirs <= ours


def test_what_it_records_is_read_and_cut_into_steps(tmp_path):
    stand, ahead, turn = (1.0, 0.0, 0.0, 0.0), (2.5, 0.4, 0.0, 0.0), (2.618, 0.0, 0.0, 0.6)
    way = [stand, ahead, stand, turn, stand]
    drives = [
        (sentence, [pose[1:4] for pose in poses(legs, 10.0)])
        for sentence, legs in ((SENTENCES[0], way), (SENTENCES[1], way[2:]))
    ]
    (tmp_path / 'drives.json').write_text(json.dumps(drives), encoding='utf-8')
    codec = lerobot('record', tmp_path / 'set', tmp_path / 'drives.json')['codec']
    assert main(['from-lerobot', str(tmp_path / 'set'), str(tmp_path / 'out')]) == 0
    found = list(read_annotations(tmp_path / 'out'))
    assert [one.instructions for one in found] == [(SENTENCES[0],), (SENTENCES[1],)]
    assert [list(one.actions) for one in found] == [[1] * 4 + [2] * 6 + [0], [2] * 6 + [0]]
    told = json.loads((tmp_path / 'out/recorded/set_000000.json').read_text(encoding='utf-8'))
    for step, name in list(zip(told['steps'], found[0].pictures))[1:4]:  # it does not stand there
        number = round((step['time'] + step['lag']) * 10)
        off = read_picture(found[0].folder / name).astype(int) - picture(number, 128, 96)
        assert np.abs(off).mean() < 6, codec
