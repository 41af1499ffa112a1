"""Run the policy over a source of frames, and hand every decision to those who keep it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
import json
from pathlib import Path
from typing import NamedTuple, Protocol

from janusvln_ros.imaging.encodings import ImageError
from janusvln_ros.navigation.decider import Answer, Decider
from janusvln_ros.policy.interface import Policy
from janusvln_ros.recordings.frames import Frame
from janusvln_ros.recordings.messages import shortened
from janusvln_ros.recordings.timeline import RecordedAction
from janusvln_ros.replay.decisions import DecisionRecord
from janusvln_ros.replay.depth import DepthReader, SeenDepth
from janusvln_ros.replay.selection import Chosen, Selection
import numpy as np
from tqdm import tqdm


@dataclass(frozen=True)
class Timing:
    """What a decision cost: seconds in all and by part, and the memory after it."""

    total: float
    parts: dict[str, float]
    memory_frames: int
    memory_capacity: int
    memory_bytes: int


@dataclass(frozen=True)
class Step:
    """A decision, what it cost, and the recorded one where there is any."""

    decision: DecisionRecord
    timing: Timing
    recorded: RecordedAction | None


class Seen(NamedTuple):
    """What a decision was taken from."""

    frame: Frame
    rgb: np.ndarray  # uint8 (H, W, 3)
    depth: SeenDepth | None = None  # where it was asked for


class DecisionSink(Protocol):
    """Keeps decisions as they are taken: a file, a video, a bag."""

    def add(self, step: Step, seen: Seen) -> None:
        """Take a decision."""

    def close(self) -> None:
        """Finish what was written."""


@dataclass
class Outcome:
    """
    What a replay gave.

    `problems` are worth knowing and did not end it; `left_out` counts the chosen frames that could
    not be decided from; `interrupted` tells that the user ended it.
    """

    steps: list[Step] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    left_out: int = 0
    interrupted: bool = False


def run(
    policy: Policy,
    frames: Iterator[Frame],
    selection: Selection,
    sinks: Sequence[DecisionSink],
    depth: DepthReader | None = None,
) -> Outcome:
    """
    Decide from the chosen frames, one after another, as the live navigator would.

    A picture that cannot be decoded, or that differs in size from its episode's first, is left
    out, as the navigator leaves it out. The policy starts anew with every episode. Frames are read
    one at a time, so that memory does not grow with the source; Ctrl-C ends the run and keeps what
    was decided. With `depth` the policy tells the depth of the frames as well.
    """
    outcome = Outcome()
    left_out: list[str] = []
    decider = Decider(policy, lambda: depth is not None)
    episode: int | None = None
    number = 0
    try:
        for frame in frames:
            choices = selection.choose(frame)
            if not choices:
                continue
            try:
                rgb = frame.rgb()
            except ImageError as error:
                left_out.append(f'frame {frame.index} is left out: {error}')
                continue
            for chosen in choices:
                begins = chosen.episode != episode
                if begins:
                    episode, number = chosen.episode, 0
                if begins or chosen.forget:
                    decider.reset(chosen.instruction)
                    if depth is not None:
                        depth.begin()
                try:
                    decider.check(rgb)
                except ImageError as error:
                    left_out.append(f'frame {frame.index} is left out: {error}')
                    continue
                if chosen.recorded is not None:
                    number = chosen.recorded.step
                answer = decider.decide(rgb)
                step = _step(answer, chosen, number, frame)
                number += 1
                seen = Seen(frame, rgb)
                if depth is not None and answer.geometry is not None:
                    seen = Seen(frame, rgb, depth.read(answer.geometry, rgb, frame.stamp))
                outcome.steps.append(step)
                for sink in sinks:
                    sink.add(step, seen)
    except KeyboardInterrupt:
        outcome.interrupted = True
    finally:
        for sink in sinks:
            sink.close()
    outcome.problems, outcome.left_out = shortened(left_out), len(left_out)
    return outcome


def _step(answer: Answer, chosen: Chosen, number: int, frame: Frame) -> Step:
    return Step(
        DecisionRecord(
            chosen.episode,
            chosen.instruction,
            number,
            frame.index,
            frame.stamp,
            answer.action.name,
            tuple(float(np.float32(p)) for p in answer.probabilities),
        ),
        Timing(answer.seconds, dict(answer.decision.timings), *answer.memory),
        chosen.recorded,
    )


class DecisionFiles:
    """decisions.jsonl, the same bytes every time, and timing.jsonl, which never is."""

    def __init__(self, folder: Path) -> None:
        self._decisions = (folder / 'decisions.jsonl').open('w', newline='\n')
        self._timing = (folder / 'timing.jsonl').open('w', newline='\n')

    def add(self, step: Step, seen: Seen) -> None:
        """Write one line to each file."""
        print(step.decision.to_line(), file=self._decisions, flush=True)
        print(timing_line(step), file=self._timing, flush=True)

    def close(self) -> None:
        """Close both files."""
        self._decisions.close()
        self._timing.close()


def timing_line(step: Step) -> str:
    """Format what a decision cost as one line of JSON; times in seconds."""
    timing = step.timing
    return json.dumps(
        {
            'episode': step.decision.episode,
            'step': step.decision.step,
            'latency': round(timing.total, 6),
            'parts': {name: round(seconds, 6) for name, seconds in timing.parts.items()},
            'memory_frames': timing.memory_frames,
            'memory_capacity': timing.memory_capacity,
            'memory_bytes': timing.memory_bytes,
        }
    )


class ProgressBar:
    """Shows decisions on the terminal as they are taken."""

    def __init__(self, bar: tqdm) -> None:
        self._bar = bar

    def add(self, step: Step, seen: Seen) -> None:
        """Advance by one."""
        self._bar.set_postfix_str(
            f'{step.decision.action.lower()}, {1000 * step.timing.total:.0f} ms', refresh=False
        )
        self._bar.update()

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()
