"""
Episodes in VLN-CE's JSON layout: one reader and writer for R2R-CE, RxR-CE and our own.

Files keep Habitat's frame: y up, a camera at rotation zero looks along -z. Ours is REP-103: z up,
x forward, y left, yaw positive to the left. The conversion is a change of axes without a shift:

    ours    x = -z,  y = -x,  z =  y        Habitat   x = -y,  y = z,  z = -x

so a Habitat rotation by an angle about +y is our yaw by the same angle about +z.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
import gzip
import json
import math
from pathlib import Path
from typing import Any

from janusvln_ros.actions import Action
import numpy as np

Position = tuple[float, float, float]


def to_habitat(x: float, y: float, z: float = 0.0) -> Position:
    """Convert a position in our frame (metres, z up) to Habitat's (y up)."""
    return (-y, z, -x)


def from_habitat(position: Sequence[float]) -> Position:
    """Convert a position in Habitat's frame (metres, y up) to ours (z up)."""
    x, y, z = position
    return (-z, -x, y)


def yaw_to_rotation(yaw: float) -> tuple[float, float, float, float]:
    """Convert our yaw in radians to Habitat's quaternion (x, y, z, w)."""
    return (0.0, math.sin(yaw / 2), 0.0, math.cos(yaw / 2))


def rotation_to_yaw(rotation: Sequence[float]) -> float:
    """
    Convert Habitat's quaternion (x, y, z, w) to our yaw in radians, in (-pi, pi].

    The heading is where the rotated -z axis points on the floor; a tilt is dropped.
    """
    x, y, z, w = rotation
    ahead_x, ahead_z = -2 * (x * z + w * y), 2 * (x * x + y * y) - 1  # R @ (0, 0, -1)
    return math.atan2(-ahead_x, -ahead_z)


@dataclass(frozen=True)
class Goal:
    """A place that counts as the goal; `position` in Habitat's frame, `radius` in metres."""

    position: Position
    radius: float


@dataclass(frozen=True)
class Instruction:
    """An instruction; `extra` holds RxR's further fields (annotator_id, timed_instruction, …)."""

    text: str
    tokens: tuple[int, ...] | None = None
    instruction_id: str | None = None
    language: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Episode:
    """
    One episode as its file has it: positions in Habitat's frame, metres.

    Test splits have neither goals nor a reference path. `info` has geodesic_distance; our own
    episodes add what describes them (category, visits, …) there.
    """

    episode_id: int | str
    trajectory_id: int | str
    scene_id: str
    start_position: Position
    start_rotation: tuple[float, float, float, float]  # quaternion x, y, z, w
    instruction: Instruction
    goals: tuple[Goal, ...] = ()
    reference_path: tuple[Position, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def start(self) -> tuple[float, float, float]:
        """Start pose (x, y, yaw) in our frame: metres, radians."""
        x, y, _ = from_habitat(self.start_position)
        return x, y, rotation_to_yaw(self.start_rotation)

    @property
    def goal_points(self) -> np.ndarray:
        """Goals on the floor in our frame, float64 (n, 2), metres."""
        return floor_points(goal.position for goal in self.goals)

    @property
    def reference_points(self) -> np.ndarray:
        """Return the reference path on the floor in our frame, float64 (n, 2), metres."""
        return floor_points(self.reference_path)


@dataclass(frozen=True)
class GroundTruth:
    """The annotated trajectory of an episode, from the `…_gt.json.gz` beside its file."""

    locations: tuple[Position, ...]  # Habitat's frame, metres
    actions: tuple[int, ...]  # 0 STOP, 1 forward, 2 left, 3 right


def floor_points(positions: Iterable[Sequence[float]]) -> np.ndarray:
    """Convert positions in Habitat's frame to points on the floor in ours, float64 (n, 2)."""
    return np.array([from_habitat(p)[:2] for p in positions], dtype=np.float64).reshape(-1, 2)


def read_episodes(path: str | Path) -> list[Episode]:
    """
    Read an R2R-CE, RxR-CE or own episode file, `.json` or `.json.gz`.

    Raises FileNotFoundError, or ValueError naming the file, the episode and the field.
    """
    path = Path(path)
    content = _read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get('episodes'), list):
        raise ValueError(f'{path}: no list "episodes" at the top; is this a VLN-CE episode file?')
    episodes = []
    for index, entry in enumerate(content['episodes']):
        try:
            episodes.append(_episode(entry))
        except KeyError as error:
            raise ValueError(f'{path}: episodes[{index}]: field {error} is missing') from error
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(f'{path}: episodes[{index}]: {error}') from error
    return episodes


def write_episodes(
    path: str | Path, episodes: Iterable[Episode], word_list: Sequence[str] | None = None
) -> None:
    """
    Write episodes in VLN-CE's layout, gzip-compressed where `path` ends in `.gz`.

    `word_list` becomes instruction_vocab.word_list, to which R2R's instruction_tokens point.
    """
    content: dict[str, Any] = {'episodes': [_entry(episode) for episode in episodes]}
    if word_list is not None:
        content['instruction_vocab'] = {'word_list': list(word_list)}
    _write_json(Path(path), content)


def read_ground_truth(path: str | Path) -> dict[str, GroundTruth]:
    """Read the trajectories by episode id (as text) of a `…_gt.json(.gz)` file."""
    path = Path(path)
    try:
        return {
            str(key): GroundTruth(
                tuple(_position(p) for p in value['locations']), tuple(value['actions'])
            )
            for key, value in _read_json(path).items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f'{path}: not a map of episode_id to locations and actions ({error!r})'
        ) from error


def write_ground_truth(path: str | Path, truths: Mapping[str, GroundTruth]) -> None:
    """Write trajectories by episode id in VLN-CE's `…_gt.json(.gz)` layout."""
    _write_json(
        Path(path),
        {
            key: {
                'locations': [list(p) for p in truth.locations],
                'forward_steps': truth.actions.count(Action.MOVE_FORWARD),
                'actions': list(truth.actions),
            }
            for key, truth in truths.items()
        },
    )


def _read_json(path: Path) -> Any:
    opened = gzip.open if path.suffix == '.gz' else open
    try:
        with opened(path, 'rt', encoding='utf-8') as stream:
            return json.load(stream)
    except (json.JSONDecodeError, gzip.BadGzipFile, EOFError, UnicodeDecodeError) as error:
        raise ValueError(f'{path}: not readable as JSON: {error}') from error


def _write_json(path: Path, content: Any) -> None:
    text = json.dumps(content, ensure_ascii=False).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    # No time stamp: the same episodes are the same bytes.
    path.write_bytes(gzip.compress(text, mtime=0) if path.suffix == '.gz' else text)


def _position(value: Sequence[float]) -> Position:
    if len(value) != 3 or not all(math.isfinite(v) for v in value):
        raise ValueError(f'{value!r} is not a position of three finite numbers')
    x, y, z = map(float, value)
    return x, y, z


def _episode(entry: Mapping[str, Any]) -> Episode:
    instruction = dict(entry['instruction'])
    tokens = instruction.pop('instruction_tokens', None)
    rotation = tuple(float(v) for v in entry['start_rotation'])
    if len(rotation) != 4 or not math.isclose(math.hypot(*rotation), 1.0, abs_tol=1e-3):
        raise ValueError(f'start_rotation {rotation} is not a unit quaternion x, y, z, w')
    return Episode(
        episode_id=entry['episode_id'],
        trajectory_id=entry['trajectory_id'],
        scene_id=entry['scene_id'],
        start_position=_position(entry['start_position']),
        start_rotation=rotation,
        instruction=Instruction(
            text=instruction.pop('instruction_text'),
            tokens=None if tokens is None else tuple(tokens),
            instruction_id=instruction.pop('instruction_id', None),
            language=instruction.pop('language', None),
            extra=instruction,
        ),
        goals=tuple(
            Goal(_position(goal['position']), float(goal['radius']))
            for goal in entry.get('goals') or ()
        ),
        reference_path=tuple(_position(p) for p in entry.get('reference_path') or ()),
        info=dict(entry.get('info') or {}),
    )


def _entry(episode: Episode) -> dict[str, Any]:
    words = episode.instruction
    named = {
        'instruction_text': words.text,
        'instruction_tokens': words.tokens,
        'instruction_id': words.instruction_id,
        'language': words.language,
    }
    return {
        'episode_id': episode.episode_id,
        'trajectory_id': episode.trajectory_id,
        'scene_id': episode.scene_id,
        'start_position': list(episode.start_position),
        'start_rotation': list(episode.start_rotation),
        'info': dict(episode.info),
        'goals': [{'position': list(g.position), 'radius': g.radius} for g in episode.goals],
        'instruction': {k: v for k, v in named.items() if v is not None} | dict(words.extra),
        'reference_path': [list(p) for p in episode.reference_path],
    }
