"""What is kept of a drive that was cut into steps, from the steps that have pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math

from janusvln_ros.actions import Action
from janusvln_ros.training.data.recorded import Pose, Recorded, RecordedCut, RecordedStep
from janusvln_ros.training.data.segmenter import Segmentation, Step

STANDS = 0.5  # s after it came to stand at which a standing robot's picture is taken
SHORT = 0.5  # m before a drive's end at which its last picture may be that of STOP


def best_time(step: Step) -> int:
    """Give when (ns) the picture of a step should be taken."""
    return min(step.leave, step.start + round(STANDS * 1e9))


@dataclass(frozen=True)
class Source:
    """Whose story it is, and what tells of it."""

    name: str
    instruction: str
    bags: tuple[str, ...]
    camera: str
    motion: str


def why_not(found: Segmentation, taken: Sequence[Step]) -> str:
    """Say why a drive with pictures of these steps is no trajectory; empty where it is one."""
    if len(found.steps) == 1:
        return f'{"what is left" if found.cuts else "the robot"} does not move by a step'
    if len(taken) < 2:
        return f'it has {len(taken)} pictures, two are the least'
    short = math.dist(taken[-1].pose[:2], found.steps[-1].pose[:2])
    return f'its pictures end {short:.1f} m before the drive does' if short > SHORT else ''


def cut_out(found: Segmentation, pictures: int) -> list[str]:
    """Say what is cut out: stretches, and steps without a picture."""
    began = found.began
    notes = [
        f'{cut.kind.value} from {(cut.start - began) / 1e9:.1f} to '
        f'{(cut.end - began) / 1e9:.1f} s, {cut.moved:.2f} m, is cut out'
        for cut in found.cuts
    ]
    lacking = len(found.steps) - pictures
    if lacking and len(found.steps) > 1:
        notes.append(
            f'{lacking} of {len(found.steps)} steps are cut out: there is no picture from '
            'where they begin, or it is that of the step before'
        )
    return notes


def tell(
    source: Source,
    found: Segmentation,
    taken: Sequence[tuple[Step, float]],
    shown: tuple[Pose, ...],
) -> Recorded:
    """
    Make the story of steps that have pictures; the last of them is that of STOP.

    taken: with each step its picture's lag, s. shown: the track.
    """
    began, drift = found.began, found.drift
    steps = [
        RecordedStep(int(step.action), (step.leave - began) / 1e9, lag, step.pose, step.ideal)
        for step, lag in taken
    ]
    steps[-1] = replace(steps[-1], action=int(Action.STOP))
    cuts = tuple(
        RecordedCut(
            cut.kind.value,
            (cut.start - began) / 1e9,
            (cut.end - began) / 1e9,
            cut.moved,
            cut.place,
        )
        for cut in found.cuts
    )
    return Recorded(
        source.name,
        source.instruction,
        source.bags,
        source.camera,
        source.motion,
        began,
        tuple(steps),
        cuts,
        shown,
        tuple(cut_out(found, len(taken))),
        (drift.median, drift.worst, drift.end),
    )
