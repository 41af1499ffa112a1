"""Open a bag, whole or damaged, and stream its messages."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
import re
import sys
from tempfile import TemporaryDirectory
from typing import Any

from janusvln_ros.recordings.messages import DamagedMessageError, RawMessage, Topic, types_for
from janusvln_ros.recordings.salvage import CutError, SalvagedMcap, SalvagedSqlite, unpack
from rosbags.rosbag2 import Reader
from rosbags.typesys.store import Typestore

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_STORAGES: dict[str, type[SalvagedMcap] | type[SalvagedSqlite]] = {
    '.mcap': SalvagedMcap,
    '.db3': SalvagedSqlite,
}
_COMPRESSED = ('.zstd', '.zst')
_ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'


class BagError(ValueError):
    """A bag that cannot be read at all; the message says why."""


def is_bag(path: Path) -> bool:
    """Tell whether a path looks like a bag: by its files' names, not by their content."""
    if path.is_dir():
        return (path / 'metadata.yaml').exists() or bool(_storage_files(path))
    return path.suffix == '.bag' or _storage_suffix(path) in _STORAGES


class Bag(AbstractContextManager['Bag']):
    """
    A rosbag2 folder or a single storage file: MCAP or sqlite3, zstd-compressed or not.

    It is read by rosbags where that succeeds. A file that is cut, damaged or without an index, and
    a folder without metadata.yaml, are read from their start as far as they go, in the order of
    writing; `problems` then says where reading ended, complete once `messages` is exhausted.
    `topics` maps names to topics, `counts` to numbers of messages where they are known. Memory use
    does not grow with the bag. Raises BagError when there is nothing to read.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.problems: list[str] = []
        self.topics: dict[str, Topic] = {}
        self.counts: dict[str, int] = {}
        self._stores: dict[tuple[tuple[str, str], ...], Typestore] = {}
        self._resources = ExitStack()
        self._messages: Callable[[Collection[str]], Iterator[RawMessage]]
        if not self.path.exists():
            raise BagError(f'{path} does not exist')
        if self.path.suffix == '.bag':
            raise BagError(
                f'{path} is a bag of ROS 1; convert it: rosbags-convert --src {path} --dst NEW'
            )
        try:
            self._open_whole()
        # A damaged file fails in rosbags with almost any exception; what it means is the same.
        except Exception as reason:
            self._open_damaged(reason)

    def messages(self, names: Collection[str] = ()) -> Iterator[RawMessage]:
        """
        Stream the messages of the named topics (all by default), oldest first.

        Ends early where the bag is damaged, which `problems` then tells.
        """
        for topic, time, data in self._messages(names or self.topics.keys()):
            if not isinstance(data, bytes | bytearray | memoryview) or not isinstance(time, int):
                self._note(f'{self.path}: messages of {topic.name} without bytes are left out')
                continue
            # CDR begins with a zero byte, so that a compressed message cannot be taken for one.
            if data[:4] == _ZSTD_MAGIC:
                try:
                    data = zstd.decompress(data)
                except zstd.ZstdError as error:
                    self._note(f'reading ended at a damaged message of {topic.name} ({error})')
                    return
            yield topic, time, data

    def decoder(self, names: Collection[str]) -> Callable[[RawMessage], Any]:
        """
        Make a function that turns raw messages of the named topics into objects.

        Raises UnknownTypeError for a topic of a type that is not defined anywhere; the function
        raises DamagedMessageError.
        """
        topics = [self.topics[name] for name in names]
        kinds = tuple(sorted({(topic.msgtype, topic.definition) for topic in topics}))
        store = self._stores.get(kinds)
        if store is None:
            store = self._stores[kinds] = types_for(
                dict(kinds), lambda problem: self._note(f'{self.path}: {problem}')
            )

        def decode(message: RawMessage) -> Any:
            try:
                return store.deserialize_cdr(message[2], message[0].msgtype)
            # Lengths and texts that are none fail in as many ways as there are fields.
            except Exception as error:
                raise DamagedMessageError(f'{type(error).__name__}: {error}') from None

        return decode

    def listing(self) -> str:
        """List the topics and their types for messages to the user."""
        topics = [f'{topic.name} ({topic.msgtype})' for topic in self.topics.values()]
        return ', '.join(sorted(topics)) or 'no topics'

    def close(self) -> None:
        """Close files and remove what was decompressed."""
        self._resources.close()

    def __exit__(self, *_: object) -> None:
        """Close the bag."""
        self.close()

    def _note(self, problem: str) -> None:
        """Remember a problem once, since a bag is read several times."""
        if problem not in self.problems:
            self.problems.append(problem)

    def _open_whole(self) -> None:
        with ExitStack() as stack:
            reader = stack.enter_context(Reader(self.path))
            files = getattr(reader.storage, 'storages', [reader.storage])
            if any(getattr(file, 'chunks', True) == [] for file in files):
                # rosbags refuses files without an index when their times are not in order.
                raise CutError('there is no index')
            for c in reader.connections:
                self.topics.setdefault(c.topic, Topic(c.topic, c.msgtype, c.msgdef.data, c.digest))
                self.counts[c.topic] = self.counts.get(c.topic, 0) + c.msgcount
            self._resources = stack.pop_all()

        def messages(names: Collection[str]) -> Iterator[RawMessage]:
            chosen = [c for c in reader.connections if c.topic in names]
            count, time = 0, 0
            try:
                for connection, time, data in reader.messages(chosen) if chosen else ():
                    count += 1
                    yield self.topics[connection.topic], time, data
            except GeneratorExit:
                raise
            except Exception as error:
                self._note(
                    f'{self.path}: reading ended after {count} messages, the last of them '
                    f'recorded at {time / 1e9:.3f} s ({error})'
                )

        self._messages = messages

    def _open_damaged(self, reason: Exception) -> None:
        files = _storage_files(self.path) if self.path.is_dir() else [self.path]
        if not files:
            raise BagError(f'{self.path} holds no .mcap or .db3 file ({reason})') from None
        parts = []
        for file in files:
            if file.stat().st_size == 0:
                self._note(f'{file} is empty (0 bytes)')
                break
            try:
                part = self._salvage(file)
            except CutError as cut:
                self._note(str(cut))
                break
            parts.append(part)
            for topic in part.topics:
                self.topics.setdefault(topic.name, topic)
            if part.ended:
                self._note(part.ended)
                break
        if not self.topics:
            if not self.problems:
                raise BagError(f'{self.path} is empty: it has no topics')
            raise BagError(
                f'{"; ".join(self.problems)}. Nothing of the bag can be read: is there another '
                'copy of it?'
            )

        def messages(names: Collection[str]) -> Iterator[RawMessage]:
            for part in parts:
                yield from part.messages(names)
                if part.ended:
                    self._note(part.ended)
                    return

        self._messages = messages

    def _salvage(self, file: Path) -> SalvagedMcap | SalvagedSqlite:
        """Open one storage file; CutError when nothing of it can be read."""
        suffix = _storage_suffix(file)
        if suffix not in _STORAGES:
            raise BagError(f'{file} is no bag: its name ends neither in .mcap nor in .db3')
        if file.suffix in _COMPRESSED:
            folder = self._resources.enter_context(TemporaryDirectory())
            plain = Path(folder, file.stem)
            try:
                unpack(file, plain)
            except CutError as cut:
                self._note(str(cut))
            file = plain
        part = _STORAGES[suffix](file)
        if part.ended and not part.topics:
            raise CutError(part.ended)
        return part


def _storage_suffix(path: Path) -> str:
    return Path(path.stem).suffix if path.suffix in _COMPRESSED else path.suffix


def _storage_files(folder: Path) -> list[Path]:
    """List storage files in the order of their numbers: bag_2 goes before bag_10."""
    files = [path for path in folder.iterdir() if _storage_suffix(path) in _STORAGES]
    return sorted(files, key=by_number)


def by_number(path: Path) -> list[tuple[int, str]]:
    """Give what sorts files by the numbers in their names."""
    parts = re.split(r'(\d+)', path.name)
    return [(int(part), '') if part.isdigit() else (-1, part) for part in parts]
