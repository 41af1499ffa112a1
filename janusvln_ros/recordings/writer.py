"""
Write a bag of a run: the part of recording that knows the format and nothing of rclpy.

A node records by subscribing raw, which hands over the bytes as they came from the wire:

    writer = BagWriter('out/bag', storage='mcap')

    def subscribe(topic: str, msg_class: type, msgtype: str) -> None:
        node.create_subscription(
            msg_class, topic,
            lambda data: writer.write(topic, msgtype, data, node.get_clock().now().nanoseconds),
            qos, raw=True)

    ...
    writer.close()          # or: with BagWriter('out/bag') as writer: ...

Which topics to subscribe stands in `topics.TOPICS`. Subscribe images reliably and with a deep
queue (50): a frame that a decision was taken from and that is not in the bag cannot be replayed.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
import threading
from typing import Any

from janusvln_ros.recordings.messages import shared_types
from janusvln_ros.recordings.topics import is_latched
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
_UNKNOWN_HASH = 'RIHS01_' + '0' * 64
_FOREVER = QosTime(9223372036, 854775807)


class BagWriter(AbstractContextManager['BagWriter']):
    """
    A rosbag2 folder (MCAP or sqlite3) being written; safe to call from several threads.

    `path` must not exist yet (FileExistsError); `compress` packs MCAP chunks by zstd, which costs
    processor time and shrinks raw images to a third or less (not available for sqlite3). Until
    `close` has run the folder has no metadata.yaml; an MCAP file cut there is still readable by
    `janusvln replay`, a sqlite3 one is empty.
    """

    def __init__(self, path: Path | str, storage: str = 'mcap', *, compress: bool = False) -> None:
        if storage not in STORAGES:
            raise ValueError(f'storage {storage!r} is not one of {sorted(STORAGES)}')
        if compress and storage != 'mcap':
            raise ValueError('compressed recording needs the mcap storage')
        if Path(path).exists():
            raise FileExistsError(f'{path} exists already: name a folder that does not')
        # Version 8 is the newest that Humble reads.
        self._writer = Writer(path, version=8, storage_plugin=STORAGES[storage])
        if compress:
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._types = shared_types()
        self._connections: dict[str, Connection] = {}
        self._lock = threading.Lock()
        self._open = True
        # SQLite wants all calls from the thread that opened the file.
        self._worker = ThreadPoolExecutor(1, 'bag')
        self._run(self._writer.open)

    @property
    def path(self) -> Path:
        """Folder of the bag."""
        return self._writer.path

    def add_topic(
        self, topic: str, msgtype: str, definition: str | None = None, digest: str | None = None
    ) -> None:
        """
        Announce a topic before its first message; also makes it appear when it stays silent.

        Types that are neither of ROS 2 Jazzy nor ours need their `definition` (rosbag2's text of
        concatenated .msg files; '' writes none) and `digest` (RIHS01). ValueError without.
        """
        with self._lock:
            self._run(self._connect, topic, msgtype, definition, digest)

    def write(self, topic: str, msgtype: str, data: bytes | memoryview, time_ns: int) -> None:
        """
        Append one message.

        `topic` is its full name, `data` its CDR bytes, `time_ns` when it was received, in
        nanoseconds of the ROS clock. Messages that arrive after `close` are dropped, since
        callbacks may still be running then.
        """
        with self._lock:
            if self._open:
                self._run(self._write, topic, msgtype, data, time_ns)

    def write_message(self, topic: str, message: Any, time_ns: int) -> None:
        """Append a message object made by rosbags (its class knows its type)."""
        msgtype = message.__msgtype__
        self.write(topic, msgtype, self._types.serialize_cdr(message, msgtype), time_ns)

    def message_class(self, msgtype: str) -> type:
        """Give the class whose objects `write_message` takes, for example for tests."""
        return self._types.types[msgtype]

    def close(self) -> None:
        """Write index and metadata.yaml; a second call does nothing."""
        with self._lock:
            if self._open:
                self._open = False
                self._run(self._writer.close)
                self._worker.shutdown()

    def __exit__(self, *_: object) -> None:
        """Close the bag, also after an error: what was recorded until then is kept."""
        self.close()

    def _run(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function in the writing thread; its exceptions come out here."""
        self._worker.submit(function, *arguments).result()

    def _write(self, topic: str, msgtype: str, data: bytes | memoryview, time_ns: int) -> None:
        connection = self._connections.get(topic) or self._connect(topic, msgtype)
        self._writer.write(connection, time_ns, data)

    def _connect(
        self, topic: str, msgtype: str, definition: str | None = None, digest: str | None = None
    ) -> Connection:
        known = msgtype in self._types.fielddefs
        if definition is None and not known:
            raise ValueError(
                f'type {msgtype} of topic {topic} is neither of ROS 2 Jazzy nor ours: '
                'call add_topic with its definition first'
            )
        if not definition and known:
            definition, _ = self._types.generate_msgdef(msgtype, ros_version=2)
            digest = self._types.hash_rihs01(msgtype)
        self._connections[topic] = self._writer.add_connection(
            topic,
            msgtype,
            msgdef=definition,
            rihs01=digest or _UNKNOWN_HASH,
            offered_qos_profiles=[_qos(is_latched(topic))],
        )
        return self._connections[topic]


def _qos(latched: bool) -> Qos:
    """Reliable: as a publisher it matches every subscriber when the bag is played."""
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=10,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=_FOREVER,
        lifespan=_FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_FOREVER,
        avoid_ros_namespace_conventions=False,
    )
