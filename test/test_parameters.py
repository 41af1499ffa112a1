"""Parameters declared once: groups, ranges, options of commands."""

import argparse
from dataclasses import dataclass
from enum import Enum

from janusvln_ros.parameters import (
    add_options,
    build,
    Changes,
    chosen,
    flatten,
    given,
    group,
    parameter,
    values_of,
)
import pytest


class Mode(Enum):
    SLOW = 'slow'
    FAST = 'fast'


@dataclass(frozen=True)
class Wheels:
    radius: float = parameter(0.1, 'Of a wheel.', unit='m', low=0.01, high=1.0)
    number: int = parameter(2, 'How many (100 % of them).', low=2, high=8)


@dataclass(frozen=True)
class Robot:
    mode: Mode = parameter(Mode.SLOW, 'How it drives.')
    quiet: bool = parameter(False, 'Say nothing.')
    wheels: Wheels = group(Wheels, changes=Changes.WHEN_STANDING)


def parse(*words):
    parser = argparse.ArgumentParser()
    add_options(parser, Robot)
    return parser.parse_args(words)


def test_groups_are_flat_and_say_when_they_change():
    declared = flatten(Robot)
    assert list(declared) == ['mode', 'quiet', 'radius', 'number']
    assert declared['radius'].changes is Changes.WHEN_STANDING
    assert declared['radius'].text == 'Of a wheel. [m]'
    assert declared['mode'].text == 'How it drives. One of: slow, fast.'
    assert declared['mode'].changes is Changes.NEVER


def test_a_name_declared_twice_is_an_error():
    @dataclass(frozen=True)
    class Twice:
        front: Wheels = group(Wheels)
        number: int = parameter(1, 'Of robots.')

    with pytest.raises(ValueError, match='Twice declares number twice'):
        flatten(Twice)


def test_build_fills_groups_and_enumerations():
    robot = build(Robot, {'mode': 'fast', 'radius': 1})
    assert robot == Robot(Mode.FAST, wheels=Wheels(1.0))
    assert values_of(robot) == {'mode': 'fast', 'quiet': False, 'radius': 1.0, 'number': 2}


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'colour': 'red'}, 'there is no parameter colour'),
        ({'radius': 2.0}, 'radius is 2.0; from 0.01 to 1 is right'),
        ({'radius': float('nan')}, 'radius is nan'),
        ({'number': 2.5}, 'number is 2.5; a whole number is needed'),
        ({'number': True}, 'number is True; a whole number is needed'),
        ({'mode': 'wild'}, "mode is 'wild'; it must be one of slow, fast"),
    ],
)
def test_bad_values_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        build(Robot, values)


def test_options_tell_what_was_given(capsys):
    assert chosen(Robot, parse()) == Robot()
    options = parse('--mode', 'slow', '--number', '3', '--no-quiet')
    assert given(Robot, options) == {'mode': 'slow', 'quiet': False, 'number': 3}
    assert chosen(Robot, options) == Robot(wheels=Wheels(number=3))
    with pytest.raises(SystemExit):
        parse('--help')
    shown = capsys.readouterr().out
    assert 'How many (100 % of them). (default: 2)' in shown
    with pytest.raises(ValueError, match='from 2 to 8'):
        chosen(Robot, parse('--number', '9'))
