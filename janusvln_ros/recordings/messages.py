"""Messages of a bag and their types, without ROS."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
import os
from pathlib import Path
from typing import Any

from rosbags.typesys import (
    get_types_from_idl,
    get_types_from_msg,
    get_typestore,
    Stores,
    TypesysError,
)
from rosbags.typesys.store import Typestore

PACKAGE = 'janusvln_ros'
_ROSIDL_SEPARATOR = '=' * 80 + '\n'


@dataclass(frozen=True)
class Topic:
    """A topic of a bag. `definition` and `digest` are empty where the bag has none."""

    name: str
    msgtype: str
    definition: str
    digest: str


RawMessage = tuple[Topic, int, bytes]  # topic, time of recording in ns, CDR bytes


class UnknownTypeError(ValueError):
    """A message type that neither the bag nor this installation defines."""


def message_folder() -> Path:
    """
    Find the folder with our own *.msg files: in the source tree or in the installed share folder.

    Raises FileNotFoundError that names the places looked at.
    """
    here = Path(__file__).resolve()
    places = [here.parents[2] / 'msg']
    places += [parent / 'share' / PACKAGE / 'msg' for parent in here.parents]
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    places += [Path(prefix, 'share', PACKAGE, 'msg') for prefix in prefixes if prefix]
    for place in places:
        if (place / 'NavigationAction.msg').is_file():
            return place
    looked = ', '.join(str(place) for place in places)
    raise FileNotFoundError(f'the message definitions of {PACKAGE} are in none of: {looked}')


def standard_types() -> Typestore:
    """Make a store with the types of ROS 2 Jazzy and our own."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types = {}
    for path in sorted(message_folder().glob('*.msg')):
        types.update(get_types_from_msg(path.read_text(), f'{PACKAGE}/msg/{path.stem}'))
    store.register(types)
    return store


def types_for(definitions: dict[str, str]) -> Typestore:
    """
    Make a store that reads the given types as their bag defines them.

    `definitions` maps a type's name to the definition recorded with it (rosbag2's text of
    concatenated .msg or .idl files), or to '' for a bag without: that type, and one whose
    definition cannot be parsed, is then taken from `standard_types`. A recorded definition goes
    first, because the bag may be older than our messages. Raises UnknownTypeError for a type that
    nobody defines.
    """
    store = get_typestore(Stores.EMPTY)
    recorded = {}
    for name, text in definitions.items():
        if text:
            with suppress(TypesysError):
                recorded.update(_parse(name, text))
    if recorded:
        store.register(recorded)
    standard = standard_types()
    missing = {n: d for n, d in standard.fielddefs.items() if n not in store.fielddefs}
    store.register(missing)
    for name in definitions:
        if name not in store.fielddefs:
            raise UnknownTypeError(
                f'type {name} is unknown: the bag does not define it, and neither do ROS 2 Jazzy '
                f'and {PACKAGE}'
            )
    return store


def _parse(name: str, text: str) -> dict[str, Any]:
    if not text.startswith(f'{_ROSIDL_SEPARATOR}IDL: '):
        return get_types_from_msg(text, name)
    types = {}
    for part in text.split(_ROSIDL_SEPARATOR)[1:]:
        types.update(get_types_from_idl(part.split('\n', 1)[1]))
    return types
