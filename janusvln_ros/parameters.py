"""
Parameters of nodes and options of commands, declared once: in the dataclass that uses them.

    @dataclass(frozen=True)
    class OdometryParameters:
        odometry_timeout: float = parameter(0.5, 'Silence that stops.', unit='s', low=0.02)

    @dataclass(frozen=True)
    class ExecutorConfig:
        odometry: OdometryParameters = group(OdometryParameters, changes=Changes.ALWAYS)

    config = build(ExecutorConfig, {'odometry_timeout': 0.3})
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
import math
from typing import Any, TypeVar

T = TypeVar('T')


class Changes(Enum):
    """When a running node takes another value."""

    NEVER = 'never: restart it with the new value'
    WHEN_UNCONFIGURED = 'before it is configured'
    WHEN_STANDING = 'while the robot stands'
    ALWAYS = 'at any time'


@dataclass(frozen=True)
class Declaration:
    """What is known of a parameter; the range includes its ends."""

    name: str
    default: Any  # a bool, int, float, str or tuple of str; of an enumeration its value
    description: str
    unit: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    changes: Changes

    @property
    def text(self) -> str:
        """Give the description with unit and choices."""
        text = f'{self.description} [{self.unit}]' if self.unit else self.description
        return f'{text} One of: {", ".join(self.choices)}.' if self.choices else text

    def check(self, value: Any) -> Any:
        """Return a value as the parameter holds it; ValueError says what would be right."""
        kind = type(self.default)
        if kind is float and type(value) is int:
            value = float(value)
        if kind is tuple and value is None:  # how ROS reads []
            value = ()
        if kind is tuple and type(value) is list and {str} >= set(map(type, value)):
            value = tuple(value)
        if type(value) is not kind:
            raise ValueError(f'parameter {self.name} is {value!r}; {_KINDS[kind]} is needed')
        if self.choices and value not in self.choices:
            choices = ', '.join(self.choices)
            raise ValueError(f'parameter {self.name} is {value!r}; it must be one of {choices}')
        if kind in (int, float):
            low = -math.inf if self.low is None else self.low
            high = math.inf if self.high is None else self.high
            if not low <= value <= high:
                right = f'from {low:.10g} to {high:.10g} is right'
                raise ValueError(f'parameter {self.name} is {value}; {right}')
        return value


_KINDS = {
    bool: 'true or false',
    int: 'a whole number',
    float: 'a number',
    str: 'text',
    tuple: 'a list of texts',
}


def parameter(
    default: Any,
    description: str,
    *,
    unit: str = '',
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
) -> Any:
    """Make a dataclass field that is a parameter; an enumeration's values are its choices."""
    if isinstance(default, Enum):
        choices = [member.value for member in type(default)]
    about = {'description': description, 'unit': unit, 'low': low, 'high': high}
    return field(default=default, metadata=about | {'choices': tuple(choices)})


def group(kind: type, *, changes: Changes = Changes.NEVER) -> Any:
    """Make a dataclass field that holds another dataclass of parameters."""
    return field(default_factory=kind, metadata={'group': kind, 'changes': changes})


def flatten(kind: type, changes: Changes = Changes.NEVER) -> dict[str, Declaration]:
    """Return all parameters of a dataclass and of its groups by name; ValueError for one twice."""
    found: dict[str, Declaration] = {}
    for entry in fields(kind):
        about = dict(entry.metadata)
        if 'group' in about:
            inner = flatten(about['group'], about['changes'])
        else:
            default = entry.default.value if isinstance(entry.default, Enum) else entry.default
            inner = {entry.name: Declaration(entry.name, default, changes=changes, **about)}
        twice = found.keys() & inner.keys()
        if twice:
            raise ValueError(f'{kind.__name__} declares {", ".join(sorted(twice))} twice')
        found |= inner
    return found


def build(kind: type[T], values: Mapping[str, Any]) -> T:
    """
    Make a dataclass, groups included, from values by name; what is not named has its default.

    Raises ValueError for a name that is not declared, another type, a value out of range.
    """
    declared = flatten(kind)
    unknown = sorted(values.keys() - declared.keys())
    if unknown:
        raise ValueError(f'there is no parameter {", ".join(unknown)}')
    return _build(kind, {name: declared[name].check(value) for name, value in values.items()})


def _build(kind: type[T], values: Mapping[str, Any]) -> T:
    made: dict[str, Any] = {}
    for entry in fields(kind):  # type: ignore[arg-type]
        if 'group' in entry.metadata:
            made[entry.name] = _build(entry.metadata['group'], values)
        elif entry.name in values:
            value = values[entry.name]
            default: Any = entry.default
            enum = isinstance(default, Enum)
            made[entry.name] = type(default)(value) if enum else value
    return kind(**made)


def values_of(settings: Any) -> dict[str, Any]:
    """Return the values of all parameters of a dataclass and its groups by name."""
    values: dict[str, Any] = {}
    for entry in fields(settings):
        value = getattr(settings, entry.name)
        if 'group' in entry.metadata:
            values |= values_of(value)
        else:
            values[entry.name] = value.value if isinstance(value, Enum) else value
    return values


def add_options(parser: argparse._ActionsContainer, kind: type, *names: str) -> None:
    """
    Add the parameters of a dataclass, or those named, as options (--memory-mode).

    An option that is not given leaves no attribute behind: `given` tells one from the other.
    """
    declared = flatten(kind)
    for name in names or declared:
        one = declared[name]
        shown = '' if one.default == '' else f' (default: {one.default})'
        about: dict[str, Any] = {
            'default': argparse.SUPPRESS,
            'help': (one.text + shown).replace('%', '%%'),
        }
        if isinstance(one.default, bool):
            about['action'] = argparse.BooleanOptionalAction
        else:
            about |= {'type': type(one.default), 'choices': one.choices or None}
        parser.add_argument('--' + name.replace('_', '-'), **about)


def given(kind: type, options: argparse.Namespace) -> dict[str, Any]:
    """Return the values of the parsed options that add_options added and the user gave."""
    return {name: getattr(options, name) for name in flatten(kind) if name in options}


def chosen(kind: type[T], options: argparse.Namespace) -> T:
    """Make a dataclass from parsed options that add_options added; ValueError as `build`."""
    return build(kind, given(kind, options))
