"""What is kept beside a recorded trajectory: times, poses, the track, what was cut out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
import json
import math
from pathlib import Path

FOLDER = 'recorded'
Pose = tuple[float, float, float]  # m, m, rad


@dataclass(frozen=True)
class RecordedStep:
    """
    A step of a trajectory: its action, when (s since the drive began), where, and where by steps.

    `lag` is the picture's time less the step's, s. `ideal` is where the steps before lead to.
    """

    action: int
    time: float
    lag: float
    pose: Pose
    ideal: Pose


@dataclass(frozen=True)
class RecordedCut:
    """A stretch that is cut out (s since the drive began), and why."""

    why: str
    begin: float
    end: float
    moved: float  # m
    place: Pose


@dataclass(frozen=True)
class Recorded:
    """A trajectory from a bag; the last step is STOP. `track` is thinned out, to be looked at."""

    name: str
    instruction: str
    bags: tuple[str, ...]
    camera: str
    motion: str
    began: int  # ns of the clock that the pictures have
    steps: tuple[RecordedStep, ...]
    cuts: tuple[RecordedCut, ...]
    track: tuple[Pose, ...]
    notes: tuple[str, ...]
    drift: tuple[tuple[float, float], ...]  # (m, rad): median, worst, end

    @property
    def actions(self) -> list[int]:
        """Give the actions."""
        return [step.action for step in self.steps]

    def summary(self) -> str:
        """Say in a line what it is, and how far the steps lie off what was driven."""
        median, worst, end = (
            f'{metres:.2f} m {math.degrees(turned):.0f}°' for metres, turned in self.drift
        )
        return (
            f'{self.name}: {len(self.steps)} steps, {self.instruction!r}; off the track: '
            f'median {median}, worst {worst}, at the end {end}'
        )

    def write(self, folder: Path) -> None:
        """Write it into a folder of trajectories."""
        path = folder / FOLDER / f'{self.name}.json'
        path.parent.mkdir(exist_ok=True)
        path.write_text(self.text(), encoding='utf-8')

    def text(self) -> str:
        """Give it as JSON, of which `story_from` makes it again without a loss."""
        return json.dumps(asdict(self), ensure_ascii=False)


def read_recorded(folder: Path) -> Iterator[Recorded]:
    """Read all of a folder; ValueError naming a file that is damaged."""
    for path in sorted((folder / FOLDER).glob('*.json')):
        try:
            yield story_from(path.read_text(encoding='utf-8'))
        except (OSError, ValueError) as error:
            raise _damaged(path, error) from error


def story_of(folder: Path, name: str) -> Recorded | None:
    """Read that of one trajectory, None where there is none; ValueError where it is damaged."""
    path = folder / FOLDER / f'{name}.json'
    try:
        return story_from(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(f'{path} is damaged or no recorded trajectory: {error}')


def story_from(text: str) -> Recorded:
    """Read a recorded trajectory from JSON; ValueError where it is none."""
    try:
        about = json.loads(text)
        steps = tuple(
            RecordedStep(**{**s, 'pose': tuple(s['pose']), 'ideal': tuple(s['ideal'])})
            for s in about.pop('steps')
        )
        cuts = tuple(RecordedCut(**{**c, 'place': tuple(c['place'])}) for c in about['cuts'])
        lists = {key: tuple(about.pop(key)) for key in ('bags', 'notes')}
        pairs = {key: tuple(map(tuple, about.pop(key))) for key in ('track', 'drift')}
        return Recorded(**{**about, 'steps': steps, 'cuts': cuts, **lists, **pairs})
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(repr(error)) from error
