"""`janusvln data from-lerobot` on datasets of others: v2.1, InternData-N1, and every fault."""

from __future__ import annotations

import json
from pathlib import Path

from janusvln_ros.training.data.command import main
from janusvln_ros.training.data.layout import read_annotations, read_picture, Trajectory
from made_bags import poses
from made_lerobot import actions, CAMERA, old_dataset, SENTENCES, trajectories
from made_pictures import picture
import numpy as np
import pytest

pytest.importorskip('pyarrow', reason='LeRobot datasets need pyarrow')


def taken(
    capfd: pytest.CaptureFixture[str], *words: object, status: int = 0
) -> tuple[list[Trajectory], str]:
    """Read a dataset into a folder; give the trajectories, and notes or errors."""
    root, *options = map(str, words)
    out = Path(f'{root}_out')
    assert main(['from-lerobot', root, str(out), *options]) == status
    found = list(read_annotations(out)) if (out / 'annotations.json').exists() else []
    return found, capfd.readouterr().err


def small_files(root: Path, capfd: pytest.CaptureFixture[str], monkeypatch) -> Path:
    """Export five episodes, two in a file."""
    monkeypatch.setattr('janusvln_ros.training.data.lerobot.writer._EPISODES', 2)
    folder = trajectories(root.parent / 'own', (5, 3, 4, 6, 2))
    assert main(['to-lerobot', str(folder), str(root)]) == 0
    capfd.readouterr()
    return root


@pytest.mark.parametrize('kind', ['video', 'folder', 'image'])
def test_version_2_1_in_all_its_kinds(tmp_path, capfd, kind):
    found, notes = taken(capfd, old_dataset(tmp_path / 'küche', kind=kind))
    assert notes == '' and [one.name for one in found] == ['küche_000000', 'küche_000001']
    for number, one in enumerate(found):
        assert one.instructions == (SENTENCES[number],)
        assert list(one.actions) == actions(len(one.pictures))
        for step, name in enumerate(one.pictures):
            off = read_picture(one.folder / name).astype(int) - picture(step + number)
            assert np.abs(off).mean() < (4 if kind != 'image' else 1e-9)


def test_interndata_n1_has_a_dataset_for_each_scene_and_several_sentences(tmp_path, capfd):
    cameras = [f'observation.images.{name}' for name in (
        'rgb.125cm_0deg', 'rgb.125cm_30deg', 'depth.125cm_30deg')]  # fmt: skip
    tasks = ['walk to the bed<INSTRUCTION_SEP> 走到床边 ', json.dumps({'instruction': 'Geh, ä!'})]
    root = tmp_path / 'r2r'
    for scene in ('17DRP', 'e9zR4'):
        old_dataset(root / scene, (6, 4), tasks, kind='folder', cameras=cameras)
    _, error = taken(capfd, root, status=2)
    assert 'has 2 cameras; choose by --camera: observation.images.rgb.125cm_0deg, ' in error
    found, notes = taken(capfd, root, '--camera', cameras[0])
    assert notes == ''
    assert [one.name for one in found] == [
        'r2r_17DRP_000000', 'r2r_17DRP_000001', 'r2r_e9zR4_000000', 'r2r_e9zR4_000001'
    ]  # fmt: skip
    assert found[0].instructions == ('walk to the bed', '走到床边')
    assert found[1].instructions == ('Geh, ä!',)
    assert list(found[2].actions) == actions(6)


def test_what_is_there_already_stays(tmp_path, capfd):
    root = old_dataset(tmp_path / 'set')
    _, notes = taken(capfd, root)
    kept = (tmp_path / 'set_out/annotations.json').read_text()
    _, notes = taken(capfd, root)
    assert '2 trajectories are there already and left as they are' in notes
    assert (tmp_path / 'set_out/annotations.json').read_text() == kept


def _delete(path: Path) -> None:
    path.unlink()


def _halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ('file', 'harm', 'told', 'left'),
    [
        ('data/chunk-000/file-001.parquet', _delete, 'episodes 2 to 3 are left out: {} is missing',
         (0, 1, 4)),
        ('data/chunk-000/file-000.parquet', _halve,
         'episodes 0 to 1 are left out: {} is truncated or damaged', (2, 3, 4)),
        (f'videos/{CAMERA}/chunk-000/file-002.mp4', _delete,
         'episode 4 is left out: {} is missing', (0, 1, 2, 3)),
        (f'videos/{CAMERA}/chunk-000/file-001.mp4', _halve,
         'episode 3 is left out: {} lacks frames', (0, 1, 4)),
        ('meta/episodes/chunk-000/file-001.parquet', _halve, '{} is damaged: ', (0, 1, 4)),
        ('meta/episodes/chunk-000/file-000.parquet', _delete,
         'tells of 5 episodes, meta/ has 3', (2, 3, 4)),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_and_the_rest_is_read(
    tmp_path, capfd, monkeypatch, file, harm, told, left
):
    root = small_files(tmp_path / 'set', capfd, monkeypatch)
    harm(root / file)
    found, notes = taken(capfd, root)
    assert told.format(root / file) in notes
    assert [one.name for one in found] == [f'drive_{number}' for number in left]
    assert len(list((tmp_path / 'set_out/images').iterdir())) == len(left)


def test_a_lost_picture_and_a_damaged_line_of_version_2_1(tmp_path, capfd):
    root = old_dataset(tmp_path / 'set', (5, 3, 4, 2), kind='folder')
    (root / f'videos/chunk-000/{CAMERA}/episode_000001_2.jpg').unlink()
    lines = (root / 'meta/episodes.jsonl').read_text(encoding='utf-8').splitlines()
    lines[2] = lines[2][:20]
    (root / 'meta/episodes.jsonl').write_text('\n'.join(lines), encoding='utf-8')
    found, notes = taken(capfd, root)
    assert [one.name for one in found] == ['set_000000', 'set_000003']
    assert f'episode 1 is left out: {root}/videos' in notes and '_2.jpg is missing' in notes
    assert 'meta/episodes.jsonl, line 3 is damaged' in notes


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        ({'codebase_version': 'v1.6'}, "codebase_version is 'v1.6'; v2.1 and v3.0 are read"),
        ({'codebase_version': 'v4.0'}, "codebase_version is 'v4.0'; v2.1 and v3.0 are read"),
        ({'features': None}, 'meta/info.json is damaged'),
        ({'fps': 0}, 'fps is 0'),
    ],
)
def test_a_dataset_that_cannot_be_read_is_named(tmp_path, capfd, change, told):
    root = old_dataset(tmp_path / 'set')
    info = json.loads((root / 'meta/info.json').read_text())
    (root / 'meta/info.json').write_text(json.dumps(info | change))
    _, error = taken(capfd, root, status=2)
    assert told in error and error.count('\n') == 1


def test_no_dataset_and_half_an_info(tmp_path, capfd):
    (tmp_path / 'none').mkdir()
    _, error = taken(capfd, tmp_path / 'none', status=2)
    assert 'is no LeRobot dataset: neither it nor a folder below it has meta/info.json' in error
    root = old_dataset(tmp_path / 'set')
    (root / 'meta/info.json').write_text('{"codebase_version": "v2.1"')
    _, error = taken(capfd, root, status=2)
    assert 'meta/info.json is damaged' in error


def _with(first: list[int]) -> dict:
    about = {'dtype': 'int64', 'shape': [1], 'names': None}
    return {'action': (lambda e, n: (first + actions(n))[:n] if e == 0 else actions(n), about)}


@pytest.mark.parametrize(
    ('columns', 'told'),
    [
        (_with([5]), 'action 5 at frame 0; 0 to 3 are read'),
        (_with([1, 0]), 'STOP at frame 1 is not the last action'),
        (_with([1]), 'its last action is TURN_RIGHT, and STOP is right'),
    ],
)
def test_actions_that_are_none_of_ours(tmp_path, capfd, columns, told):
    root = old_dataset(tmp_path / 'set', column='', columns=columns)
    found, notes = taken(capfd, root)
    assert told in notes and 'episode 0 is left out' in notes
    assert [one.name for one in found] == ['set_000001']


def test_a_name_from_a_dataset_stays_within_the_folder(tmp_path, capfd):
    import pyarrow as pa
    import pyarrow.parquet as pq

    root, folder = tmp_path / 'set', trajectories(tmp_path / 'own', (3,))
    assert main(['to-lerobot', str(folder), str(root)]) == 0
    path = root / 'meta/episodes/chunk-000/file-000.parquet'
    (row,) = pq.read_table(path).to_pylist()
    row['janusvln/name'] = '../../away'
    pq.write_table(pa.Table.from_pylist([row]), path)
    found, _ = taken(capfd, root)
    assert [one.name for one in found] == ['_.._away']
    assert [path.name for path in (tmp_path / 'set_out/recorded').iterdir()] == ['_.._away.json']


def test_what_was_recorded_is_left_where_it_does_not_fit(tmp_path, capfd):
    import pyarrow as pa
    import pyarrow.parquet as pq

    root, folder = tmp_path / 'set', trajectories(tmp_path / 'own', (3, 4))
    assert main(['to-lerobot', str(folder), str(root)]) == 0
    path = root / 'meta/episodes/chunk-000/file-000.parquet'
    rows = pq.read_table(path).to_pylist()
    rows[0]['janusvln/recorded'] = rows[1]['janusvln/recorded']
    pq.write_table(pa.Table.from_pylist(rows), path)
    found, notes = taken(capfd, root)
    assert 'episode 0 is taken without times and poses' in notes and len(found) == 2
    assert [path.name for path in (tmp_path / 'set_out/recorded').iterdir()] == ['drive_1.json']


def _driving(episode: int, count: int) -> list[list[float]]:
    """Drive 1 m, turn by 90 degrees, drive 1 m, at 10 frames a second; stand at the ends."""
    stand, ahead, turn = (1.0, 0.0, 0.0, 0.0), (2.5, 0.4, 0.0, 0.0), (2.618, 0.0, 0.0, 0.6)
    legs = [stand, ahead, stand, turn, stand, ahead, stand]
    way = [(8.0, yaw, x, y) for _, x, y, yaw, *_ in poses(legs, 10.0)]
    return [list(row) for row in (way + [way[-1]] * count)[:count]]


@pytest.mark.parametrize(
    'names', [['battery', 'theta', 'x', 'y'], {'base': [['b', 'yaw'], 'x', 'y']}]
)
def test_continuous_driving_is_cut_into_steps(tmp_path, capfd, names):
    about = {'dtype': 'float32', 'shape': [4], 'names': names}
    root = old_dataset(tmp_path / 'set', (118, 5), column='',
                       columns={'observation.state': (_driving, about)})  # fmt: skip
    found, notes = taken(capfd, root)
    assert 'episode 1 is left out: the robot does not move by a step' in notes
    (one,) = found
    assert list(one.actions) == [1] * 4 + [2] * 6 + [1] * 4 + [0]
    (told,) = (tmp_path / 'set_out/recorded').iterdir()
    story = json.loads(told.read_text(encoding='utf-8'))
    assert story['motion'] == 'observation.state' and story['bags'] == [str(root)]
    assert abs(story['steps'][-1]['pose'][2] - 0.4 - np.pi / 2) < 0.02
    for step, name in list(zip(story['steps'], one.pictures))[1:4]:  # it does not stand there
        number = round((step['time'] + step['lag']) * 10)
        off = read_picture(one.folder / name).astype(int) - picture(number)
        assert np.abs(off).mean() < 4


def test_neither_actions_nor_poses(tmp_path, capfd):
    about = {'dtype': 'float32', 'shape': [2], 'names': ['x.vel', 'theta.vel']}
    columns = {'action': (lambda e, n: [[0.5, 0.5]] * n, about)}
    _, error = taken(capfd, old_dataset(tmp_path / 'set', column='', columns=columns), status=2)
    assert 'episodes 0 to 1 are left out: it has neither whole numbers of the four' in error
