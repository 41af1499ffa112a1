"""
How an instruction is put into words, in English and Chinese.

A form says what is asked for ("go to A, then back to B"); its phrasings say it in several ways.
Some phrasings and some pairs of colour and thing are held out from training, and so are the houses
of the unseen split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import re

from janusvln_ros.episodes.phrasings import (
    HELD_OUT,
    PHRASINGS,
    TURNS,
    WORDS,
    ZH_COLOURS,
    ZH_THINGS,
)
from janusvln_ros.sim.house import CATEGORIES as THINGS
from janusvln_ros.sim.house import COLOURS
import numpy as np

VERSION = 1  # raise it when an instruction, or how an episode is drawn, changes

CATEGORIES = ('reach', 'sequence', 'direction', 'depth', 'side', 'relation', 'memory')
LANGUAGES = {'en': 'en-US', 'zh': 'zh-CN'}

# Every thing and every colour occurs in training, each thing in at least six colours.
HELD_OUT_PAIRS = frozenset(
    (thing, COLOURS[(3 * i + k) % len(COLOURS)]) for i, thing in enumerate(THINGS) for k in (0, 4)
)
TRAINING_PAIRS = tuple(
    (thing, colour)
    for thing in THINGS
    for colour in COLOURS
    if (thing, colour) not in HELD_OUT_PAIRS
)


@dataclass(frozen=True)
class Noun:
    """A thing or a door, named with or without its colour."""

    thing: str  # one of the simulator's CATEGORIES, or 'door'
    colour: str | None = None

    @property
    def held_out(self) -> bool:
        """Whether it is a pair that training does not have."""
        return (self.thing, self.colour) in HELD_OUT_PAIRS


def phrasing_indices(form: str, language: str, held_out: bool) -> range:
    """Give the phrasings of a form for training, or those that are held out."""
    count = len(PHRASINGS[form][language])
    return range(count - HELD_OUT, count) if held_out else range(count - HELD_OUT)


def say(
    form: str,
    slots: Mapping[str, Noun | str],
    *,
    language: str,
    phrasing: int,
    turn: str | None = None,
    turn_phrasing: int = 0,
) -> str:
    """
    Say a form in words.

    slots: nouns and words by slot name; `turn` ('left', 'right') puts a sentence in front that
    says where to turn first. Raises KeyError for a form, language or slot that there is none of.
    """
    text = put_nouns(PHRASINGS[form][language][phrasing], slots, language)
    return say_turn(turn, language, turn_phrasing) + text


def say_turn(turn: str | None, language: str, phrasing: int) -> str:
    """Say where to turn first, if at all."""
    if turn is None:
        return ''
    return TURNS[language][phrasing].format(turn=WORDS[language][turn])


def put_nouns(template: str, slots: Mapping[str, Noun | str], language: str = 'en') -> str:
    """Fill the slots of a template; KeyError for one that is not given."""
    words = {}
    for slot, value in slots.items():
        if isinstance(value, Noun):
            words[slot], words[f'{slot}.bare'] = _noun(value, language)
        else:
            words[slot] = WORDS[language][value]
    return re.sub(r'\{([a-z.]+)\}', lambda match: words[match[1]], template)


def choose_phrasing(
    rng: np.random.Generator, form: str, language: str, held_out: bool
) -> tuple[int, int]:
    """Draw a phrasing of a form and one of the first turn."""
    choices = phrasing_indices(form, language, held_out)
    turns = len(TURNS[language])
    return int(rng.choice(choices)), int(
        rng.integers(turns - HELD_OUT, turns) if held_out else rng.integers(turns - HELD_OUT)
    )


def vocabulary(language: str) -> tuple[str, ...]:
    """Give all words (English) or characters (Chinese) that instructions may have, sorted."""
    texts = [*TURNS[language], *WORDS[language].values()]
    for phrasings in PHRASINGS.values():
        texts += phrasings[language]
    for thing in ZH_THINGS:
        for colour in (None, *COLOURS):
            texts.append(_noun(Noun(thing, colour), language)[0])
    return tuple(sorted({token for text in texts for token in tokenise(text, language)}))


def tokenise(text: str, language: str) -> list[str]:
    """Split a text or a template into lower-case words or characters, without slots."""
    text = re.sub(r'\{[a-z.]+\}', ' ', text).lower()
    return re.findall(r'[a-z]+|[.,]', text) if language == 'en' else re.findall(r'\S', text)


def _noun(noun: Noun, language: str) -> tuple[str, str]:
    """Give a noun with its article, and without."""
    if language == 'zh':
        thing = ZH_THINGS[noun.thing]
        text = thing if noun.colour is None else f'{ZH_COLOURS[noun.colour]}的{thing}'
        return text, text
    bare = noun.thing if noun.colour is None else f'{noun.colour} {noun.thing}'
    return f'the {bare}', bare
