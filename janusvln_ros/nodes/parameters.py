"""
ROS parameters from dataclasses: each field says its default, meaning, range and choices.

    @dataclass(frozen=True)
    class Settings:
        rate: float = parameter(5.0, 'Heartbeats per second.', low=1.0, high=50.0)

    settings = declare(node, Settings)
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

T = TypeVar('T')


def declare(node: Node, kind: type[T]) -> T:
    """
    Declare every field of a dataclass as a parameter of the node and return their values.

    Raises ValueError for a value that is none of the choices, and rclpy's own errors for one of
    another type or out of range.
    """
    for entry in fields(kind):
        node.declare_parameter(entry.name, entry.default, _descriptor(entry))
    return read(node, kind)


def read(node: Node, kind: type[T]) -> T:
    """Return the present values of the parameters of a dataclass."""
    values = {entry.name: node.get_parameter(entry.name).value for entry in fields(kind)}
    for name, value in values.items():
        problem = check_choice(kind, name, value)
        if problem:
            raise ValueError(problem)
    return kind(**values)


def check_choice(kind: type, name: str, value: Any) -> str:
    """Return what is wrong with a value by its choices, or an empty string."""
    choices = {entry.name: entry.metadata['choices'] for entry in fields(kind)}.get(name, ())
    if choices and value not in choices:
        return f'parameter {name} is {value!r}; it must be one of {", ".join(choices)}'
    return ''


def _descriptor(entry: Any) -> ParameterDescriptor:
    about = entry.metadata
    text = about['description']
    if about['choices']:
        text += f' One of: {", ".join(about["choices"])}.'
    descriptor = ParameterDescriptor(name=entry.name, description=text)
    if about['low'] is None:
        return descriptor
    if isinstance(entry.default, float):
        descriptor.floating_point_range = [
            FloatingPointRange(
                from_value=float(about['low']), to_value=float(about['high']), step=0.0
            )
        ]
    else:
        descriptor.integer_range = [
            IntegerRange(from_value=int(about['low']), to_value=int(about['high']), step=1)
        ]
    return descriptor
