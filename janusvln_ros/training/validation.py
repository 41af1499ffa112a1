"""What a network that is trained answers on episodes that are held out of its training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
import json
from pathlib import Path
import time

from janusvln_ros.actions import Action
from janusvln_ros.policy.decoding import AnswerTree, read_repetition_penalty
from janusvln_ros.policy.prompt import PromptEncoder
from janusvln_ros.training.data.sources import WalkDataset
from janusvln_ros.training.data.walks import Walk
from janusvln_ros.training.imitation import Asked, Batch, ImitationBatches
from janusvln_ros.training.loop import LoopConfig, Network
from janusvln_ros.training.parallel import agree, rank
from janusvln_ros.training.state import LATEST
import numpy as np
import torch
from tqdm import tqdm

FILE = 'validation.json'
_ORDER = Action.MOVE_FORWARD, Action.TURN_LEFT, Action.TURN_RIGHT, Action.STOP  # in tables
_DEAREST = 0.1  # share of the time that is spent on this during training


@dataclass(frozen=True)
class ValidationConfig:
    """What is held out, and how much of it is asked."""

    share: float = 0.1  # of the episodes of every source
    questions: int = 500  # of every source, if it has as many; the last walk is asked to its end

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0.0 < self.share < 1.0 or not isinstance(self.questions, int) or self.questions < 1:
            raise ValueError(
                'share is above 0 and below 1, questions a whole number of at least 1; got '
                f'{self.share}, {self.questions}'
            )


@dataclass(frozen=True)
class HeldOut:
    """What is held out of a source of data."""

    source: str  # as the configuration has it
    walks: WalkDataset
    episodes: Sequence[Path]  # of each walk


@dataclass
class Score:
    """How many answers were right, by action."""

    episodes: int = 0
    questions: int = 0
    asked: dict[str, int] = field(default_factory=lambda: dict.fromkeys(Action.__members__, 0))
    right: dict[str, int] = field(default_factory=lambda: dict.fromkeys(Action.__members__, 0))

    def accuracy(self, action: Action | None = None) -> float:
        """Give the share of right answers, of those that are an action; NaN for none."""
        names = [action.name] if action is not None else list(self.asked)
        asked = sum(self.asked[name] for name in names)
        return sum(self.right[name] for name in names) / asked if asked else float('nan')


class Validation:
    """
    Asks for the instruction of walks that are held out, at each of their frames.

    An answer is what the policy decides by default: constrained to the four actions, greedily. The
    same walks are asked each time. FOLDER/validation.json has the episodes and the scores by step.
    """

    def __init__(
        self,
        folder: Path,
        held: Sequence[HeldOut],
        batches: ImitationBatches,
        start: Path,
        config: ValidationConfig,
        loop: LoopConfig,
        mode: str,
    ) -> None:
        """
        Take what is held out; ValueError where training that goes on has held out something else.

        batches: of the training; as many questions are asked at once. start: the checkpoint. mode:
        of the memory.
        """
        self._path, self._held, self._batches = folder / FILE, held, batches
        self._config, self._loop = config, loop
        self._mode, self._at_once = mode, batches.at_once(mode)
        encoder = PromptEncoder(start)
        self._tree = AnswerTree(encoder)
        self._penalty = read_repetition_penalty(start)
        self._nodes = [self._path_of(encoder, action) for action in Action]
        self._scores: dict[int, list[Score]] = {}
        self._took, self._ended = 0.0, time.monotonic()
        self._episodes = [sorted({str(episode) for episode in one.episodes}) for one in held]
        if (folder / LATEST).exists():
            self._scores = self._read()

    @staticmethod
    def forget(folder: Path) -> None:
        """Note that training in a folder goes on without validation, and learns from all."""
        if rank() == 0:
            (folder / FILE).unlink(missing_ok=True)

    def measure(self, network: Network, step: int, always: bool = True) -> dict[str, float]:
        """
        Ask a network that has taken so many steps; print what it knows, and give it to be logged.

        always: False leaves it out where it would take more than a tenth of the time.
        """
        begun = time.monotonic()
        if not always and agree(begun - self._ended < self._took / _DEAREST):
            return {}
        network.eval()
        with torch.no_grad():
            scores = [self._ask(network, number) for number in range(len(self._held))]
        network.train()
        self._scores[step] = scores
        self._ended = time.monotonic()
        self._took = self._ended - begun
        if rank() == 0:
            self._write()
            for one, score in zip(self._held, scores):
                tqdm.write(f'held out after {step} steps, {one.source}: {_words(score)}')
        logged = {}
        for number, score in enumerate(scores, 1):
            logged[f'held_out_{number}_accuracy'] = score.accuracy()
            for action in filter(lambda action: score.asked[action.name], _ORDER):
                logged[f'held_out_{number}_{action.name.lower()}'] = score.accuracy(action)
        return logged

    def table(self) -> str:
        """Tell the first and the last scores in Markdown, for an adapter's card."""
        head = ('data', 'steps', 'episodes', 'questions', 'right', *(a.name for a in _ORDER))
        rows = [head, ('---',) * len(head)]
        for number, one in enumerate(self._held):
            for step in sorted({min(self._scores), max(self._scores)} if self._scores else ()):
                score = self._scores[step][number]
                rows.append(
                    (
                        one.source.replace('|', ' '),
                        *map(str, (step, score.episodes, score.questions)),
                        f'{score.accuracy():.3f}',
                        *(f'{score.accuracy(a):.3f} of {score.asked[a.name]}' for a in _ORDER),
                    )
                )
        lines = (f'| {" | ".join(row)} |\n' for row in rows)
        return (
            '\n## Episodes that were held out\n\nThe adapter has learned from none of their '
            'pictures. Right is an answer that is the recorded action, of the four that the robot '
            'may choose from; by the action that was right, and of how many.\n\n'
            + ''.join(lines).replace('nan of 0', '')
        )

    def _path_of(self, encoder: PromptEncoder, action: Action) -> list[int]:
        """Give the nodes of the tree on the way to an answer."""
        nodes = [0]
        for token in encoder.tokenizer.encode(action.name, add_special_tokens=False):
            nodes.append(self._tree.children[nodes[-1]][token])
        return nodes

    def _ask(self, network: Network, number: int) -> Score:
        """Ask walks of a source, in an order that the seed alone decides."""
        held, score, episodes = self._held[number], Score(), set()
        order = np.random.default_rng([self._loop.seed, 2, number]).permutation(len(held.walks))
        for index in map(int, order):
            if score.questions >= self._config.questions:
                break
            walk = held.walks[index]
            asked = _own(walk)
            for begin in range(0, len(asked), self._at_once):
                some = asked[begin : begin + self._at_once]
                batch = self._batches.pack([walk], [some], self._mode)
                for one, right in zip(some, self._judge(network, batch, some)):
                    score.asked[Action(one.action).name] += 1
                    score.right[Action(one.action).name] += right
            score.questions += len(asked)
            if asked:
                episodes.add(held.episodes[index])
        score.episodes = len(episodes)
        return score

    def _judge(self, network: Network, batch: Batch, asked: Sequence[Asked]) -> list[bool]:
        """Tell which answers of a batch of one walk are right."""
        with torch.autocast(
            next(network.parameters()).device.type,
            torch.bfloat16,
            enabled=self._loop.dtype == 'bfloat16',
        ):
            logits = network(batch)[1]['logits']
        right = []
        for one in asked:
            nodes = self._nodes[one.action]
            # What follows a wrong word does not matter: the answer is another one in any case.
            tree = logits.new_zeros(1 + len(self._tree.tokens), logits.shape[1])
            tree[nodes], logits = logits[: len(nodes)], logits[len(nodes) :]
            action, _ = self._tree.constrained(
                self._tree.edges(tree), batch.prompt.vocabulary, self._penalty
            )
            right.append(action == one.action)
        return right

    def _read(self) -> dict[int, list[Score]]:
        """Read what there is of a run that goes on."""
        advice = 'go on with the settings and data that it was begun with, or give another output'
        if not self._path.exists():
            raise ValueError(
                f'{self._path} is missing: the run was begun without validation, and has learned '
                f'from what would be held out; {advice}'
            )
        try:
            content = json.loads(self._path.read_text(encoding='utf-8'))
            scores = {
                int(step): [Score(**score) for score in scores]
                for step, scores in content['scores'].items()
            }
            episodes = content['episodes']
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'{self._path} is damaged: {error!r}; {advice}') from error
        if episodes != self._episodes:
            raise ValueError(f'{self._path}: other episodes were held out; {advice}')
        return scores

    def _write(self) -> None:
        scores = {step: [asdict(score) for score in row] for step, row in self._scores.items()}
        part = self._path.with_suffix('.part')
        part.write_text(
            json.dumps({'episodes': self._episodes, 'scores': scores}, ensure_ascii=False),
            encoding='utf-8',
        )
        part.replace(self._path)


def _own(walk: Walk) -> list[Asked]:
    """Ask for the walk's own instruction at each frame whose answer is known."""
    question = walk.questions[0]
    actions = np.where(question.actions >= 0, question.actions, question.hinted)
    return [
        Asked(question, int(at), walk.instruction, int(actions[at]))
        for at in np.flatnonzero(actions >= 0)
    ]


def _words(score: Score) -> str:
    parts = [
        f'{action.name} {score.accuracy(action):.2f} of {score.asked[action.name]}'
        for action in _ORDER
        if score.asked[action.name]
    ]
    return (
        f'{score.episodes} episodes, {score.questions} questions, {score.accuracy():.2f} right '
        f'({", ".join(parts)})'
    )
