"""The published layouts are read, written, and complained about by name."""

import json
from pathlib import Path
import resource

import cv2
from janusvln_ros.episodes.vln_ce import Episode, Instruction, write_episodes
from janusvln_ros.policy.preprocessing import resize
from janusvln_ros.policy.wording import AFTER_INSTRUCTION, BEFORE_INSTRUCTION
from janusvln_ros.training.data import command as data_command
from janusvln_ros.training.data.layout import (
    AnnotationWriter,
    build_examples,
    read_annotations,
    read_pictures,
)
from janusvln_ros.training.data.sources import ConcatWalks, ExampleFiles, TrajectoryFiles
import numpy as np
import pytest

ACTIONS = ['turn_left'] * 3 + ['move_forward'] * 8 + ['turn_right', 'stop']


def _picture(number: int) -> np.ndarray:
    return np.full((48, 64, 3), (number * 10, 40, 255 - number * 10), np.uint8)


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, Path]:
    """Lay two episodes as R2R-CE's trajectory data lie."""
    folder = tmp_path / 'trajectory_data' / 'R2R-CE-640x480' / 'train'
    for name in ('4', '17'):
        (folder / name).mkdir(parents=True)
        for number, action in enumerate(ACTIONS):
            cv2.imwrite(
                str(folder / name / f'{number:03}_{action}.png'), _picture(number)[..., ::-1]
            )
    episodes = tmp_path / 'train.json.gz'
    write_episodes(
        episodes,
        [
            Episode(number, number, 'scene', (0, 0, 0), (0, 0, 0, 1), Instruction(f'Go {number}.'))
            for number in (4, 5, 17)
        ],
    )
    return folder, episodes


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    """Write two trajectories as ScaleVLN's lie."""
    writer = AnnotationWriter(tmp_path / 'dagger_data' / 'R2R', 'train')
    for name in ('a', 'b'):
        writer.write(name, f'Find {name}.', [_picture(i) for i in range(4)], [1, 2, 1, 0])
    return writer.folder


def test_pictures_named_after_actions(pictures):
    one, two = read_pictures(*pictures)
    assert [one.name, two.name] == ['17', '4'] and two.instructions == ('Go 4.',)
    assert two.actions == (2, 2, 2, *[1] * 8, 3, 0)
    assert two.pictures[0] == '000_turn_left.png'


@pytest.mark.parametrize(
    'name, complaint',
    [
        ('4/005_jump.png', r'005_jump\.png: the name does not end in an action'),
        ('4/002_stop.png', r'002_stop\.png: STOP is not the last action'),
        ('99/000_stop.png', r"99: .*has no episode '99'"),
    ],
)
def test_wrong_pictures_are_named(pictures, name, complaint):
    folder, episodes = pictures
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b'')
    with pytest.raises(ValueError, match=complaint):
        list(read_pictures(folder, episodes))


def test_annotations(annotated):
    one, _ = read_annotations(annotated)
    assert one.actions == (1, 2, 1, 0) and one.instructions == ('Find a.',)
    assert one.pictures == ('000.jpg', '001.jpg', '002.jpg', '003.jpg')
    entry = json.loads((annotated / 'annotations.json').read_text())[0]
    assert entry == {
        'id': 'a',
        'video': 'train/a',
        'instructions': ['Find a.'],
        'actions': [-1, 1, 2, 1, 0],
    }


def test_the_last_picture_is_stop_also_where_the_list_ends_before(annotated):
    path = annotated / 'annotations.json'
    entries = json.loads(path.read_text())
    entries[0]['actions'].pop()
    path.write_text(json.dumps(entries))
    assert next(read_annotations(annotated)).actions == (1, 2, 1, 0)


@pytest.mark.parametrize(
    'change, complaint',
    [
        ({'actions': [-1, 1, 7, 1, 0]}, r"entry 1 \(id 'b'\): actions is not -1 followed by"),
        ({'actions': [-1, 1, 0]}, r"entry 1 \(id 'b'\): 3 actions for 4 pictures"),
        ({'video': 'train/nowhere'}, r"entry 1 \(id 'b'\): no folder .*nowhere"),
        ({'instructions': []}, r'instructions is not a list of texts'),
    ],
)
def test_wrong_annotations_are_named(annotated, change, complaint):
    path = annotated / 'annotations.json'
    entries = json.loads(path.read_text())
    entries[1] |= change
    path.write_text(json.dumps(entries))
    with pytest.raises(ValueError, match=complaint):
        list(read_annotations(annotated))


def test_a_missing_field_is_named(annotated):
    path = annotated / 'annotations.json'
    path.write_text(json.dumps([{'id': 'a', 'video': 'train/a'}]))
    with pytest.raises(ValueError, match='entry 0 lacks instructions, actions'):
        list(read_annotations(annotated))


def test_examples_are_the_published_ones(pictures, tmp_path):
    target = tmp_path / 'examples.jsonl'
    assert build_examples(read_pictures(*pictures), target) == 2 * len(ACTIONS)
    examples = [json.loads(line) for line in target.read_text().splitlines()]
    first, late = examples[0], examples[11]
    assert first['id'] == '17_0_0' and len(first['images']) == 1
    assert late['conversations'] == [
        {
            'from': 'human',
            'value': '<image>' * 9 + BEFORE_INSTRUCTION + 'Go 17.' + AFTER_INSTRUCTION,
        },
        {'from': 'gpt', 'value': 'TURN_RIGHT'},
    ]
    shown = [int(Path(image).name[:3]) for image in late['images']]
    assert shown == np.linspace(0, 11, 9, dtype=int).tolist()


def test_examples_and_trajectories_become_walks(pictures, annotated, tmp_path):
    target = tmp_path / 'examples.jsonl'
    build_examples(read_pictures(*pictures), target)
    several = ConcatWalks(
        [ExampleFiles([target], 56), TrajectoryFiles(read_annotations(annotated), 56, most=3)]
    )
    assert len(several) == 2 * len(ACTIONS) + 2
    walk = several[11]
    assert walk.instruction == 'Go 17.' and len(walk.frames) == 9
    assert np.array_equal(walk.frames[-1], resize(_picture(11), 56))
    assert walk.questions[0].actions.tolist() == [-1] * 8 + [3]
    walk = several[len(several) - 1]
    assert walk.instruction == 'Find b.' and walk.questions[0].actions.tolist() == [1, 2, 1]


def test_another_prompt_is_refused(pictures, tmp_path):
    target = tmp_path / 'examples.jsonl'
    build_examples(read_pictures(*pictures), target)
    target.write_text(target.read_text().replace('These images are', 'This is'))
    with pytest.raises(ValueError, match=r'examples\.jsonl, line 3: .*not the evaluation prompt'):
        ExampleFiles([target], 56)[2]


def test_the_command_builds_and_names_what_is_wrong(pictures, annotated, tmp_path, capsys):
    target = tmp_path / 'all.jsonl'
    arguments = [
        'build',
        str(target),
        '--pictures',
        *map(str, pictures),
        '--annotations',
        str(annotated),
    ]
    assert data_command.main(arguments) == 0
    assert f'{2 * len(ACTIONS) + 8} examples' in capsys.readouterr().out
    (annotated / 'annotations.json').write_text('[')
    assert data_command.main(arguments) == 2
    assert 'annotations.json is not readable' in capsys.readouterr().err
    assert len(target.read_text().splitlines()) == 2 * len(ACTIONS) + 8  # as it was


@pytest.mark.slow
def test_collect_writes_the_layout_from_the_world(tmp_path):
    small = '--episodes 1 --width 160 --height 120'.split()
    arguments = ['collect', str(tmp_path / 'data'), *small]
    assert data_command.main(arguments) == 0
    (trajectory,) = read_annotations(tmp_path / 'data')
    assert trajectory.actions[-1] == 0 and len(trajectory.actions) > 5
    stamp = (trajectory.folder / '000.jpg').stat().st_mtime_ns
    assert data_command.main(arguments) == 0
    assert (trajectory.folder / '000.jpg').stat().st_mtime_ns == stamp


def test_more_than_a_thousand_pictures_stay_in_order(tmp_path):
    writer = AnnotationWriter(tmp_path, 'train')
    actions = [1, 2] * 501 + [0]
    writer.write('long', 'Go on.', [_picture(0)[:2, :2]] * len(actions), actions)
    (long,) = read_annotations(tmp_path)
    assert [Path(name).stem for name in long.pictures[998:]] == [
        '998', '999', '1000', '1001', '1002'
    ]  # fmt: skip


def test_a_full_disk_leaves_the_list_whole(tmp_path):
    writer, path = AnnotationWriter(tmp_path, 'train'), tmp_path / 'annotations.json'
    writer.finish('a', ['Go on.', '去吧'], [1, 0])
    before = path.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limit[1]))
    try:
        with pytest.raises(OSError, match='cannot grow'):
            writer.finish('b', ['Stop.'], [1, 0])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert path.read_bytes() == before and writer.names == {'a'}
    writer.finish('b', ['Stop.'], [1, 0])
    AnnotationWriter(tmp_path, 'train').finish('c', ['Turn.'], [2, 0])
    assert [entry['id'] for entry in json.loads(path.read_text(encoding='utf-8'))] == list('abc')
