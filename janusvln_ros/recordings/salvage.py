"""
Read what is left of a bag that was cut or damaged, and bags without an index.

rosbags needs an intact footer and index. These readers go through the file from its start, in the
order of writing, and stop where it ends: MCAP record by record (mcap.dev/spec; messages of a chunk
that is cut in its middle included), sqlite3 row by row.
"""

from __future__ import annotations

from binascii import crc32
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
import sqlite3
import struct
import sys
from typing import Any, BinaryIO, Protocol
from urllib.parse import quote

from janusvln_ros.recordings.messages import RawMessage, Topic
from lz4.frame import LZ4FrameDecompressor

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_MAGIC = b'\x89MCAP0\r\n'
_FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _DATA_END = 0x02, 0x03, 0x04, 0x05, 0x06, 0x0F
_KNOWN_OPCODES = range(0x01, 0x10)
_PIECE = 1 << 18  # bytes decompressed at once


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes | memoryview, /) -> bytes: ...


class CutError(Exception):
    """The file ends, or goes wrong, at a place that the message names."""


def unpack(source: Path, target: Path) -> None:
    """
    Decompress a zstd file as far as it goes.

    Raises CutError, after having written what there was, when the file is cut or damaged.
    """
    with source.open('rb') as packed, target.open('wb') as plain:
        pieces = iter(lambda: packed.read(_PIECE), b'')
        for piece in _inflate(zstd.ZstdDecompressor(), pieces, zstd.ZstdError, str(source)):
            plain.write(piece)


class SalvagedMcap:
    """An MCAP file read from start to end. `ended` says where it was cut, None if it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.topics: list[Topic] = []
        self.ended: str | None = None
        for topic, _, _ in self._read():
            if topic not in self.topics:
                self.topics.append(topic)

    def messages(self, names: Collection[str]) -> Iterator[RawMessage]:
        """Give the messages of the named topics in the order of writing."""
        return (message for message in self._read() if message[0].name in names)

    def _read(self) -> Iterator[RawMessage]:
        schemas: dict[int, tuple[str, str]] = {}
        channels: dict[int, Topic] = {}
        try:
            with self._path.open('rb') as file:
                for opcode, body in _records(file, self._path):
                    place = file.tell()
                    if opcode == _SCHEMA:
                        number, name, _, text = _fields(body, 'Hsss')
                        schemas[number] = (name, text)
                    elif opcode == _CHANNEL:
                        number, schema, topic, encoding = _fields(body, 'HHss')
                        if encoding == 'cdr':
                            channels[number] = Topic(topic, *schemas.get(schema, ('', '')), '')
                    else:
                        number, _, time, _ = struct.unpack_from('<HIQQ', body)
                        if number in channels:
                            yield channels[number], time, bytes(body[22:])
        except CutError as cut:
            self.ended = str(cut)
        except struct.error:
            self.ended = (
                f'{self._path}: reading ended before byte {place}: a record is damaged, '
                'its fields do not fit into it'
            )


class SalvagedSqlite:
    """A sqlite3 file read row by row. `ended` says where it was cut, None if it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.ended: str | None = None
        try:
            self._database = _connect(path)
            definitions = self._definitions()
            rows = self._database.execute('SELECT id, name, type FROM topics').fetchall()
        except sqlite3.DatabaseError as error:
            raise CutError(f'{path}: not even the list of topics can be read ({error})') from None
        self._topics = {
            number: Topic(name, msgtype, definitions.get(msgtype, ''), '')
            for number, name, msgtype in rows
            if isinstance(name, str) and isinstance(msgtype, str)  # a damaged row holds anything
        }
        self.topics = list(self._topics.values())

    def messages(self, names: Collection[str]) -> Iterator[RawMessage]:
        """Give the messages of the named topics in the order of writing."""
        count = 0
        try:
            for number, time, data in self._database.execute(
                'SELECT topic_id, timestamp, data FROM messages ORDER BY id'
            ):
                count += 1
                topic = self._topics.get(number)
                if topic is not None and topic.name in names:
                    yield topic, time, data
        except sqlite3.DatabaseError as error:
            self.ended = f'{self._path}: reading ended after {count} messages ({error})'

    def _definitions(self) -> dict[str, str]:
        """Read the types' definitions, which bags older than ROS 2 Iron do not have."""
        query = 'SELECT topic_type, encoded_message_definition FROM message_definitions'
        definitions = {}
        try:
            for name, text in self._database.execute(query):
                if isinstance(text, str):
                    definitions[name] = text
        except sqlite3.DatabaseError:
            pass  # not there, or damaged: those of ROS 2 and ours are used
        return definitions


def _connect(path: Path) -> sqlite3.Connection:
    """Open for reading; with the write-ahead log of a killed recorder where it can be used."""
    place = quote(str(path.resolve()))
    for mode in ('mode=ro', 'immutable=1'):
        database = sqlite3.connect(f'file:{place}?{mode}', uri=True)
        database.text_factory = lambda text: text.decode('utf-8', 'replace')
        # Without this, SQLite refuses a file that is shorter than its header says.
        database.execute('PRAGMA writable_schema = ON')
        try:
            database.execute('SELECT count(*) FROM sqlite_master')
            break
        except sqlite3.DatabaseError:
            continue
    return database


def _records(file: BinaryIO, path: Path) -> Iterator[tuple[int, memoryview]]:
    """Give opcode and body of schemas, channels and messages, chunks opened."""
    magic = file.read(8)
    if magic and len(magic) < 8 and _MAGIC.startswith(magic):
        raise CutError(f'{path}: the file is cut after {len(magic)} bytes, within its MCAP magic')
    if magic != _MAGIC:
        raise CutError(f'{path}: this is no MCAP file (it does not begin with the MCAP magic)')
    while True:
        offset = file.tell()
        where = f'{path}: reading ended at byte {offset}'
        head = file.read(9)
        if len(head) < 9:
            raise CutError(f'{where}: the file is cut, it ends without a footer')
        opcode, length = struct.unpack('<BQ', head)
        if opcode not in _KNOWN_OPCODES and opcode < 0x80:
            raise CutError(f'{where}: 0x{opcode:02x} begins no MCAP record')
        body = memoryview(file.read(min(length, path.stat().st_size - offset - 9)))
        whole = len(body) == length
        if opcode in (_FOOTER, _DATA_END):
            return
        if opcode == _CHUNK:
            yield from _chunk(body, whole, where)
        elif whole and opcode in (_SCHEMA, _CHANNEL, _MESSAGE):
            yield opcode, body
        if not whole:
            raise CutError(f'{where}: the file is cut in a record of {length} bytes')


def _chunk(body: memoryview, whole: bool, where: str) -> Iterator[tuple[int, memoryview]]:
    """Give the records in a chunk, as many as there are."""
    try:
        _, _, size, checksum, compression, _ = _fields(body, 'QQQIsQ')
    except struct.error:
        return
    packed = body[28 + 4 + len(compression) + 8 :]
    inflaters: dict[str, tuple[Callable[[], _Decompressor], type[Exception]]] = {
        'zstd': (zstd.ZstdDecompressor, zstd.ZstdError),
        'lz4': (LZ4FrameDecompressor, RuntimeError),
    }
    if compression not in ('', *inflaters):
        raise CutError(f'{where}: a chunk is compressed by {compression!r}, which is unknown here')
    damage: CutError | None = None
    plain: bytearray | memoryview
    if compression:
        make, error = inflaters[compression]
        plain = bytearray()
        try:
            for piece in _inflate(make(), iter([packed]), error, where):
                plain += piece
        except CutError as cut:
            damage = cut
    else:
        plain = packed
    if whole and len(plain) == size and checksum and crc32(plain) != checksum:
        raise CutError(f'{where}: the checksum of a chunk is wrong, its bytes are damaged')
    yield from _chunk_records(memoryview(plain))
    if whole and damage:
        raise damage
    if whole and len(plain) != size:
        raise CutError(f'{where}: a chunk holds {len(plain)} bytes instead of {size}')


def _chunk_records(plain: memoryview) -> Iterator[tuple[int, memoryview]]:
    offset = 0
    while offset + 9 <= len(plain):
        opcode, length = struct.unpack_from('<BQ', plain, offset)
        offset += 9
        if offset + length > len(plain):
            return
        if opcode in (_SCHEMA, _CHANNEL, _MESSAGE):
            yield opcode, plain[offset : offset + length]
        offset += length


def _inflate(
    decompressor: _Decompressor,
    pieces: Iterator[bytes | memoryview],
    error: type[Exception],
    where: str,
) -> Iterator[bytes]:
    """Decompress piece by piece; raise CutError after the last good one."""
    try:
        for piece in pieces:
            yield decompressor.decompress(piece)
            if decompressor.eof:
                return
    except error as reason:
        raise CutError(f'{where}: compressed data is damaged ({reason})') from None
    raise CutError(f'{where}: compressed data is cut')


def _fields(body: memoryview, layout: str) -> list[Any]:
    """Unpack little-endian fields: H, I, Q as in struct, s a string with its length before it."""
    values: list[Any] = []
    offset = 0
    for kind in layout:
        (value,) = struct.unpack_from('<I' if kind == 's' else f'<{kind}', body, offset)
        offset += 4 if kind == 's' else struct.calcsize(f'<{kind}')
        if kind == 's':
            (value,) = struct.unpack_from(f'<{value}s', body, offset)
            offset += len(value)
            value = value.decode('utf-8', 'replace')
        values.append(value)
    return values
