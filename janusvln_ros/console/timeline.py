"""What happened: the episodes of this run, and the decisions of each with their pictures."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
import itertools
from typing import Any

_EPISODES = 30  # that are kept
_DECISIONS = 500  # of an episode
_PICTURES = 600  # of all of them


@dataclass
class Decision:
    """One decision; number counts all of them, picture is a JPEG or None."""

    number: int
    step: int
    action: int
    probabilities: list[float]
    seconds: float
    latency: float
    picture: bytes | None = None

    def told(self) -> dict[str, Any]:
        """Return what the page gets."""
        return {
            'number': self.number,
            'step': self.step,
            'action': self.action,
            'probabilities': [round(share, 4) for share in self.probabilities],
            'seconds': round(self.seconds, 4),
            'latency': round(self.latency, 4),
            'picture': self.picture is not None,
        }


@dataclass
class Episode:
    """An instruction and what came of it; began, ended: s since 1970."""

    name: str
    instruction: str
    began: float
    ended: float = 0.0
    outcome: str = ''
    message: str = ''
    decisions: list[Decision] = field(default_factory=list)


class Timeline:
    """The newest episodes; what is too much is forgotten from the oldest on."""

    def __init__(self) -> None:
        self.episodes: deque[Episode] = deque(maxlen=_EPISODES)
        self.version = 0  # grows with every change of the list of episodes
        self._numbers = itertools.count()
        self._pictured: deque[Decision] = deque()

    def episode(self, name: str, instruction: str, now: float) -> Episode:
        """Return the episode of a name, begun now (s since 1970) if it is new."""
        for episode in reversed(self.episodes):
            if episode.name == name:
                if instruction and not episode.instruction:
                    episode.instruction = instruction
                    self.version += 1
                return episode
        self.episodes.append(Episode(name, instruction, now))
        self.version += 1
        return self.episodes[-1]

    def end(self, episode: Episode, outcome: str, message: str, now: float) -> None:
        """Note how an episode ended, now (s since 1970)."""
        if episode.outcome != outcome:
            episode.ended = now
            episode.outcome, episode.message = outcome, message
            self.version += 1

    def add(self, episode: Episode, **values: Any) -> Decision:
        """Note a decision."""
        decision = Decision(next(self._numbers), **values)
        episode.decisions.append(decision)
        del episode.decisions[:-_DECISIONS]
        return decision

    def picture(self, decision: Decision, jpeg: bytes) -> None:
        """Keep the picture of a decision."""
        decision.picture = jpeg
        self._pictured.append(decision)
        if len(self._pictured) > _PICTURES:
            self._pictured.popleft().picture = None

    def find(self, number: int) -> Decision | None:
        """Return a decision by its number."""
        for episode in reversed(self.episodes):
            for decision in reversed(episode.decisions):
                if decision.number == number:
                    return decision
        return None
