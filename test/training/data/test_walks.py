"""Walks hold what the expert would have done, and come back from disk as they were."""

import math

from janusvln_ros.actions import Action
from janusvln_ros.episodes.grammar import HELD_OUT_PAIRS
from janusvln_ros.episodes.scene import Scene
from janusvln_ros.episodes.splits import build_episode, house_of
from janusvln_ros.policy.preprocessing import resize
from janusvln_ros.policy.prompt import PromptEncoder
from janusvln_ros.sim.expert import Expert
from janusvln_ros.training.data.collect import collect, Plan, WALKS
from janusvln_ros.training.data.dagger import Mixture, worth_keeping
from janusvln_ros.training.data.sources import WalkFiles
from janusvln_ros.training.data.walker import Walker
from janusvln_ros.training.data.walks import load_walk, phrase, save_walk, UNKNOWN
from janusvln_ros.training.imitation import draw, IGNORED, ImitationBatches
import numpy as np
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def walker():
    walker = Walker()
    yield walker
    walker.close()


@pytest.fixture(scope='module')
def walk(walker):
    return walker.walk(WALKS, 7, most=40, astray=0.2, vary=False)


def test_the_experts_actions_are_the_answers(walk):
    scene = Scene(house_of(walk.scene))
    things = [question for question in walk.questions[1:] if question.form == 'reach']
    assert things
    for question in things:
        (piece,) = scene.named(question.slots['a'].thing, question.slots['a'].colour)
        expert = Expert(scene.space, [scene.around(piece)])
        for pose, action, bearing in zip(walk.poses, question.actions, question.bearing):
            if action != UNKNOWN:
                assert action == expert.act(*pose)
            x, y, yaw = pose
            straight = math.atan2(piece.y - y, piece.x - x) - yaw
            off = math.remainder(straight - float(bearing), math.tau)
            assert off == pytest.approx(0, abs=5e-3)


def test_nothing_is_asked_that_was_not_seen(walk):
    for question in walk.questions[1:]:
        told = {'left': Action.TURN_LEFT, 'right': Action.TURN_RIGHT}.get(question.turn, UNKNOWN)
        known = (
            question.actions if question.form == 'reach' or not question.turn else question.hinted
        )
        assert (question.actions[: question.first] == UNKNOWN).all()
        assert (question.hinted[: question.first] == UNKNOWN).all()
        assert question.turn or (question.hinted == UNKNOWN).all()
        if question.form == 'reach':
            seen = question.first + int(question.visible[question.first :].argmax())
            assert (question.actions[:seen] == UNKNOWN).all()
            assert (question.actions[seen:] != UNKNOWN).all()
            assert set(question.hinted[:seen]) <= {told, UNKNOWN}
        else:
            assert question.turn is None or known[question.first] in (told, UNKNOWN)


def test_tasks_of_many_forms_are_asked_from_many_frames(walker):
    questions = [
        question
        for number in range(3)
        for question in walker.walk(WALKS, 7 + number, most=40).questions
    ]
    assert len({question.form for question in questions}) >= 6
    assert len({question.first for question in questions}) >= 6


def test_an_experts_walk_answers_its_own_instruction(walker):
    walk = walker.walk(WALKS, 8, most=200, astray=0.0, vary=False)
    own = walk.questions[0]
    assert np.array_equal(own.hinted if own.turn else own.actions, walk.taken)


def test_tasks_end_where_the_walk_leads_elsewhere(walk):
    for question in walk.questions[1:]:
        if question.form != 'reach':
            known = np.maximum(question.actions, question.hinted)
            told = known != UNKNOWN
            assert ((known != walk.taken) & told).sum() <= 11
            assert (known[told] == Action.STOP).sum() <= 1


def test_a_walk_can_begin_later(walk):
    firsts = sorted({question.first for question in walk.questions})
    assert firsts[0] == 0 and len(firsts) == 3
    later = walk.begin(firsts[1])
    assert np.array_equal(later.frames, walk.frames[firsts[1] :])
    kept = [question for question in walk.questions if question.first == firsts[1]]
    assert len(kept) == len(later.questions) > 0
    for question, before in zip(later.questions, kept):
        assert question.first == 0 and np.array_equal(
            question.actions, before.actions[firsts[1] :]
        )


def test_the_robot_is_led_astray_but_arrives(walker):
    walk = walker.walk(WALKS, 14, most=200, astray=0.2, vary=False)
    assert (walk.taken != walk.labels).sum() > 2
    assert walk.labels[-1] == walk.taken[-1] == Action.STOP
    calm = walker.walk(WALKS, 14, most=200, astray=0.0, vary=False)
    assert (calm.taken == calm.labels).all()


def test_some_walks_stand_before_what_they_run_into(walker):
    """The expert finds a way out, and never pushes twice."""

    def push(frame, instruction, step, right):
        return Action.MOVE_FORWARD if step % 16 < 12 else None

    def walks(no_slide):
        return [
            walker.walk(
                WALKS, 7 * i, most=48, vary=False, things=False, no_slide=no_slide, act=push
            )
            for i in range(4)
        ]

    def aside(walk):
        """How far each step leads from its heading, in metres."""
        heading = walk.poses[:-1, 2]
        dx, dy = np.diff(walk.poses[:, :2], axis=0).T
        return np.abs(dy * np.cos(heading) - dx * np.sin(heading))

    assert max(aside(walk).max() for walk in walks(0.0)) > 0.02
    for walk in walks(1.0):
        assert aside(walk).max() < 1e-9
        stood = np.abs(np.diff(walk.poses, axis=0)).max(1) < 1e-9
        assert stood.any()
        assert (walk.labels[1:][stood] != Action.MOVE_FORWARD).all()
    slid = [aside(walk).max() > 0.02 for walk in walks(0.5)]
    assert 0 < sum(slid) < 4


def test_training_has_no_held_out_pairs(walk):
    house = house_of(walk.scene)
    assert not {(piece.category, piece.colour) for piece in house.furniture} & HELD_OUT_PAIRS


def test_a_walk_comes_back_from_disk(walk, tmp_path):
    save_walk(tmp_path / 'walk.npz', walk, 112)
    again = load_walk(tmp_path / 'walk.npz')
    assert np.array_equal(again.frames, [resize(frame, 112) for frame in walk.frames])
    assert again.instruction == walk.instruction
    for a, b in zip(walk.questions, again.questions, strict=True):
        assert (a.slots, a.turn, a.first) == (b.slots, b.turn, b.first)
        assert all(
            np.array_equal(getattr(a, name), getattr(b, name))
            for name in ('actions', 'hinted', 'visible')
        )
        assert all(
            np.allclose(getattr(a, name), getattr(b, name), atol=0.01)
            for name in ('bearing', 'distance')
        )


def test_a_damaged_walk_is_named(tmp_path):
    (tmp_path / 'walk.npz').write_bytes(b'no archive')
    with pytest.raises(ValueError, match=r'walk\.npz is damaged'):
        load_walk(tmp_path / 'walk.npz')


def test_collecting_goes_on_where_it_was(tmp_path):
    plan = Plan(tmp_path, 2, seed=2, most=4)
    collect(plan)
    first, second = plan.path(0), plan.path(1)
    content = second.read_bytes()
    stamp = first.stat().st_mtime_ns
    second.unlink()
    collect(plan, processes=2)
    assert second.read_bytes() == content
    assert first.stat().st_mtime_ns == stamp


def test_a_plan_may_name_forms(tmp_path):
    names = ('there_and_back', 'reach', 'door_door_then')
    plan = Plan(tmp_path, 6, seed=103, categories=names)
    for number in range(3):
        episode, _ = build_episode(WALKS, plan.index(number))
        assert episode.info['form'] == names[number]
    assert len({plan.index(number) for number in range(300)}) == 300
    with pytest.raises(ValueError, match=r"no categories or forms \['up'\]; there are reach"):
        collect(Plan(tmp_path, 1, seed=1, categories=('up',)))


def test_some_walks_are_driven_by_a_real_body(walker):
    driven = walker.walk(WALKS, 8, most=30, astray=0.0, vary=False, things=False, driven=1.0)
    exact = walker.walk(WALKS, 8, most=30, astray=0.0, vary=False, things=False)
    assert np.array_equal(driven.poses[0], exact.poses[0])
    both = min(len(driven.poses), len(exact.poses), 6)
    off = np.abs(driven.poses[:both] - exact.poses[:both])
    assert 0 < off.max() < 0.2


def test_phrasings_are_those_of_training(walk):
    rng = np.random.default_rng(0)
    question = next(question for question in walk.questions[1:] if question.form == 'reach')
    texts = {phrase(question, False, rng) for _ in range(200)}
    assert len(texts) == 6 and not any(text.startswith('Move over') for text in texts)
    free = {phrase(question, False, rng, free=1.0) for _ in range(200)}
    assert len(free - texts) > 100
    chinese = {phrase(question, False, rng, free=1.0, chinese=1.0) for _ in range(200)}
    assert len(chinese) == 6 and all(text.endswith('。') for text in chinese)
    assert not any('走过去，' in text for text in chinese)  # held out


def test_in_a_mirror_left_is_right(walk):
    mirror = walk.mirrored()
    assert np.array_equal(mirror.frames[0, :, 0], walk.frames[0, :, -1])
    assert np.allclose(mirror.poses[:, 0], walk.poses[:, 0])
    assert np.allclose(mirror.poses[:, 1:], -walk.poses[:, 1:])
    for action, other in ((Action.TURN_LEFT, Action.TURN_RIGHT), (Action.MOVE_FORWARD,) * 2):
        assert np.array_equal(mirror.taken == action, walk.taken == other)
    sides = 0
    for question, seen in zip(walk.questions, mirror.questions):
        assert np.array_equal(question.actions == UNKNOWN, seen.actions == UNKNOWN)
        assert np.allclose(seen.bearing, -question.bearing)
        rng = [np.random.default_rng(1) for _ in range(2)]
        said, back = phrase(question, False, rng[0]), phrase(seen, False, rng[1])
        sides += said != back
        assert back.replace('left', '?').replace('right', 'left').replace('?', 'right') == said
        if 'text' in question.slots:  # the episode's own, in English
            continue
        rng = [np.random.default_rng(1) for _ in range(2)]
        said, back = (phrase(q, True, r, chinese=1.0) for q, r in zip((question, seen), rng))
        assert back.replace('左', '?').replace('右', '左').replace('?', '右') == said
    assert sides
    twice = mirror.mirrored()
    assert np.array_equal(twice.frames, walk.frames) and twice.instruction == walk.instruction
    assert [q.slots for q in twice.questions] == [q.slots for q in walk.questions]
    assert [q.turn for q in twice.questions] == [q.turn for q in walk.questions]


def test_questions_are_drawn_without_repeats(walk):
    walk = walk.begin(0)
    drawn = draw(walk, 30, np.random.default_rng(0))
    assert len(set(drawn)) == len(drawn) == 30
    own = sum(number == 0 for number, _, _ in drawn)
    assert 1 <= own <= 20


def test_batches_hold_the_answers(fresh, walks):
    encoder = PromptEncoder(fresh)
    batches = ImitationBatches(WalkFiles([walks]), encoder, walks_per_batch=2, questions=6, seed=0)
    batch = batches.batch(0, 0)
    assert batch.frames.shape[2:] == (84, 112, 3)
    names = {encoder.tokenizer.encode(action.name)[0]: action for action in Action}
    questions = batch.questions
    for row, column in np.argwhere((questions.steps >= 0).numpy()):
        own = questions.owners[row] == column
        decision = int(questions.offsets[row, questions.decisions[row, column]])
        targets = batch.targets[row, own]
        taught = (targets != IGNORED).nonzero().flatten().tolist()
        assert taught == [decision, decision + 1]
        assert int(targets[decision]) in names
        assert int(targets[decision + 1]) == encoder.end_of_turn
        text = encoder.tokenizer.decode(questions.tokens[row, own][: decision + 1])
        assert text.endswith('<|im_end|>\n<|im_start|>assistant\n')


def test_every_walk_comes_once_in_an_epoch(fresh, walks):
    class Spy(WalkFiles):
        taken: list[int] = []

        def __getitem__(self, index: int):
            self.taken.append(index)
            return super().__getitem__(index)

    batches = ImitationBatches(
        Spy([walks]), PromptEncoder(fresh), walks_per_batch=1, questions=1, seed=0, batches=2
    )
    for step in range(4):
        for part in range(2):
            batches.batch(step, part)
    assert sorted(Spy.taken[:4]) == sorted(Spy.taken[4:]) == [0, 1, 2, 3]


def test_the_walks_of_a_batch_are_about_equally_long(fresh):
    class Lengths(WalkFiles):
        def __init__(self) -> None:
            self.numbers = np.random.default_rng(0).permutation(50)

        def __len__(self) -> int:
            return 50

        def lengths(self) -> np.ndarray:
            return self.numbers

    source = Lengths()
    batches = ImitationBatches(
        source, PromptEncoder(fresh), walks_per_batch=4, questions=1, seed=0
    )
    epochs = [
        [source.numbers[batches.chosen(epoch * 13 + batch)] for batch in range(13)]
        for epoch in range(2)
    ]
    for epoch in epochs:
        assert {*np.concatenate(epoch)} == {*range(50)}
        assert max(map(np.ptp, epoch)) <= 8
    assert not np.array_equal(*epochs)


class Scripted:
    """A policy that says what it is told to."""

    def __init__(self, actions):
        self._actions = actions

    def reset(self, instruction: str) -> None:
        self._left = list(self._actions)

    def step(self, frame: np.ndarray):
        class Decided:
            action = self._left.pop(0) if self._left else Action.TURN_LEFT

        return Decided


def test_dagger_hands_over_after_a_wrong_stop(walker):
    mixture = Mixture(Scripted([Action.STOP]), 0.0, np.random.default_rng(0))
    walk = walker.walk(WALKS, 7, most=90, astray=0.0, vary=False, things=False, act=mixture)
    assert (walk.taken == walk.labels).all() and walk.taken[-1] == Action.STOP
    assert worth_keeping(walk, mixture.mistakes)


def test_dagger_lets_the_model_stray_only_so_far(walker):
    mixture = Mixture(Scripted([]), 0.0, np.random.default_rng(0))
    walk = walker.walk(WALKS, 7, most=120, astray=0.0, vary=False, things=False, act=mixture)
    wrong = walk.taken != walk.labels
    assert 20 <= wrong.sum() <= 26 and not wrong[60:].any()
    assert not worth_keeping(walk, 0)
