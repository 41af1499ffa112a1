"""
Cut a piece out of a bag, which may still be written.

    python -m janusvln_ros.recordings.cut BAG NEW BEGIN END     # s since 1970
"""

from __future__ import annotations

from pathlib import Path
import sys

from janusvln_ros.recordings.bag import Bag, BagError
from janusvln_ros.recordings.topics import is_latched
from janusvln_ros.recordings.writer import BagWriter

_DISORDER = 10_000_000_000  # ns that a message may be written after a newer one


def cut(source: Path, target: Path, begin: float, end: float) -> None:
    """
    Write what was recorded between two times (s since 1970) into a new bag of one MCAP file.

    What is latched by then comes first. ValueError for a bag that cannot be read, and when nothing
    was recorded in that time.
    """
    first, last = int(begin * 1e9), int(end * 1e9)
    latched: dict[str, tuple[str, str, bytes]] = {}
    count = 0
    with Bag(source) as bag, BagWriter(target) as writer:
        for topic in bag.topics.values():
            writer.add_topic(topic.name, topic.msgtype, topic.definition, topic.digest)
        for topic, time, data in bag.messages():
            if time < first:
                if is_latched(topic.name):
                    latched[topic.name] = topic.name, topic.msgtype, data
            elif time <= last:
                for held in latched.values():
                    writer.write(*held, first)
                latched.clear()
                writer.write(topic.name, topic.msgtype, data, time)
                count += 1
            elif time > last + _DISORDER:
                break
    if not count:
        raise ValueError(f'{source} has nothing of that time')


if __name__ == '__main__':
    try:
        cut(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
    except (BagError, ValueError, OSError) as error:
        sys.exit(str(error))
