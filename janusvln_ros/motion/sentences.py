"""
Sentences to commands: "move forward 75 cm", "go back a bit, then turn left thirty degrees".

A sentence is understood as a whole or not at all: what is left over is an error, so that "do not
move forward" never moves a robot.
"""

from __future__ import annotations

from collections.abc import Iterable
import math
import re

from janusvln_ros.actions import FORWARD_STEP, TURN_STEP
from janusvln_ros.motion.commands import Command, Kind

_UNITS = {  # of what, and how many m or rad; steps have the length that the robot's have
    **dict.fromkeys(('m', 'metre', 'metres', 'meter', 'meters'), (Kind.MOVE, 1.0)),
    **dict.fromkeys(
        ('cm', 'centimetre', 'centimetres', 'centimeter', 'centimeters'), (Kind.MOVE, 0.01)
    ),
    **dict.fromkeys(
        ('mm', 'millimetre', 'millimetres', 'millimeter', 'millimeters'), (Kind.MOVE, 0.001)
    ),
    **dict.fromkeys(('ft', 'foot', 'feet'), (Kind.MOVE, 0.3048)),
    **dict.fromkeys(('inch', 'inches'), (Kind.MOVE, 0.0254)),
    **dict.fromkeys(('yard', 'yards'), (Kind.MOVE, 0.9144)),
    **dict.fromkeys(('step', 'steps'), (Kind.MOVE, None)),
    **dict.fromkeys(('degree', 'degrees', 'deg'), (Kind.TURN, math.radians(1.0))),
    **dict.fromkeys(('radian', 'radians', 'rad'), (Kind.TURN, 1.0)),
}
_SMALL = {
    word: value
    for value, word in enumerate(
        'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen'
        ' fifteen sixteen seventeen eighteen nineteen'.split()
    )
}
_TENS = {
    word: 10 * value
    for value, word in enumerate(
        'twenty thirty forty fifty sixty seventy eighty ninety'.split(), start=2
    )
}
_PREFIXES = (
    'the next action is to',
    'the next action is',
    'next action',
    'action',
    'please',
    'first',
    'now',
    'just',
)
_STOPS = ('stop', 'stop here', 'stop now', 'stop moving', 'halt', 'stand still')
_MOVES = ('move', 'go', 'walk', 'drive', 'step', 'take', 'advance', 'proceed', 'head')
_TURNS = ('turn', 'rotate', 'spin', 'pivot')
_REVERSES = ('back up', 'reverse')
_BITS = ('a little bit', 'a little', 'a bit', 'slightly')
_DIRECTIONS = {
    **dict.fromkeys(
        (
            'straight forward',
            'straight ahead',
            'straight on',
            'forwards',
            'forward',
            'ahead',
            'straight',
        ),
        (Kind.MOVE, 1.0),
    ),
    **dict.fromkeys(('backwards', 'backward', 'back'), (Kind.MOVE, -1.0)),
    **{f'{towards}left': (Kind.TURN, 1.0) for towards in ('to the ', 'to your ', '')},
    **{f'{towards}right': (Kind.TURN, -1.0) for towards in ('to the ', 'to your ', '')},
    **dict.fromkeys(('counterclockwise', 'anticlockwise'), (Kind.TURN, 1.0)),
    'clockwise': (Kind.TURN, -1.0),
}


_EXAMPLES = '"move forward 50 cm", "half a metre back", "turn left 30 degrees", "stop"'
_MOST_STEPS = 10  # of one sentence
_LONGEST = 1000  # characters of one
# Between two steps: "then" anywhere; a full stop, a comma or "and" where a step may begin.
_NEXT = re.compile(
    r'[\s,;.!]*\b(?:and )?then\b[\s,]*|(?:[.;!,]\s+(?:and )?|\s+and )(?!please\W*$)(?=(?:'
    + '|'.join(
        sorted((*_PREFIXES, *_STOPS, *_MOVES, *_TURNS, *_REVERSES, *_BITS), key=len, reverse=True)
    ).replace(' ', r'\s+')
    + r')\b)'
)


class SentenceError(ValueError):
    """A sentence that is no command; the message names the sentence and what is wrong."""


def parse(
    sentence: str, step_length: float = FORWARD_STEP, step_angle: float = TURN_STEP
) -> Command:
    """
    Return the command (m or rad) that a sentence of one step asks for.

    Without an amount, or with "a bit", it is one step (step_length, step_angle): the policy's
    own actions. Raises SentenceError.
    """
    return _command(sentence, sentence, step_length, step_angle)


def parse_steps(
    sentence: str, step_length: float = FORWARD_STEP, step_angle: float = TURN_STEP
) -> list[Command]:
    """
    Return the commands that a sentence of one or more steps asks for, in order.

    "stop" may only be the last one. Raises SentenceError, also where only one step of several is
    not understood.
    """
    if len(sentence) > _LONGEST:
        raise SentenceError(
            f'cannot obey a sentence of {len(sentence)} characters; at most {_LONGEST}'
        )
    steps = _NEXT.split(' '.join(sentence.lower().split()))
    if len(steps) > _MOST_STEPS:
        raise SentenceError(
            f'cannot obey "{sentence}": it has {len(steps)} steps; at most {_MOST_STEPS}'
        )
    if len(steps) == 1:
        return [parse(sentence, step_length, step_angle)]
    commands = [_command(sentence, step, step_length, step_angle) for step in steps]
    if any(command.kind is Kind.STOP for command in commands[:-1]):
        raise SentenceError(f'cannot obey "{sentence}": something comes after "stop"')
    return commands


def _command(sentence: str, step: str, step_length: float, step_angle: float) -> Command:
    """Parse one step of a sentence."""
    text = step.lower().replace('°', ' degrees ').replace('_', ' ')
    text = re.sub(r'(?<=[a-z])-(?=[a-z])|[:"]|[.,!;]+(?!\d)', ' ', text)
    words = _Words(sentence, re.sub(r'(?<=\d)(?=[a-z])', ' ', text).split())
    while words.take_any(_PREFIXES):
        pass
    words.drop_last('please')
    if words.take_any(_MOVES):
        command = _motion(words, Kind.MOVE, step_length, step_angle)
    elif words.take_any(_TURNS):
        if words.take_any(('around', 'round')):
            command = Command(Kind.TURN, math.pi)
        else:
            command = _motion(words, Kind.TURN, step_length, step_angle)
    elif words.take_any(_REVERSES):
        command = _motion(words, Kind.MOVE, step_length, step_angle, direction='back')
    elif words.take_any(sorted(_STOPS, key=len, reverse=True)):
        command = Command(Kind.STOP)
    else:
        command = _motion(words, None, step_length, step_angle)
    if words.rest:
        raise words.error(f'"{" ".join(words.rest)}" is left over')
    return command


def _motion(
    words: _Words, verb: Kind | None, step_length: float, step_angle: float, direction: str = ''
) -> Command:
    """
    Parse direction and amount, in either order.

    verb: what has to be done; None: no verb was said, then an amount has to be ("one foot back").
    """
    direction = direction or words.take_any(_DIRECTIONS)
    said = _amount(words)
    direction = direction or words.take_any(_DIRECTIONS)
    kind, sign = _DIRECTIONS.get(direction, (None, 0.0))
    number, of, factor = said or (1.0, None, None)
    if kind is None or {verb, of} - {None, kind} or (verb is None and said is None):
        raise words.error(f'one would understand {_EXAMPLES}')
    step = step_length if kind is Kind.MOVE else step_angle
    amount = number * (step if factor is None else factor)
    if not (math.isfinite(amount) and amount > 0.0):
        raise words.error(f'the amount is {amount:g}')
    return Command(kind, sign * amount)


def _amount(words: _Words) -> tuple[float, Kind | None, float | None] | None:
    """
    Parse "[by|for] NUMBER UNIT" or "a bit": number, of what, m or rad (None: a step).

    None when there is neither.
    """
    if words.take_any(_BITS):
        return 1.0, None, None
    announced = words.take_any(('by', 'for', 'about', 'roughly', 'another'))
    number = _number(words)
    if number is None:
        if announced:
            raise words.error(f'no amount after "{announced}"')
        return None
    words.take_any(('of a', 'of an', 'a', 'an'))  # half a metre, a quarter of a metre
    unit = words.take_any(_UNITS)
    if not unit:
        raise words.error(f'no unit after {number:g}, such as m, cm, feet, inches or degrees')
    return number, *_UNITS[unit]


def _number(words: _Words) -> float | None:
    """Parse digits or words: 0.75, seventy five, a hundred and twenty, two and a half, half."""
    if words.take_any(('half',)):
        return 0.5
    if words.take_any(('a quarter',)):
        return 0.25
    if words.take_any(('three quarters',)):
        return 0.75
    digits = words.take_match(r'\d*\.?\d+')
    if digits:
        return float(digits)
    total = _whole(words)
    if total is None:
        return None
    if words.take_any(('and a half',)):
        return total + 0.5
    if words.take_any(('point',)):
        decimals = ''
        while word := words.take_any([*_SMALL][:10]):
            decimals += str(_SMALL[word])
        if not decimals:
            raise words.error('no digits after "point"')
        return total + float(f'0.{decimals}')
    return float(total)


def _whole(words: _Words) -> int | None:
    """Parse a whole number below 1000 in words; None when there is none."""
    first = words.take_any(('a', 'an'))
    total = 1 if first else _below_hundred(words)
    if total is None:
        return None
    if words.take_any(('hundred',)):
        total *= 100
        words.take_any(('and',), unless=('a half',))
        total += _below_hundred(words) or 0
    return total


def _below_hundred(words: _Words) -> int | None:
    tens = words.take_any(_TENS)
    ones = words.take_any(_SMALL)
    if not tens and not ones:
        return None
    if tens and ones and not 0 < _SMALL[ones] < 10:
        raise words.error(f'"{tens} {ones}" is no number')
    return _TENS.get(tens, 0) + _SMALL.get(ones, 0)


class _Words:
    """The words of a sentence that are not understood yet."""

    def __init__(self, sentence: str, words: list[str]) -> None:
        self._sentence = sentence
        self.rest = words

    def take_any(self, phrases: Iterable[str], unless: tuple[str, ...] = ()) -> str:
        """Take the first of the phrases that comes next, if any does, and return it."""
        for phrase in phrases:
            words = phrase.split()
            if self.rest[: len(words)] == words and not any(
                self.rest[len(words) :][: len(u.split())] == u.split() for u in unless
            ):
                self.rest = self.rest[len(words) :]
                return phrase
        return ''

    def drop_last(self, word: str) -> None:
        """Drop a word from the end, if it stands there."""
        if self.rest[-1:] == [word]:
            self.rest.pop()

    def take_match(self, pattern: str) -> str:
        """Take the next word if it matches as a whole, and return it."""
        if self.rest and re.fullmatch(pattern, self.rest[0]):
            return self.rest.pop(0)
        return ''

    def error(self, reason: str) -> SentenceError:
        """Make the error that says what was not understood."""
        return SentenceError(f'cannot obey "{self._sentence}": {reason}')
