"""Whole episodes are held out of training, and what is answered on them is told."""

from collections import Counter
from contextlib import contextmanager
import json
from pathlib import Path

from janusvln_ros.actions import Action
from janusvln_ros.policy import JanusPolicy, MemoryConfig
from janusvln_ros.training import log, validation
from janusvln_ros.training.command import main
from janusvln_ros.training.data import sources
from janusvln_ros.training.data.held_out import hold_out
from janusvln_ros.training.data.layout import AnnotationWriter, build_examples, read_annotations
from janusvln_ros.training.data.walks import load_walk
from janusvln_ros.training.imitation import ImitationBatches
from made_pictures import picture
import pytest
import yaml


def config_file(folder: Path, fresh: Path, data: list[dict], loop=None, **fields) -> Path:
    stage = {
        'kind': 'lora',
        'start': str(fresh),
        'data': data,
        'walks_per_batch': 1,
        'questions': 4,
        'validation': {'share': 0.4},
        **fields,
        'loop': {'steps': 6, 'learning_rate': 1e-2, 'log_every': 1, **(loop or {})},
    }
    folder.mkdir(exist_ok=True)
    path = folder / 'config.yaml'
    path.write_text(yaml.safe_dump({'output': str(folder / 'run'), 'stages': {'own': stage}}))
    return path


def trained(config: Path) -> Path:
    assert main(['own', '--config', str(config), '--device', 'cpu']) == 0
    return config.parent / 'run' / 'own'


def refused(config: Path, capsys) -> str:
    assert main(['own', '--config', str(config), '--device', 'cpu']) == 2
    return capsys.readouterr().err


def read(stage: Path) -> dict:
    return json.loads((stage / 'validation.json').read_text())


@contextmanager
def reads(monkeypatch, name: str):
    """Note what is read of a source while a batch is drawn to learn from, and what else."""
    learned, asked = [], []
    into = [asked]
    draw, load = ImitationBatches.batch, getattr(sources, name)

    def batch(*arguments):
        into.append(learned)
        try:
            return draw(*arguments)
        finally:
            into.pop()

    def noted(path):
        into[-1].append(path)
        return load(path)

    with monkeypatch.context() as patch:
        patch.setattr(ImitationBatches, 'batch', batch)
        patch.setattr(sources, name, noted)
        yield learned, asked


@pytest.mark.slow
@pytest.mark.parametrize('mode', ['windowed', 'sampled'])
def test_right_is_what_the_robot_decides(fresh, walks, tmp_path, monkeypatch, capsys, mode):
    pytest.importorskip('peft')
    fields = {'sampled_every': int(mode == 'sampled'), 'memory': {'history_frames': 3}}
    loop = {'learning_rate': 2e-3}
    config = config_file(tmp_path, fresh, [{'walks': str(walks)}], loop, **fields)
    with reads(monkeypatch, 'load_walk') as (learned, asked):
        stage = trained(config)
    (names,) = read(stage)['episodes']
    assert {*map(str, asked)} == {*names}
    assert {*learned} | {*asked} == {*walks.glob('walk_*.npz')} and not {*learned} & {*asked}

    of = Counter(Action(label).name for name in names for label in load_walk(Path(name)).labels)
    for step, adapter in ('0', None), ('6', stage / 'adapter'):
        policy = JanusPolicy.from_pretrained(
            fresh, 'cpu', 'float32', memory=MemoryConfig(mode, history_frames=3), adapter=adapter
        )
        right = rightly_decided(policy, names)
        (score,) = read(stage)['scores'][step]
        assert score['episodes'] == len(names) and score['questions'] == of.total()
        assert +Counter(score['asked']) == of and +Counter(score['right']) == right
        assert len(of) > 1 and 0 < right.total() < of.total()

    share = right.total() / of.total()
    curves = log.read(stage / 'log.csv')
    assert [step for step, _ in curves['held_out_1_accuracy']] == [0, 6]
    assert curves['held_out_1_accuracy'][1][1] == pytest.approx(share, abs=1e-5)
    told = f'{len(names)} episodes, {of.total()} questions, {share:.2f} right (TURN_LEFT '
    assert f'held out after 6 steps, walks {walks}: {told}' in capsys.readouterr().out
    row = f'| walks {walks} | 6 | {len(names)} | {of.total()} | {share:.3f} |'
    assert row in (stage / 'adapter' / 'README.md').read_text()


def rightly_decided(policy: JanusPolicy, names: list[str]) -> Counter:
    """Step a policy through walks; count the right decisions by action."""
    right: Counter = Counter()
    for walk in map(load_walk, map(Path, names)):
        policy.reset(walk.instruction)
        right.update(
            Action(label).name
            for frame, label in zip(walk.frames, walk.labels)
            if policy.step(frame).action == label
        )
    return right


@pytest.mark.slow
def test_all_of_an_episode_is_on_one_side(fresh, tmp_path, monkeypatch):
    """Whatever it is told in, and in examples of it in another source."""
    writer = AnnotationWriter(tmp_path / 'drives', 'train')
    for name in 'abcdefgh':
        for number in range(4):
            writer.picture(name, number, picture(number))
        writer.finish(name, ['Go on.', f'Find {name}.'], [1, 2, 1, 0])
    examples = tmp_path / 'drives.jsonl'
    build_examples(read_annotations(writer.folder), examples)
    data = [{'annotations': str(writer.folder)}, {'examples': str(examples)}]
    config = config_file(
        tmp_path, fresh, data, {'steps': 30}, kind='imitate', trained=['lm_head'], questions=1
    )
    with reads(monkeypatch, 'read_picture') as (learned, asked):
        stage = trained(config)
    (names, again), scores = read(stage)['episodes'], read(stage)['scores']['30']
    assert names == again and 0 < len(names) < 8
    assert {str(path.parent) for path in asked} == {*names}
    assert learned and not {str(path.parent) for path in learned} & {*names}
    for score in scores:  # two instructions, four pictures
        assert (score['episodes'], score['questions']) == (len(names), 8 * len(names))
        assert score['asked']['STOP'] == score['asked']['TURN_LEFT'] == 2 * len(names)


@pytest.mark.slow
def test_what_was_mended_on_the_pages_is_what_is_learned(fresh, tmp_path, monkeypatch, capsys):
    writer = AnnotationWriter(tmp_path / 'drives', 'train')
    for name in 'abc':
        for number in range(4):
            writer.picture(name, number, picture(number))
        writer.finish(name, ['Go on.'], [1, 2, 1, 0])
    first, second = (tmp_path / f'{name}.edits.json' for name in 'ab')
    first.write_text(json.dumps({'edits': {'a': {'steps': 4, 'drop': True}}}))
    source = {'annotations': str(writer.folder), 'edits': [str(first), str(second)]}
    second.write_text(json.dumps({'edits': {'b': {'steps': 5}}}))
    assert f'{second}, b was made for 5 steps, and there are 4' in refused(
        config_file(tmp_path, fresh, [source]), capsys
    )
    for wrong in {'edits': str(first)}, {'episodes': 'x'}, {'edit': []}:
        bad = [{'annotations': str(writer.folder), **wrong}]
        assert 'annotations (with a list of edits' in refused(
            config_file(tmp_path, fresh, bad), capsys
        )

    second.write_text(json.dumps({'edits': {'b': {'steps': 4, 'first': 2}}}))
    with reads(monkeypatch, 'read_picture') as (learned, held):
        stage = trained(config_file(tmp_path, fresh, [source]))
    assert Counter(path.parts[-3] for path in {*learned, *held}) == {'b': 2, 'c': 4}
    assert str(first) in (stage / 'adapter' / 'README.md').read_text()


@pytest.mark.slow
def test_a_run_goes_on_with_the_same_held_out(fresh, walks, tmp_path, monkeypatch, capsys):
    data = [{'walks': str(walks)}]
    fields = {'kind': 'imitate', 'trained': ['lm_head'], 'loop': {'save_every': 0.0, 'steps': 8}}
    config = config_file(tmp_path, fresh, data, **fields)
    draw = ImitationBatches.batch

    def until(batches, step, part):
        if step == 4:
            raise Cut
        return draw(batches, step, part)

    monkeypatch.setattr(validation, '_DEAREST', 1e9)
    with monkeypatch.context() as patch, pytest.raises(Cut):
        patch.setattr(ImitationBatches, 'batch', until)
        main(['own', '--config', str(config), '--device', 'cpu'])
    for other in {'share': 1e-6}, None:
        config_file(tmp_path, fresh, data, **fields, validation=other or {'share': 0.4})
        if other is None:
            (tmp_path / 'run' / 'own' / 'validation.json').rename(tmp_path / 'kept')
        word = 'other episodes were held out' if other else 'begun without validation'
        assert word in refused(config, capsys)
    (tmp_path / 'kept').rename(tmp_path / 'run' / 'own' / 'validation.json')
    monkeypatch.setattr(validation, '_DEAREST', 1e-9)  # the next and the last, then
    stage = trained(config)
    assert [*read(stage)['scores']] == [*'0123458']
    steps = [step for step, _ in log.read(stage / 'log.csv')['held_out_1_accuracy']]
    assert steps == [0, 1, 2, 3, 4, 5, 8]


class Cut(Exception):
    """Stands for a kill."""


def test_name_and_seed_alone_decide():
    def held(names, place='/data', seed=0, share=0.2):
        paths = [Path(place) / name / 'rgb' for name in names]
        (mask,) = hold_out([paths], share, seed)
        return {name for name, out in zip(names, mask) if out}

    names = [f'drive_{number:03}' for number in range(400)]
    assert 50 < len(held(names)) < 110
    assert held(names, '/moved') == held(names) == held(names[::-1]) != held(names, seed=1)
    assert held(names[:150]) == held(names) & {*names[:150]}
    assert held(names, share=0.1) < held(names)
    assert len(held(names[:3], share=1e-6)) == 1  # one at least


@pytest.mark.parametrize(
    ('fields', 'word'),
    [
        ({'validation': {'share': 0}}, 'own, validation: share is above 0'),
        ({'validation': {'share': 1}}, 'below 1'),
        ({'validation': {'share': 'half'}}, 'own, validation: '),
        ({'validation': {'questions': 0.5}}, 'a whole number'),
        ({'validation': {'episodes': 3}}, 'no field episodes; there are questions, share'),
        ({'validation': True}, 'validation: True is not fields by name'),
        ({'validation': {'share': 0.9999}}, 'all episodes of the source that is number 1'),
        ({'data': [{'walks': '{one}'}]}, 'number 1 has one episode, '),
        ({'data': [{'examples': '{lines}'}]}, 'lines.jsonl, line 2: no example with pictures of'),
        (
            {
                'kind': 'dagger',
                'rounds': 1,
                'walks': 1,
                'share': 1.0,
                'imitate': {
                    'data': [],
                    'trained': ['model'],
                    'validation': {},
                    'loop': {'steps': 1, 'learning_rate': 1},
                },
            },
            'dagger has no validation',
        ),
    ],
)
def test_what_cannot_be_is_named(fresh, walks, tmp_path, capsys, fields, word):
    (tmp_path / 'one').mkdir()
    first = min(walks.iterdir())
    (tmp_path / 'one' / first.name).write_bytes(first.read_bytes())
    (tmp_path / 'lines.jsonl').write_text('{"images": ["a/0.jpg"]}\n{"images": ["a/0", "b/1"]}\n')
    fields = {'kind': 'imitate', 'trained': ['lm_head'], **fields}
    config = config_file(tmp_path, fresh, **{'data': [{'walks': str(walks)}], **fields})
    if fields['kind'] == 'dagger':
        content = yaml.safe_load(config.read_text())
        content['stages']['own'] = {'start': str(fresh), **fields}
        content['stages']['own'].pop('trained')
        config.write_text(yaml.safe_dump(content))
    text = config.read_text().replace('{one}', str(tmp_path / 'one'))
    config.write_text(text.replace('{lines}', str(tmp_path / 'lines.jsonl')))
    assert word in refused(config, capsys)
