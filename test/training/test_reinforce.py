"""Rollouts in groups: what does better than its group becomes likelier."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

from janusvln_ros.actions import Action
from janusvln_ros.policy import JanusPolicy
from janusvln_ros.policy.decoding import AnswerTree
from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.config import JanusConfig
from janusvln_ros.policy.prompt import PromptEncoder
from janusvln_ros.training import driving, log
from janusvln_ros.training.command import main
from janusvln_ros.training.deciding import Answers, Encoders, sample
from janusvln_ros.training.driving import Cabin, Drivers
from janusvln_ros.training.reinforce import advantages, Packing
from janusvln_ros.training.rounds import RolloutBatches
import numpy as np
import pytest
from safetensors.torch import load_file
import torch
import yaml

GOOD = Action.TURN_LEFT  # what arrives in the bandit's house


def config_file(folder: Path, fresh: Path, loop=None, **fields) -> Path:
    stage = {
        'kind': 'rft',
        'start': str(fresh),
        'categories': ['reach'],
        'groups': 2,
        'rollouts': 3,
        'steps': 3,
        'least_spread': 0.0,
        **fields,
        'loop': {'steps': 4, 'learning_rate': 1e-3, 'log_every': 1, **(loop or {})},
    }
    folder.mkdir(exist_ok=True)
    path = folder / 'config.yaml'
    path.write_text(yaml.safe_dump({'output': str(folder / 'run'), 'stages': {'rft': stage}}))
    return path


def train(config: Path, processes: int = 1) -> int:
    return main(['rft', '--config', str(config), '--device', 'cpu', '--processes', str(processes)])


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / 'run' / 'rft' / 'checkpoint' / 'model.safetensors')


def same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class Bandit:
    """Stands for houses: who turns left arrives, and every action is the last but going on."""

    def __init__(self, processes: int, rollouts: int, steps: int, image_width: int) -> None:
        self._shape = image_width * 3 // 4, image_width, 3
        self._arrived: dict[tuple[int, int], bool] = {}

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def begin(self, episodes: Sequence[int]) -> list[str]:
        return ['Go to the red chair.' if index % 2 else 'Find the door.' for index in episodes]

    def look(self, places) -> np.ndarray:
        return np.full((len(places), *self._shape), 90, np.uint8)

    def act(self, actions) -> set[tuple[int, int]]:
        self._arrived |= {place: action == GOOD for place, action in actions.items()}
        return {place for place, action in actions.items() if action == Action.MOVE_FORWARD}

    def arrived(self) -> dict[tuple[int, int], bool]:
        return self._arrived


def test_advantages_are_within_the_group_and_need_a_spread():
    rewards = np.array([[1.0, 0.0, 0.0, 1.0], [0.5, 0.5, 0.5, 0.5], [0.9, 0.92, 0.9, 0.92]])
    told = advantages(rewards, 0.05)
    assert told[0].tolist() == [1.0, -1.0, -1.0, 1.0]
    assert np.isnan(told[1:]).all()
    assert np.isnan(advantages(rewards, 0.0)).all(axis=1).tolist() == [False, True, False]


def test_what_arrives_becomes_likelier(fresh, tmp_path, monkeypatch):
    monkeypatch.setattr(driving, 'Drivers', Bandit)
    loop = {'steps': 24, 'batches': 2}
    config = config_file(tmp_path, fresh, loop, groups=2, rollouts=8, kl=0.0)
    assert train(config) == 0
    curves = log.read(tmp_path / 'run' / 'rft' / 'log.csv')
    reward = [value for _, value in curves['reward']]
    assert np.mean(reward[:2]) < 0.6 and np.mean(reward[-4:]) > 0.9
    assert {'rollout_sr', 'kl', 'clipped', 'entropy', 'groups_skipped'} <= curves.keys()
    assert curves['kl'][0][1] == pytest.approx(0, abs=1e-6)  # it has not moved yet
    assert max(value for _, value in curves['kl']) > 0.01
    before = load_file(fresh / 'model.safetensors')
    moved = {name for name, value in weights(tmp_path).items() if not value.equal(before[name])}
    assert moved and all(name.startswith(('model.', 'lm_head.')) for name in moved)


def test_the_penalty_holds_it_back(fresh, tmp_path, monkeypatch):
    monkeypatch.setattr(driving, 'Drivers', Bandit)
    far = []
    for kl in (0.0, 5.0):
        config = config_file(tmp_path / str(kl), fresh, {'steps': 10}, rollouts=8, kl=kl)
        assert train(config) == 0
        curves = log.read(tmp_path / str(kl) / 'run' / 'rft' / 'log.csv')
        far.append(np.mean([value for _, value in curves['kl'][-3:]]))
    assert far[1] < far[0] / 2


def test_a_batch_decides_as_the_policy_does(fresh):
    """Also where rollouts end before others, and instructions are of different lengths."""
    model = checkpoint.load(
        fresh, JanusConfig.from_folder(fresh), torch.device('cpu'), torch.float32
    )
    policy = JanusPolicy.from_pretrained(
        fresh, device='cpu', dtype='float32', memory=MemoryConfig('windowed')
    )
    said = ['Go to the red chair.', 'Find the door.', 'Go past the table and stop at the plant.']
    rng = np.random.default_rng(0)
    width = model.config.image_width
    frames = rng.integers(0, 255, (4, 3, width * 3 // 4, width, 3), np.uint8)
    suffixes = [policy.encoder.suffix(text) for text in said]
    with torch.no_grad():
        policy.reset(said[0])
        policy.step(frames[0, 0])
        encoders = Encoders(model)
        answers = Answers(model, policy.episode.prompt, suffixes, policy.tree)
        alive, batch = np.arange(3), []
        for step in range(4):
            logits = answers(encoders(torch.from_numpy(frames[step, alive])))
            batch.append(dict(zip(alive.tolist(), policy_logs(policy.tree, logits))))
            if step == 1:
                alive = alive[[0, 2]]
                encoders.keep(torch.tensor([0, 2]))
                answers.keep(torch.tensor([0, 2]))
    for number, text in enumerate(said):
        policy.reset(text)
        for step in range(4 if number != 1 else 2):
            decision = policy.step(frames[step, number])
            told = torch.tensor([decision.log_probabilities[action] for action in Action])
            torch.testing.assert_close(batch[step][number], told, rtol=0, atol=1e-4)


def policy_logs(tree: AnswerTree, logits: torch.Tensor) -> list[torch.Tensor]:
    return [tree.log_probabilities(row) for row in logits]


def test_answers_are_drawn_as_their_probabilities_say(fresh):
    packing = Packing(PromptEncoder(fresh))
    tree = packing.tree
    logits = torch.full((1, 1 + len(tree.tokens), 2000), -3.0)
    places = {}
    for action, (questions, targets, _) in (
        (action, packing.pack([(5,)], [[action]])) for action in Action
    ):
        token = int(targets[0, int(questions.decisions[0, 0])])
        places[action] = token
        logits[0, 0, token] = 1.0 if action == GOOD else 0.0
    draws = np.random.default_rng(1).random((4000, 2 + int(tree.depths.max())))
    drawn = sample(tree, logits.expand(4000, -1, -1), 0.5, draws)
    share = np.exp(2.0) / (np.exp(2.0) + 3)
    assert np.mean([action == GOOD for action in drawn]) == pytest.approx(share, abs=0.02)


def test_of_an_answer_in_many_tokens_only_choices_are_learned():
    """Of TURN_LEFT in a language model's tokens: that it turns, and that it is to the left."""
    words = {'STOP': [1], 'MOVE_FORWARD': [2, 3, 4], 'TURN_LEFT': [5, 6], 'TURN_RIGHT': [5, 7]}
    tokenizer = SimpleNamespace(encode=lambda text, **_: words[text], decode=str)
    packing = Packing(SimpleNamespace(tokenizer=tokenizer, end_of_turn=9))
    questions, targets, nodes = packing.pack(
        [(11, 12), (11,)], [[Action.TURN_LEFT, Action.STOP], [Action.MOVE_FORWARD]]
    )
    assert questions.tokens.tolist() == [[11, 12, 5, 6, 11, 12, 1], [11, 2, 3, 4, 0, 0, 0]]
    assert targets.tolist() == [[-1, 5, 6, -1, -1, 1, -1], [2, -1, -1, -1, -1, -1, -1]]
    allowed = packing.allowed(16)
    assert allowed[nodes[0, 1]].nonzero().flatten().tolist() == [1, 2, 5]
    assert allowed[nodes[0, 2]].nonzero().flatten().tolist() == [6, 7]
    logits = torch.zeros(1, 1 + len(packing.tree.tokens), 16)
    draws = np.random.default_rng(2).random((3000, 2 + int(packing.tree.depths.max())))
    drawn = sample(packing.tree, logits.expand(3000, -1, -1), 1.0, draws)
    shares = [np.mean([action == other for action in drawn]) for other in Action]
    assert shares == pytest.approx([1 / 3, 1 / 3, 1 / 6, 1 / 6], abs=0.03)


@pytest.mark.slow
def test_a_killed_run_goes_on_bit_by_bit(fresh, tmp_path, monkeypatch):
    """In the middle of a round, whose houses it drives through again."""
    # Fresh weights arrive nowhere: some rollouts are said to.
    some = {(group, one): one == group for group in range(2) for one in range(3)}
    monkeypatch.setattr(Cabin, 'arrived', lambda _: some)
    assert train(config_file(tmp_path / 'whole', fresh)) == 0
    assert not same(weights(tmp_path / 'whole'), load_file(fresh / 'model.safetensors'))
    cut = config_file(tmp_path / 'cut', fresh, {'save_every': 0.0})
    with monkeypatch.context() as patch:
        draw = RolloutBatches.batch
        patch.setattr(RolloutBatches, 'batch', lambda *which: _draw_until(3, draw, *which))
        with pytest.raises(Cut):
            train(cut)
    assert train(cut) == 0
    assert same(weights(tmp_path / 'whole'), weights(tmp_path / 'cut'))


class Cut(Exception):
    """Stands for a kill."""


def _draw_until(last: int, draw, batches: RolloutBatches, step: int, part: int):
    if step == last:
        raise Cut
    return draw(batches, step, part)


@pytest.mark.slow
def test_processes_and_one_see_the_same(fresh):
    episodes = [3, 10, 17]
    seen = []
    for processes in (1, 2):
        with Drivers(processes, 2, 4, 112) as drivers:
            said = drivers.begin(episodes)
            places = [(group, one) for group in range(3) for one in range(2)]
            frames = [drivers.look(places)]
            left = drivers.act({place: 1 + place[1] for place in places})
            assert left == {*places}
            frames.append(drivers.look(places))
            left = drivers.act({place: Action.STOP if place[0] else 1 for place in places})
            assert left == {(0, 0), (0, 1)}
            assert drivers.arrived().keys() == {*places}
            with pytest.raises(RuntimeError, match='the episode is over'):
                drivers.act({(1, 0): 1})
            seen.append((said, np.stack(frames)))
    assert seen[0][0] == seen[1][0] and np.array_equal(seen[0][1], seen[1][1])
    assert np.array_equal(frames[0][0], frames[0][1])  # of a group, at its start
    assert not np.array_equal(frames[1][0], frames[1][1])


def test_other_rules_and_damage_are_named(fresh, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(driving, 'Drivers', Bandit)
    assert train(config_file(tmp_path, fresh, {'steps': 2})) == 0
    stage = tmp_path / 'run' / 'rft'
    (stage / 'done').unlink()
    (stage / 'latest').unlink()
    assert train(config_file(tmp_path, fresh, {'steps': 2}, decay=0.9)) == 2
    assert 'was driven by other rules' in capsys.readouterr().err
    (stage / 'rounds' / 'round_000000.npz').write_bytes(b'PK')
    assert train(config_file(tmp_path, fresh, {'steps': 2})) == 2
    assert 'is damaged' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('fields', 'word'),
    [
        ({'rollouts': 1}, 'rollouts is a whole number of at least 2, not 1'),
        ({'steps': 58}, 'steps is 58: memory holds 57 frames'),
        ({'temperature': 0}, 'temperature is 0'),
        ({'decay': 1.5}, 'decay is 1.5'),
        ({'clip': 1.0}, 'clip is 1.0'),
        ({'loop': {'prefetch': 2}}, 'prefetch is 0 here'),
        ({'categories': ['fly']}, "no categories or forms ['fly']"),
        ({'trained': ['model']}, 'no field trained'),
    ],
)
def test_what_cannot_be_is_named(fresh, tmp_path, capsys, fields, word):
    assert train(config_file(tmp_path, fresh, **fields)) == 2
    assert word in capsys.readouterr().err
