"""A node's ROS parameters, from the dataclasses that declare them (janusvln_ros.parameters)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from janusvln_ros.parameters import build, Changes, Declaration, flatten
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

T = TypeVar('T')


class Declared(Generic[T]):
    """
    The parameters of a node that a dataclass declares, and their present values.

    refuses: asked before a change with when such a parameter may change and its name; says why
    not now, or ''; not asked for those that never change. apply: takes the new values; its
    ValueError refuses them.
    """

    def __init__(
        self,
        node: Node,
        kind: type[T],
        *,
        refuses: Callable[[Changes, str], str] = lambda changes, name: '',
        apply: Callable[[T], None] = lambda value: None,
    ) -> None:
        """Declare; ValueError or rclpy's own errors for values given at the start that are bad."""
        self._node, self._kind, self._refuses, self._apply = node, kind, refuses, apply
        self._declared = flatten(kind)
        for one in self._declared.values():
            default = [] if one.default == () else one.default
            node.declare_parameter(one.name, default, _descriptor(one))
        self.value = self.read()
        node.add_on_set_parameters_callback(self._on_set)

    def read(self, **changes: Any) -> T:
        """Return the present values with some changed; ValueError for bad ones."""
        values = {name: self._node.get_parameter(name).value for name in self._declared}
        return build(self._kind, values | changes)

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        changes = {
            one.name: one.value
            for one in parameters
            if one.name in self._declared and one.value != self._node.get_parameter(one.name).value
        }
        if not changes:
            return SetParametersResult(successful=True)
        for name in changes:
            reason = self._refusal(name)
            if reason:
                return SetParametersResult(successful=False, reason=reason)
        try:
            value = self.read(**changes)
            self._apply(value)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self.value = value
        return SetParametersResult(successful=True)

    def _refusal(self, name: str) -> str:
        changes = self._declared[name].changes
        if changes is Changes.NEVER:
            return f'{name} is fixed: restart {self._node.get_name()} with the new value'
        return self._refuses(changes, name)


def _descriptor(one: Declaration) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(name=one.name, description=one.text)
    descriptor.dynamic_typing = one.default == ()  # of an empty list ROS knows no type
    if one.low is None or one.high is None:
        return descriptor
    if isinstance(one.default, float):
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=float(one.low), to_value=float(one.high), step=0.0)
        ]
    else:
        descriptor.integer_range = [
            IntegerRange(from_value=int(one.low), to_value=int(one.high), step=1)
        ]
    return descriptor
