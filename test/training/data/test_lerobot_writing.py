"""`janusvln data to-lerobot`: what a dataset holds."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
import sys

from janusvln_ros.training.data.command import main
from janusvln_ros.training.data.layout import read_annotations, read_picture
from made_lerobot import actions, CAMERA, old_dataset, SENTENCES, trajectories
import numpy as np
import pytest

pq = pytest.importorskip('pyarrow.parquet', reason='LeRobot datasets need pyarrow')


def data(capfd: pytest.CaptureFixture[str], *words: object, status: int = 0) -> str:
    """Run a command; give its notes, and errors."""
    assert main([*map(str, words)]) == status
    return capfd.readouterr().err


def table(root: Path, name: str) -> list[dict]:
    """Read the rows of all Parquet files of a folder."""
    paths = sorted(root.glob(f'{name}/*/*.parquet'))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('janusvln_ros.training.data.lerobot.writer._EPISODES', 2)


def test_frames_are_steps_with_state_action_and_sentence(tmp_path, capfd, monkeypatch):
    small_files(monkeypatch)
    root = tmp_path / 'set'
    data(capfd, 'to-lerobot', trajectories(tmp_path / 'own'), root)
    info = json.loads((root / 'meta/info.json').read_text(encoding='utf-8'))
    assert (info['codebase_version'], info['total_episodes']) == ('v3.0', 3)
    assert (info['total_frames'], info['total_tasks'], info['fps']) == (17, 4, 1)
    assert info['features'][CAMERA]['shape'] == [48, 64, 3]
    rows = table(root, 'data')
    assert [row['index'] for row in rows] == list(range(17))
    assert [row['frame_index'] for row in rows[:6]] == [0, 1, 2, 3, 4, 0]
    assert [row['discrete_action'] for row in rows[:5]] == actions(5)
    np.testing.assert_allclose(rows[3]['observation.state'], [3 / 7, -3 / 11, 0.3], rtol=1e-6)
    # From 0, 0, 0 to 1/7, -1/11, 0.1 in 0.7 s: ahead is the part along the mean heading.
    ahead = np.cos(0.05) / 7 - np.sin(0.05) / 11
    np.testing.assert_allclose(rows[0]['action'], [ahead / 0.7, 0.1 / 0.7], rtol=1e-5)
    assert rows[4]['action'] == [0.0, 0.0]
    tasks = pq.read_table(root / 'meta/tasks.parquet').to_pydict()
    said = dict(zip(tasks['task_index'], tasks['task']))
    assert [said[row['task_index']] for row in rows[4:6]] == list(SENTENCES[:2])
    episodes = table(root, 'meta/episodes')
    assert [one['tasks'] for one in episodes][1] == [SENTENCES[1], f'{SENTENCES[1]} (again)']
    assert [one['data/file_index'] for one in episodes] == [0, 0, 1]
    key = f'videos/{CAMERA}'
    times = [(one[f'{key}/from_timestamp'], one[f'{key}/to_timestamp']) for one in episodes]
    assert times == [(0, 5), (5, 8), (0, 9)]


def test_without_a_recording_the_state_is_where_actions_lead(tmp_path, capfd):
    root = tmp_path / 'set'
    data(capfd, 'to-lerobot', trajectories(tmp_path / 'own', (4,), recorded=False), root)
    rows = table(root, 'data')
    turn = np.radians(15)
    x = 0.25 + 0.25 * np.cos(turn)
    expected = [(0, 0, 0), (0.25, 0, 0), (0.25, 0, turn), (x, 0.25 * np.sin(turn), turn)]
    np.testing.assert_allclose([row['observation.state'] for row in rows], expected, atol=1e-6)
    speeds = [(0.25, 0), (0, turn), (0.25, 0), (0, 0)]
    np.testing.assert_allclose([row['action'] for row in rows], speeds, atol=1e-6)


def test_statistics_are_those_of_all_rows_and_pictures(tmp_path, capfd, monkeypatch):
    small_files(monkeypatch)
    root, folder = tmp_path / 'set', trajectories(tmp_path / 'own')
    data(capfd, 'to-lerobot', folder, root)
    stats = json.loads((root / 'meta/stats.json').read_text())
    state = np.array([row['observation.state'] for row in table(root, 'data')])
    for name, value in (('min', state.min(0)), ('max', state.max(0)), ('mean', state.mean(0)),
                        ('std', state.std(0)), ('count', [17])):  # fmt: skip
        np.testing.assert_allclose(stats['observation.state'][name], value, rtol=1e-9)
    seen = np.array([read_picture(one.folder / name).reshape(-1, 3) / 255
                     for one in read_annotations(folder) for name in one.pictures])  # fmt: skip
    colours = {name: np.array(value).ravel() for name, value in stats[CAMERA].items()}
    assert np.shape(stats[CAMERA]['mean']) == (3, 1, 1) and colours['count'] == [17]
    np.testing.assert_allclose(colours['mean'], seen.mean((0, 1)), rtol=1e-9)
    np.testing.assert_allclose(colours['std'], seen.std((0, 1)), rtol=1e-9)
    episodes = table(root, 'meta/episodes')
    median = sorted(row['observation.state'][0] for row in table(root, 'data')[8:])[4]
    assert episodes[2]['stats/observation.state/q50'][0] == median


def test_a_folder_of_something_else_is_not_written_into(tmp_path, capfd):
    folder = trajectories(tmp_path / 'own')
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other/letter.txt').write_text('mine')
    notes = data(capfd, 'to-lerobot', folder, tmp_path / 'other', status=2)
    assert 'is not empty, and no LeRobot dataset; choose another folder' in notes
    old_dataset(tmp_path / 'old')
    notes = data(capfd, 'to-lerobot', folder, tmp_path / 'old', status=2)
    assert 'was not written by this command; choose another folder' in notes
    (tmp_path / 'none').mkdir()
    (tmp_path / 'none/annotations.json').write_text('[]')
    notes = data(capfd, 'to-lerobot', tmp_path / 'none', tmp_path / 'new', status=2)
    assert 'there is no trajectory' in notes


def test_without_pyarrow_a_line_says_what_is_needed(tmp_path, capfd, monkeypatch):
    room = 'janusvln_ros.training.data.lerobot'
    for name in [name for name in sys.modules if name.startswith(room)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'pyarrow', None)
    for words in (['to-lerobot', tmp_path, tmp_path / 'set'], ['from-lerobot', tmp_path, '/x']):
        error = data(capfd, *words, status=2)
        assert error == (
            f'janusvln data {words[0]}: LeRobot datasets need pyarrow; get it by: pip install '
            'pyarrow\n'
        )


def test_a_card_tells_what_it_was_made_from(tmp_path, capfd):
    folder, root = trajectories(tmp_path / 'own'), tmp_path / 'set'
    bag, edits = tmp_path / 'küche', tmp_path / 'edits.json'
    bag.mkdir()
    (bag / 'küche_0.mcap').write_bytes(b'drives')
    edits.write_text('{"edits": {}}')
    for path in (folder / 'recorded').iterdir():
        told = path.read_text(encoding='utf-8')
        path.write_text(told.replace('a/küche', str(bag)), encoding='utf-8')
    trajectories(folder, (5, 3, 9, 4), recorded=False)
    data(capfd, 'to-lerobot', folder, root, '--edits', edits)
    card = (root / 'CARD.md').read_text(encoding='utf-8')
    assert '4 episodes with 21 steps and 5 instructions' in card
    assert f'    janusvln data to-lerobot {folder} {root} --edits {edits}\n' in card
    assert (
        f'| {bag} | 3 |' in card and '| (not recorded: pictures and actions alone) | 1 |' in card
    )
    for path in (bag / 'küche_0.mcap', edits, folder / 'annotations.json'):
        assert f'| {path} | {hashlib.sha256(path.read_bytes()).hexdigest()} |' in card
    video = f'videos/{CAMERA}/chunk-000/file-000.mp4'
    assert f'| {video} | {hashlib.sha256((root / video).read_bytes()).hexdigest()} |' in card
    (bag / 'küche_0.mcap').unlink()
    bag.rmdir()
    data(capfd, 'to-lerobot', folder, root)
    again = (root / 'CARD.md').read_text(encoding='utf-8')
    assert f'| {bag} | it is no longer there |' in again and '| CARD.md |' not in again
