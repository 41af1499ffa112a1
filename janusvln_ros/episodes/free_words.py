"""
Instructions as people type them: the grammar's English sentences, said more freely.

For training only; the splits' sentences stay what they are. A sentence keeps its meaning: other
verbs, synonyms, politeness, two sentences for one, no capitals, a slip of the fingers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import re

import numpy as np

# What may be said instead; each is looked for as whole words, the first that fits decides.
_INSTEAD: Mapping[str, Sequence[str]] = {
    # verbs
    'find (?=the)': ('look for ', 'search for ', 'locate ', 'spot '),
    '(?:go|walk|move) to (?=the)': (
        'head to ',
        'head over to ',
        'drive to ',
        'drive over to ',
        'get to ',
        'get over to ',
        'come to ',
        'go over to ',
        'go up to ',
        'navigate to ',
        'proceed to ',
        'approach ',
        'make your way to ',
        'run to ',
        'go towards ',
        'head for ',
        'visit ',
    ),
    '(?:go|walk) through': ('pass through', 'head through', 'drive through', 'move through'),
    'leave through': ('exit through', 'go out through', 'head out of', 'leave by', 'exit by'),
    '(?:go|walk) past|pass(?= the)': ('head past', 'drive past', 'pass by', 'go by'),
    '(?:walk back|go back|come back|return) to': (
        'head back to',
        'drive back to',
        'get back to',
        'turn back to',
        'come back to',
    ),
    'take(?= the)': ('use', 'go into', 'enter'),
    '(?:go|walk) around': ('drive around', 'get around', 'circle'),
    'turn(?= (?:to the )?(?:left|right))': ('rotate', 'face', 'look', 'spin', 'swing'),
    'stop there': ('wait there', 'stay there', 'halt there', 'remain there', 'park there'),
    '(?:stop at|stop next to)': (
        'wait at',
        'wait by',
        'halt at',
        'stop beside',
        'stop near',
        'park next to',
        'stop close to',
        'stop in front of',
        'stand next to',
    ),
    'and stop': ('and wait', 'and halt', 'and stay there', 'and stop here', 'and park'),
    # places
    'nearest': ('closest',),
    'farthest': ('furthest', 'most distant'),
    'next to': ('beside', 'close to', 'near', 'right next to', 'by', 'standing by'),
    'behind': ('in back of', 'at the back of', 'right behind', 'on the far side of'),
    'between': ('in between', 'right between'),
    'the middle': ('the centre', 'the center', 'halfway'),
    '(?:to )?where you started|(?:to )?(?<!at )the start(?=[.,]|$)': (
        'to your starting point',
        'to where you are now',
        'here',
        'to the beginning',
        'to your starting place',
        'to this place',
        'to this spot',
    ),
    'you saw (?:first|at the start)': ('you saw before', 'from before', 'you see now'),
    '(?:to|on) the (left|right) side of': ('on the {} hand side of', 'to the {} of', '{} of'),
    'on the (left|right)': ('to the {}', 'on the {} side', 'on the {} hand side', 'on your {}'),
    # order
    ', then ': (' and then ', '. Then ', ', and then ', '. After that, ', ', after that ', '; '),
    'first ': ('at first ', 'to begin with, ', ''),
    # things
    'sofa': ('couch', 'settee'),
    'cabinet': ('cupboard', 'closet', 'dresser', 'wardrobe'),
    'shelf': ('bookshelf', 'bookcase', 'shelves', 'rack'),
    'lamp': ('light', 'floor lamp', 'standing lamp'),
    'plant': ('potted plant', 'houseplant', 'flower', 'pot plant'),
    'stool': ('footstool', 'bar stool'),
    'chair': ('seat', 'armchair'),
    'table': ('desk', 'dining table'),
    'ball': ('football', 'big ball', 'sphere'),
    'door': ('doorway', 'door frame', 'passage'),
    'purple': ('violet',),
    'pink': ('rose',),
}
_BEFORE = (
    'please ',
    'could you ',
    'could you please ',
    'can you ',
    'can you please ',
    'would you ',
    'would you kindly ',
    'will you ',
    'hey robot, ',
    'robot, ',
    'hello, ',
    'hi, please ',
    'hey, ',
    'ok, ',
    'okay, now ',
    'now ',
    'just ',
    'i want you to ',
    'i need you to ',
    'i would like you to ',
    "i'd like you to ",
    'you should ',
    'you need to ',
    'you have to ',
    "let's ",
    'try to ',
    'your job is to ',
    'next, ',
)
_AFTER = (
    ', please',
    ', thanks',
    ', thank you',
    ', ok',
    ' for me',
    ' and wait there',
    ' and wait for me',
    ' and stay there',
    ' and stop there',
    ' now',
    '. Thanks',
    '. Thank you',
    '. Then stop',
    '. Wait there',
    '. Stay there until i come',
    ' as fast as you can',
    ' carefully',
    ' but do not touch anything',
)
_OTHERS = 0.35  # probability of each replacement that is possible
_POLITE, _ADDED, _LOWER, _OPEN, _SLIP = 0.4, 0.25, 0.4, 0.4, 0.1  # of the others


def loosen(text: str, rng: np.random.Generator) -> str:
    """Say one of the grammar's English instructions as a person might."""
    for pattern, others in _INSTEAD.items():
        if rng.random() < _OTHERS:
            text = _instead(pattern, str(rng.choice(others)), text)
    if rng.random() < _POLITE:
        text = _upper(str(rng.choice(_BEFORE)) + _lower(text))
    if rng.random() < _ADDED:
        text = text.rstrip('.') + str(rng.choice(_AFTER)) + '.'
    if rng.random() < _OPEN:
        text = text.rstrip('.') + str(rng.choice(('', '', '', '!', '?')))
    if rng.random() < _LOWER:
        text = text.lower()
    return _slip(text, rng) if rng.random() < _SLIP else text


def free_words() -> tuple[str, ...]:
    """Give all words that `loosen` may bring into a sentence, in lower case, sorted."""
    texts = [*_BEFORE, *_AFTER, *(other for others in _INSTEAD.values() for other in others)]
    return tuple(sorted({word for text in texts for word in _words(text)}))


def _words(text: str) -> Iterator[str]:
    return (match[0] for match in re.finditer(r'[a-z]+', text.lower()))


def _instead(pattern: str, other: str, text: str) -> str:
    """Replace whole words; the first letter keeps its case, what was found fills `other`."""

    def said(match: re.Match[str]) -> str:
        words = other.format(*match.groups())
        return _upper(words) if match[0][:1].isupper() else words

    return re.sub(rf'(?<![a-z]){pattern}(?![a-z])', said, text, flags=re.IGNORECASE)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _slip(text: str, rng: np.random.Generator) -> str:
    """Swap, drop or double a letter in a longer word."""
    words = list(re.finditer(r'[A-Za-z]{4,}', text))
    if not words:
        return text
    word = words[rng.integers(len(words))]
    at = word.start() + int(rng.integers(1, len(word[0]) - 1))
    kind = rng.integers(3)
    if kind == 0:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + text[at + 1 :] if kind == 1 else text[:at] + text[at] + text[at:]
