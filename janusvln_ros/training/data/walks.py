"""
Walks through houses, with what could have been asked on the way and what would have been right.

What the robot remembers of a walk does not depend on the instruction, so one walk answers many.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import json
from pathlib import Path
import re
from typing import Any

from janusvln_ros.actions import Action
from janusvln_ros.episodes.free_words import loosen
from janusvln_ros.episodes.grammar import choose_phrasing, Noun, say
from janusvln_ros.policy.preprocessing import resize
import numpy as np

UNKNOWN = -1  # action that nobody can know, or that is not to be learned
_BY_FRAME = 'actions', 'hinted', 'bearing', 'distance', 'visible'  # fields of Question
_OTHER_SIDE = {'left': 'right', 'right': 'left'}


@dataclass(frozen=True)
class Question:
    """Something that can be asked for during a walk."""

    form: str
    slots: dict[str, Noun | str]
    first: int  # frame that is the robot's first
    turn: str | None  # 'left' or 'right' where the first landmark is out of view at the start
    actions: np.ndarray  # int8 (T,): the right answer at each frame, or UNKNOWN
    hinted: np.ndarray  # int8 (T,): the same if the instruction begins with the first turn
    bearing: np.ndarray  # float16 (T,): radians to the left, to what is to be reached
    distance: np.ndarray  # float16 (T,): metres, geodesic, to where it is reached
    visible: np.ndarray  # bool (T,): whether the goal is in the picture

    def mirrored(self) -> Question:
        """Ask for the same in a mirror: left is right in slots, words and answers."""
        return replace(
            self,
            slots={
                slot: value if isinstance(value, Noun) else _swap(value)
                for slot, value in self.slots.items()
            },
            turn=_OTHER_SIDE[self.turn] if self.turn else None,
            actions=_mirror(self.actions),
            hinted=_mirror(self.hinted),
            bearing=-self.bearing,
        )


@dataclass(frozen=True)
class Walk:
    """Frames with poses, actions and questions."""

    scene: str
    instruction: str  # the episode's own
    frames: np.ndarray  # uint8 (T, H, W, 3)
    poses: np.ndarray  # float64 (T, 3): metres, radians
    taken: np.ndarray  # int8 (T,): what was done after each frame
    labels: np.ndarray  # int8 (T,): what the expert would have done
    questions: tuple[Question, ...]  # the episode's own first

    def begin(self, first: int) -> Walk:
        """Leave out the frames before `first`, and what does not begin there."""
        questions = tuple(
            replace(
                question, first=0, **{name: getattr(question, name)[first:] for name in _BY_FRAME}
            )
            for question in self.questions
            if question.first == first
        )
        return replace(
            self,
            questions=questions,
            **{
                name: getattr(self, name)[first:]
                for name in ('frames', 'poses', 'taken', 'labels')
            },
        )

    def mirrored(self) -> Walk:
        """Give the walk as a mirror at the robot's side shows it, in a house that is another."""
        return replace(
            self,
            instruction=_swap(self.instruction),
            frames=self.frames[:, :, ::-1],
            poses=self.poses * (1, -1, -1),
            taken=_mirror(self.taken),
            labels=_mirror(self.labels),
            questions=tuple(question.mirrored() for question in self.questions),
        )


def _swap(text: str) -> str:
    """Put left for right in English words; the grammar has neither in another meaning."""
    return re.sub(r'\b(left|right)\b', lambda match: _OTHER_SIDE[match[0]], text)


def _mirror(actions: np.ndarray) -> np.ndarray:
    """Put one turn for the other."""
    left, right = actions == Action.TURN_LEFT, actions == Action.TURN_RIGHT
    return np.where(left, Action.TURN_RIGHT, np.where(right, Action.TURN_LEFT, actions)).astype(
        actions.dtype
    )


def phrase(
    question: Question,
    hint: bool,
    rng: np.random.Generator,
    free: float = 0.0,
    chinese: float = 0.0,
) -> str:
    """
    Put a question into words, as training may.

    free: probability of free words, which are English; chinese: of Chinese ones.
    """
    if 'text' in question.slots:
        return _loosen(str(question.slots['text']), rng, free)
    if chinese and rng.random() < chinese:
        return _phrase(question, hint, rng, 'zh')
    return _loosen(_phrase(question, hint, rng, 'en'), rng, free)


def _loosen(text: str, rng: np.random.Generator, free: float) -> str:
    return loosen(text, rng) if rng.random() < free else text


def _phrase(question: Question, hint: bool, rng: np.random.Generator, language: str) -> str:
    phrasing, turn_phrasing = choose_phrasing(rng, question.form, language, held_out=False)
    return say(
        question.form,
        question.slots,
        language=language,
        phrasing=phrasing,
        turn=question.turn if hint else None,
        turn_phrasing=turn_phrasing,
    )


def save_walk(path: Path, walk: Walk, image_width: int) -> None:
    """Write a walk, with its frames resized as the policy does, to a new .npz file."""
    described = [
        {
            'form': question.form,
            'first': question.first,
            'turn': question.turn,
            'slots': {
                key: [value.thing, value.colour] if isinstance(value, Noun) else value
                for key, value in question.slots.items()
            },
        }
        for question in walk.questions
    ]
    arrays: dict[str, Any] = {
        name: np.stack([getattr(question, name) for question in walk.questions]).astype(kind)
        for name, kind in zip(_BY_FRAME, (np.int8, np.int8, np.float16, np.float16, bool))
    }
    part = path.with_suffix('.part')
    with part.open('wb') as file:
        np.savez_compressed(
            file,
            frames=np.stack([resize(frame, image_width) for frame in walk.frames]),
            poses=walk.poses,
            taken=walk.taken,
            labels=walk.labels,
            about=np.array(
                json.dumps(
                    {'scene': walk.scene, 'instruction': walk.instruction, 'asks': described},
                    ensure_ascii=False,
                )
            ),
            **arrays,
        )
    part.rename(path)


def walk_length(path: Path) -> int:
    """Read of a walk how many frames it has; errors as of `load_walk`."""
    try:
        with np.load(path) as file:
            return len(file['taken'])
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f'{path} is damaged or no walk: {error}') from error


def load_walk(path: Path) -> Walk:
    """Read a walk; ValueError naming the file where it is damaged."""
    try:
        with np.load(path) as file:
            content = dict(file)
        about = json.loads(str(content['about']))
        questions = tuple(
            Question(
                question['form'],
                {
                    key: Noun(*value) if isinstance(value, list) else value
                    for key, value in question['slots'].items()
                },
                question['first'],
                question['turn'],
                *(content[name][row] for name in _BY_FRAME),
            )
            for row, question in enumerate(about['asks'])
        )
        return Walk(
            about['scene'],
            about['instruction'],
            content['frames'],
            content['poses'],
            content['taken'],
            content['labels'],
            questions,
        )
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f'{path} is damaged or no walk: {error}') from error


def walk_files(folder: Path) -> list[Path]:
    """List a folder's walks, in order; FileNotFoundError where there is none."""
    files = sorted(folder.glob('walk_*.npz'))
    if not files:
        raise FileNotFoundError(f'no walks in {folder}; make some: janusvln data walks {folder}')
    return files
