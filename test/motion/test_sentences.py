"""Sentences: what is understood, what is refused, and that nothing else is a motion."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from janusvln_ros.actions import Action
from janusvln_ros.motion.commands import Command, Kind
from janusvln_ros.motion.sentences import parse, parse_steps, SentenceError
import pytest

MOVES = {
    'move forward 75 cm': 0.75,
    'The next action is move forward 25 cm.': 0.25,
    'move forward 0.5 m': 0.5,
    'Move forward .5 metres!': 0.5,
    'go straight ahead half a metre': 0.5,
    'walk two and a half meters forward': 2.5,
    'move a hundred and twenty centimetres forward': 1.2,
    'go forward one point five m': 1.5,
    'drive forward for seventy-five cm': 0.75,
    'move forward 2 feet': 0.6096,
    'advance forward 10 inches': 0.254,
    'move forward a bit': 0.25,
    'move forward': 0.25,
    'MOVE_FORWARD': 0.25,
    'please go back 30cm': -0.3,
    'half a metre back': -0.5,
    'forward one foot': 0.3048,
    'take two steps forward, please': 0.5,
    'back up three quarters of a metre': -0.75,
    'reverse': -0.25,
    'go straight on for 2 meters': 2.0,
}
TURNS = {
    'turn left 30 degrees': 30.0,
    'turn right 45°': -45.0,
    'the next action is: turn right 15 degrees.': -15.0,
    'rotate 0.5 rad to the left': math.degrees(0.5),
    'turn to your right by ninety degrees': -90.0,
    'turn left twenty-five degrees': 25.0,
    'spin clockwise one hundred and eighty degrees': -180.0,
    'turn left slightly': 15.0,
    'a bit to the left': 15.0,
    'a little right': -15.0,
    'turn a little to the right': -15.0,
    'TURN_LEFT': 15.0,
    'turn around': 180.0,
    '45 degrees to the right': -45.0,
}
REFUSED = [
    '',
    ' ',
    'move',
    'turn',
    'turn 30 degrees',
    'do not move forward',
    "don't turn left",
    'never move forward 25 cm',
    'move forward 75',
    'turn left ninety',
    'turn left 30 cm',
    'move forward 30 degrees',
    'move forward -1 m',
    'move forward - 1 m',
    'move forward 0 cm',
    'move forward 75 cm or turn left',
    'stop and turn left',
    'a bit',
    'then turn left',
    'turn left then',
    'move forward, then do not turn left',
    'do not turn left. move forward',
    'if it is free, move forward',
    'stop, then move forward',
    'turn left and ' * 10 + 'turn left',
    'move forward 1e3 m',
    'move forward nan m',
    'move forward inf m',
    'move forward 3,5 m',
    'move forward ' + '9' * 400 + ' m',
    'move forward twenty eleven cm',
    'move left 25 cm',
    'turn forward 15 degrees',
    'go to the red chair',
    'left',
    'forward',
    'go left',
    'two steps to the left',
    'a metre to the right',
    '30 degrees forward',
    'please',
    'move forward by',
    'move forward one point m',
    "don't stop",
    'stop the music',
]


@pytest.mark.parametrize(('sentence', 'amount'), MOVES.items())
def test_moves(sentence, amount):
    assert parse(sentence) == Command(Kind.MOVE, pytest.approx(amount))


@pytest.mark.parametrize(('sentence', 'degrees'), TURNS.items())
def test_turns(sentence, degrees):
    assert parse(sentence) == Command(Kind.TURN, pytest.approx(math.radians(degrees)))


@pytest.mark.parametrize(
    'sentence',
    ['stop', 'Stop.', 'STOP', 'the next action is stop', 'halt', 'stand still', 'stop moving'],
)
def test_stops(sentence):
    assert parse(sentence) == Command(Kind.STOP)


@pytest.mark.parametrize('sentence', REFUSED)
def test_what_is_not_understood_is_an_error_that_names_it(sentence):
    with pytest.raises(SentenceError) as error:
        parse_steps(sentence)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ('sentence', 'steps'),
    [
        ('go forward 75 cm, then turn left 30 degrees', ['F 75', 'L 30']),
        ('Move forward a hundred and twenty cm and turn right.', ['F 120', 'R 15']),
        ('Turn right. Go forward 1.5 m. Then stop.', ['R 15', 'F 150', 'S']),
        ('a bit to the left; please move forward two and a half m', ['L 15', 'F 250']),
        ('turn around and then go straight', ['L 180', 'F 25']),
        ('turn left 45°, turn left 45°', ['L 45', 'L 45']),
        ('first go 50 cm forward, then 30 degrees left, please', ['F 50', 'L 30']),
    ],
)
def test_steps_come_one_after_another(sentence, steps):
    said = []
    for command in parse_steps(sentence):
        amount = command.amount * (100 if command.kind is Kind.MOVE else 180 / math.pi)
        letter = {Kind.MOVE: 'F', Kind.STOP: 'S'}.get(command.kind, 'L' if amount > 0 else 'R')
        said.append('S' if letter == 'S' else f'{letter} {abs(amount):.0f}')
    assert said == steps
    with pytest.raises(SentenceError):
        parse(sentence)


def test_a_bit_is_one_step():
    assert parse('move forward a bit', step_length=0.4).amount == 0.4
    assert parse('turn right slightly', step_angle=0.1).amount == -0.1


@given(st.sampled_from([Kind.MOVE, Kind.TURN]), st.integers(1, 500), st.sampled_from([1, -1]))
def test_our_own_sentences_are_understood(kind, amount, sign):
    command = Command(kind, sign * (amount / 100.0 if kind is Kind.MOVE else math.radians(amount)))
    assert parse(command.sentence) == Command(kind, pytest.approx(command.amount))


WORDS = st.sampled_from(
    'move turn stop go forward left right around by a bit half and not please 5 0.25 cm m'
    ' degrees twenty hundred point three back . - ° , do never 1e9 nan then ;'.split()
)


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(st.one_of(st.text(max_size=40), st.lists(WORDS, max_size=9).map(' '.join)))
def test_nothing_but_a_whole_command_moves(text):
    try:
        commands = parse_steps(text)
    except SentenceError:
        return
    words = set(text.lower().split())
    assert not words & {'not', 'never', 'do', 'nan', '1e9', '-'}
    assert Kind.STOP not in [command.kind for command in commands[:-1]]
    for command in commands:
        assert math.isfinite(command.amount)
        assert (command.amount == 0.0) == (command.kind is Kind.STOP)
        assert parse(command.sentence).kind is command.kind


def test_actions_are_commands():
    def command(action):
        return Command.from_action(action, 0.25, 0.26)

    assert command(0) == Command(Kind.STOP)
    assert command(1) == Command(Kind.MOVE, 0.25)
    assert command(2) == Command(Kind.TURN, 0.26)
    assert command(3) == Command(Kind.TURN, -0.26)
    assert [command(action).action for action in Action] == list(Action)
    with pytest.raises(ValueError, match='action 4 is not one of'):
        command(4)


def test_equal_commands_merge_up_to_a_limit():
    step, turn = Command(Kind.MOVE, 0.25), Command(Kind.TURN, math.radians(15.0))
    two = step.merged(step, 0.75, 1.0)
    assert two == Command(Kind.MOVE, 0.5)
    assert two.merged(step, 0.75, 1.0).sentence == 'move forward 75 cm'
    assert two.merged(two, 0.75, 1.0) is None
    assert turn.merged(turn, 1.0, math.radians(30.0)).sentence == 'turn left 30 degrees'
    assert turn.merged(Command(Kind.TURN, -0.26), 1.0, 1.0) is None
    assert turn.merged(step, 1.0, 1.0) is None
    assert Command(Kind.STOP).merged(Command(Kind.STOP), 1.0, 1.0) is None


def test_long_sentences_are_refused_unread_and_not_echoed():
    with pytest.raises(SentenceError, match='1050000 characters; at most 1000') as caught:
        parse_steps('go ' * 350_000)
    assert len(str(caught.value)) < 100
