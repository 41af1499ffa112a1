"""Messages of a bag and their types, without ROS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from janusvln_ros import share
from rosbags.interfaces import Nodetype
from rosbags.typesys import get_types_from_idl, get_types_from_msg, get_typestore, Stores
from rosbags.typesys.store import Typestore

PACKAGE = 'janusvln_ros'
_SHOWN = 3  # problems of a kind that are told one by one
_ROSIDL_SEPARATOR = '=' * 80 + '\n'


@dataclass(frozen=True)
class Topic:
    """A topic of a bag. `definition` and `digest` are empty where the bag has none."""

    name: str
    msgtype: str
    definition: str
    digest: str


RawMessage = tuple[Topic, int, bytes]  # topic, time of recording in ns, CDR bytes


class DamagedMessageError(ValueError):
    """A message whose bytes do not fit its type."""


class UnknownTypeError(ValueError):
    """A message type that neither the bag nor this installation defines."""


def standard_types() -> Typestore:
    """Make a store with the types of ROS 2 Jazzy and our own; FileNotFoundError as `share`."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types = {}
    for path in sorted((share() / 'msg').glob('*.msg')):
        types.update(get_types_from_msg(path.read_text(), f'{PACKAGE}/msg/{path.stem}'))
    store.register(types)
    return store


def types_for(
    definitions: dict[str, str], note: Callable[[str], None] = lambda problem: None
) -> Typestore:
    """
    Make a store that reads the given types, ours as their bag defines them.

    `definitions` maps a type's name to the definition recorded with it (rosbag2's text of
    concatenated .msg or .idl files), or to '' for a bag without. It counts for our own messages,
    since the bag may be older than they are, and for types that ROS 2 Jazzy does not have; one
    that is damaged is not used, of which `note` is told. Raises UnknownTypeError for a type that
    nobody defines. Register nothing in it: it may be the one that others read from.
    """
    standard = shared_types()
    recorded: dict[str, Any] = {}
    for name, text in definitions.items():
        if text and not _is_fixed(name, standard):
            try:
                recorded |= _whole(name, text, standard)
            # The parser, and the code made from damaged text, fail with almost any exception.
            except Exception as error:
                reason = ' '.join(str(error).split())[:100]
                note(f'the definition of {name} is damaged and not used ({reason})')
    store = standard
    if recorded:
        store = get_typestore(Stores.ROS2_JAZZY)  # made beforehand, which those of a bag are not
        ours = {n: d for n, d in standard.fielddefs.items() if n not in store.fielddefs}
        store.register(ours | recorded)
    for name in definitions:
        if name not in store.fielddefs:
            raise UnknownTypeError(
                f'type {name} is unknown: the bag does not define it, and neither do ROS 2 Jazzy '
                f'and {PACKAGE}'
            )
    return store


@lru_cache(maxsize=1)
def shared_types() -> Typestore:
    """Give the standard types to read from, not to register in; making them takes long."""
    return standard_types()


def shortened(problems: list[str]) -> list[str]:
    """Keep the first few of many alike."""
    if len(problems) <= _SHOWN:
        return problems
    return [*problems[:_SHOWN], f'... and {len(problems) - _SHOWN} more like it']


def _is_fixed(name: str, standard: Typestore) -> bool:
    """Tell types of ROS 2 itself, which are the same in all its versions that are in use."""
    return name in standard.fielddefs and not name.startswith(f'{PACKAGE}/')


def _whole(name: str, text: str, standard: Typestore) -> dict[str, Any]:
    """Parse a definition; fail with whatever exception unless messages can be read by it."""
    types = {n: d for n, d in _parse(name, text).items() if not _is_fixed(n, standard)}
    store = get_typestore(Stores.EMPTY)
    store.register(types)
    waiting, seen = [name], {name}
    while waiting:
        part = waiting.pop()
        if part not in store.fielddefs:
            store.register({part: standard.fielddefs[part]})
        inner = {one for _, kind in store.fielddefs[part][1] for one in _names(kind)} - seen
        waiting += inner
        seen |= inner
    store.get_msgdef(name)
    return types


def _names(kind: Any) -> list[str]:
    """List the message types in a field's description, which nests tuples of node and content."""
    node, content = kind
    if node == Nodetype.NAME:
        return [content]
    return _names(content[0]) if node in (Nodetype.ARRAY, Nodetype.SEQUENCE) else []


def _parse(name: str, text: str) -> dict[str, Any]:
    if not text.startswith(f'{_ROSIDL_SEPARATOR}IDL: '):
        return get_types_from_msg(text, name)
    types = {}
    for part in text.split(_ROSIDL_SEPARATOR)[1:]:
        types.update(get_types_from_idl(part.split('\n', 1)[1]))
    return types
