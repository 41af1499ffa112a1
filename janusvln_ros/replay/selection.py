"""
Choose the frames that a replay decides from, and the episode each belongs to.

The recording says what the robot did, so a replay follows it: it uses the frames that the live
navigator used or would have used, whatever it answers itself, a STOP included.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from janusvln_ros.actions import ACTION_NAMES
from janusvln_ros.recordings.frames import Frame
from janusvln_ros.recordings.timeline import Motion, RecordedAction, Timeline
from janusvln_ros.replay.decisions import DecisionRecord, format_stamp

MAX_DISORDER = 2 * 10**9  # ns that an action may be recorded before its image
MAX_LAG = 60 * 10**9  # ns that it may be recorded later, besides its decision's time


@dataclass(frozen=True)
class Chosen:
    """
    A frame to decide from: its episode (numbered from 0) and that episode's instruction.

    `forget` tells that the memory was emptied within the episode, before this frame.
    """

    episode: int
    instruction: str
    recorded: RecordedAction | None = None
    forget: bool = False


class Selection(Protocol):
    """Decides frame by frame, in the order of recording."""

    def choose(self, frame: Frame) -> Sequence[Chosen]:
        """List the decisions to be taken from this frame, most often none."""


class RecordedFrames:
    """Exactly the frames of the recorded actions; episodes are split by their ids."""

    def __init__(self, timeline: Timeline, instruction: str | None, capacity: int) -> None:
        """
        Follow the recorded actions; `capacity` is how many frames the memory holds at most.

        `instruction` replaces the recorded sentences. ValueError when there is none at all.
        """
        self._waiting: dict[int | None, list[RecordedAction]] = {}
        self._episodes: dict[str, Chosen] = {}
        self._first_steps: dict[str, int] = {}
        # Fewer frames remembered than steps taken: somebody called `reset_memory` in between.
        self._resets = {
            name: {step - frames for step, frames in held if frames < min(step, capacity)}
            for name, held in timeline.memory.items()
        }
        for action in timeline.actions:
            self._waiting.setdefault(action.stamp, []).append(action)
            if action.instruction_id not in self._episodes:
                text = instruction or _sentence(timeline, action)
                self._episodes[action.instruction_id] = Chosen(len(self._episodes), text)
                self._first_steps[action.instruction_id] = action.step

    def choose(self, frame: Frame) -> Sequence[Chosen]:
        """
        Find the actions that were decided from this frame.

        They are several when a new instruction came before the next frame.
        """
        waiting = self._waiting.get(frame.stamp, [])
        actions = [action for action in waiting if _follows(action, frame)]
        for action in actions:
            waiting.remove(action)
        return [
            replace(
                self._episodes[action.instruction_id],
                recorded=action,
                forget=action.step in self._resets.get(action.instruction_id, ()),
            )
            for action in actions
        ]

    def missing(self) -> list[RecordedAction]:
        """List the actions whose frames have not come."""
        left = [action for actions in self._waiting.values() for action in actions]
        return sorted(left, key=lambda action: action.logged)

    def gaps(self) -> list[str]:
        """Tell of episodes whose beginning was not recorded: their memory is not known."""
        return [
            f'the recording of episode {name[:8]} begins at its step {first}: what was remembered '
            'then is unknown, so decisions may differ from the live ones'
            for name, first in self._first_steps.items()
            if first > 0
        ]

    def recorded_decisions(self) -> list[DecisionRecord]:
        """Give the actions whose frames have not come, in the form of a replay's decisions."""
        return [
            DecisionRecord(
                self._episodes[a.instruction_id].episode,
                self._episodes[a.instruction_id].instruction,
                a.step,
                -1,
                a.stamp,
                ACTION_NAMES[a.action],
                a.probabilities,
            )
            for a in self.missing()
        ]


def _follows(action: RecordedAction, frame: Frame) -> bool:
    """Tell by the times of recording; a simulator that starts anew repeats its stamps."""
    latest = frame.logged + MAX_LAG + round(2e9 * action.decision_time)
    return frame.logged - MAX_DISORDER <= action.logged <= latest


def _sentence(timeline: Timeline, action: RecordedAction) -> str:
    """Find an episode's instruction: by its id, else the last one recorded before its action."""
    if action.instruction_id in timeline.sentences:
        return timeline.sentences[action.instruction_id]
    before = [text for logged, text in timeline.instructions if logged <= action.logged]
    if not before:
        raise ValueError(
            f'the recording does not say what the instruction of episode '
            f'{action.instruction_id!r} was (at {format_stamp(action.stamp)}); give --instruction'
        )
    return before[-1]


class Episodes:
    """Which instruction applies when: the last one recorded before a frame, or a given one."""

    def __init__(self, instructions: Sequence[tuple[int, str]], instruction: str | None) -> None:
        self._given = instruction
        self._instructions = deque(instructions)
        self._current: Chosen | None = Chosen(0, instruction) if instruction else None

    def at(self, frame: Frame) -> Chosen | None:
        """Give the episode that a frame belongs to; None before the first instruction."""
        while not self._given and self._instructions and self._instructions[0][0] <= frame.logged:
            _, text = self._instructions.popleft()
            if self._current is None or text != self._current.instruction:
                number = 0 if self._current is None else self._current.episode + 1
                self._current = Chosen(number, text)
        return self._current


class AfterMotions:
    """The first frame of every episode and the first after each motion, none in a motion."""

    def __init__(self, episodes: Episodes, motions: Sequence[Motion]) -> None:
        self._episodes = episodes
        self._motions = sorted(motions, key=lambda motion: motion.end)
        self._ends = [motion.end for motion in self._motions]
        self._episode: int | None = None
        self._ended = 0  # motions that had ended at the last chosen frame

    def choose(self, frame: Frame) -> Sequence[Chosen]:
        """Take a frame when the base stands and has moved since the last one taken."""
        assert frame.stamp is not None  # motions are known of bags alone
        current = self._episodes.at(frame)
        ended = bisect_right(self._ends, frame.stamp)
        moving = ended < len(self._motions) and self._motions[ended].start <= frame.stamp
        if current is None or moving:
            return ()
        if current.episode == self._episode and ended == self._ended:
            return ()
        self._episode, self._ended = current.episode, ended
        return (current,)


class EveryPeriod:
    """A frame, and then the first that is at least `period` ns younger than the last one taken."""

    def __init__(self, episodes: Episodes, period: int) -> None:
        self._episodes = episodes
        self._period = period
        self._episode: int | None = None
        self._last = 0

    def choose(self, frame: Frame) -> Sequence[Chosen]:
        """Take a frame when the period is over, an episode begins, or stamps jump back."""
        assert frame.stamp is not None  # pictures without times take no period
        current = self._episodes.at(frame)
        if current is None:
            return ()
        if current.episode == self._episode and 0 <= frame.stamp - self._last < self._period:
            return ()
        self._episode, self._last = current.episode, frame.stamp
        return (current,)


class EveryFrame:
    """All frames of all episodes."""

    def __init__(self, episodes: Episodes) -> None:
        self._episodes = episodes

    def choose(self, frame: Frame) -> Sequence[Chosen]:
        """Take every frame that belongs to an episode."""
        current = self._episodes.at(frame)
        return () if current is None else (current,)
