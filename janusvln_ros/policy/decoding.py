"""
Logits to an action.

The four answers form a small tree of tokens (TURN_LEFT and TURN_RIGHT share their first). The
language model runs over the whole tree in one pass, behind the prompt; everything here reads from
those logits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from janusvln_ros.actions import Action
from janusvln_ros.policy.network.config import CheckpointError, read_json
from janusvln_ros.policy.prompt import PromptEncoder
import torch

MAX_NEW_TOKENS = 24

# fields of generation_config.json that would change greedy decoding, and the values that do not
NEUTRAL = {
    'num_beams': (1,),
    'no_repeat_ngram_size': (0,),
    'encoder_no_repeat_ngram_size': (0,),
    'min_length': (0,),
    'min_new_tokens': (0,),
    'bad_words_ids': (),
    'suppress_tokens': ([],),
    'begin_suppress_tokens': ([],),
    'forced_bos_token_id': (),
    'forced_eos_token_id': (),
    'sequence_bias': (),
    'exponential_decay_length_penalty': (),
    'guidance_scale': (1, 1.0),
    'encoder_repetition_penalty': (1, 1.0),
    'num_beam_groups': (1,),
    'penalty_alpha': (0, 0.0),
}


def read_repetition_penalty(folder: str | Path) -> float:
    """
    Read a checkpoint's repetition penalty; 1.0 where ``generation_config.json`` has none.

    Raises CheckpointError for settings that would change greedy decoding in another way.
    """
    path = Path(folder) / 'generation_config.json'
    config = read_json(path) if path.exists() else {}
    foreign = [
        f'{name} = {config[name]!r}'
        for name, neutral in NEUTRAL.items()
        if config.get(name) is not None and config[name] not in neutral
    ]
    if foreign:
        raise CheckpointError(f'{path}: not supported: {", ".join(foreign)}')
    penalty = config.get('repetition_penalty') or 1.0
    if not isinstance(penalty, (int, float)) or penalty <= 0:
        raise CheckpointError(
            f'{path}: repetition_penalty is {penalty!r}; a number above 0 is needed'
        )
    return float(penalty)


def penalise(logits: torch.Tensor, seen: Collection[int], penalty: float) -> torch.Tensor:
    """Put the repetition penalty (arXiv 1909.05858) on logits (vocab,) of tokens seen so far."""
    scores = logits.clone()
    if penalty != 1.0:
        index = torch.tensor(sorted(seen), dtype=torch.int64, device=logits.device)
        chosen = logits[index]
        scores[index] = torch.where(chosen > 0, chosen / penalty, chosen * penalty)
    return scores


@dataclass(frozen=True)
class Generation:
    """Tokens as they were chosen; of free text also what from."""

    tokens: list[int] = field(default_factory=list)
    logits: list[torch.Tensor] = field(default_factory=list)  # raw, (vocab,), before each token
    scores: list[torch.Tensor] = field(default_factory=list)  # those after the penalty


class AnswerTree:
    """
    The tree of the four answers' tokens.

    Node n > 0 holds token `tokens[n - 1]` and hangs on node `parents[n - 1]`; node 0 is the end of
    the prompt. Logits (1 + tokens, vocab) hold in row n what follows node n.
    """

    def __init__(self, encoder: PromptEncoder, device: torch.device | str = 'cpu') -> None:
        self.end_of_turn = encoder.end_of_turn
        self._decode = encoder.tokenizer.decode
        self.tokens: list[int] = []
        self.parents: list[int] = []
        self.children: list[dict[int, int]] = [{}]  # of each node: token -> node
        self.answers: dict[int, Action] = {}  # the node where an answer is complete
        edges = []  # (node, token that follows, answer it belongs to), end of turn included
        for action in Action:
            node = 0
            for token in encoder.tokenizer.encode(action.name, add_special_tokens=False):
                edges.append((node, token, action))
                if token not in self.children[node]:
                    self.tokens.append(token)
                    self.parents.append(node)
                    self.children.append({})
                    self.children[node][token] = len(self.tokens)
                node = self.children[node][token]
            self.answers[node] = action
            edges.append((node, self.end_of_turn, action))
        self._edges = torch.tensor(edges).T.to(device)  # (3, edges)
        self._names = [edge[:2] for edge in edges]

    @property
    def depths(self) -> torch.Tensor:
        """How far each token lies behind the prompt, from 0: (n) int64."""
        depths = [0]
        for parent in self.parents:
            depths.append(depths[parent] + 1)
        return torch.tensor(depths[1:]) - 1

    @property
    def visible(self) -> torch.Tensor:
        """Which tokens of the tree a token sees: itself and its ancestors, (n, n) bool."""
        visible = torch.eye(len(self.tokens), dtype=torch.bool)
        for index, parent in enumerate(self.parents):
            if parent:
                visible[index] |= visible[parent - 1]
        return visible

    def log_probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Log-probability of each answer with its end of turn, from raw logits: (4) float32."""
        nodes, tokens, answers = self._edges.to(logits.device)
        steps = logits.float().log_softmax(-1)[nodes, tokens]
        return torch.zeros(len(Action), device=logits.device).index_add_(0, answers, steps)

    def edges(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits of every token of an answer where it would be said, ends of turn included."""
        nodes, tokens, _ = self._edges.to(logits.device)
        return logits[nodes, tokens]

    def gather(self, logits: torch.Tensor) -> torch.Tensor:
        """Put what a step needs of the logits into one row, for `split`: one copy to the host."""
        return torch.cat((self.log_probabilities(logits), self.edges(logits), logits[0]))

    def split(self, gathered: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Give the answers' log-probabilities (4), the edges' logits, those of node 0 (vocab,)."""
        return gathered.split(
            [len(Action), len(self._names), len(gathered) - len(Action) - len(self._names)]
        )

    def constrained(
        self, raw: torch.Tensor, seen: Collection[int], penalty: float
    ) -> tuple[Action, Generation]:
        """
        Decode greedily among tokens that can still become an answer.

        raw: what `edges` gives; seen: tokens of the prompt.
        """
        plain = dict(zip(self._names, raw.tolist()))
        lowered = torch.where(raw > 0, raw / penalty, raw * penalty)
        penalised = dict(zip(self._names, lowered.tolist()))

        node, seen, generation = 0, set(seen), Generation()
        while True:
            allowed = list(self.children[node]) + [self.end_of_turn] * (node in self.answers)
            scores = {t: (penalised if t in seen else plain)[node, t] for t in allowed}
            token = max(scores, key=scores.__getitem__)
            generation.tokens.append(token)
            if token == self.end_of_turn:
                return self.answers[node], generation
            seen.add(token)
            node = self.children[node][token]

    def published(
        self,
        logits: torch.Tensor,
        seen: Collection[int],
        penalty: float,
        proceed: Callable[[list[int]], torch.Tensor],
    ) -> tuple[Action, Generation]:
        """
        Decode greedily over the whole vocabulary; text that is no action means STOP.

        While the text stays in the tree its logits are known; beyond, `proceed` gives those
        (vocab,) after the tokens so far.
        """
        node: int | None = 0
        seen, generation, row = set(seen), Generation(), logits[0]
        while len(generation.tokens) < MAX_NEW_TOKENS:
            scores = penalise(row, seen, penalty)
            token = int(scores.argmax())
            generation.tokens.append(token)
            generation.logits.append(row)
            generation.scores.append(scores)
            if token == self.end_of_turn:
                break
            seen.add(token)
            node = self.children[node].get(token) if node is not None else None
            if len(generation.tokens) < MAX_NEW_TOKENS:
                row = logits[node] if node is not None else proceed(generation.tokens)
        return Action.__members__.get(self.text(generation), Action.STOP), generation

    def text(self, generation: Generation) -> str:
        """Return what was said, without control tokens."""
        return str(
            self._decode(
                generation.tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )
