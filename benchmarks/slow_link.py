"""
A slow, lossy link to a network namespace: IP packets, forwarded in time by this process.

As `tc netem rate 2mbit delay 100ms loss 2%` in a namespace, for kernels without netem: two TUN
devices, and between them what a link does to packets. TCP is the kernel's own. Root only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
import contextlib
import fcntl
import os
import random
import select
import struct
import subprocess
import threading
import time

SPACE, OURS, THEIRS = 'console_link', '10.213.7.1', '10.213.7.2'
RATE, DELAY, LOSS = 2e6, 0.1, 0.02  # bit/s, s on the way there, share of packets either way
_QUEUE = 1000  # packets, as netem has
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


class Way:
    """Packets that are on their way in one direction."""

    def __init__(self, source: int, target: int, delay: float, seed: int) -> None:
        self.source, self._target, self._delay = source, target, delay
        self._chance = random.Random(seed)
        self._sent_at = 0.0  # when the last packet has left
        self._under_way: deque[tuple[float, bytes]] = deque()

    def take(self, now: float) -> None:
        """Take a packet, or lose it."""
        packet = os.read(self.source, 1 << 16)
        if len(self._under_way) < _QUEUE:
            self._sent_at = max(now, self._sent_at) + 8.0 * len(packet) / RATE
            if self._chance.random() >= LOSS:
                self._under_way.append((self._sent_at + self._delay, packet))

    def deliver(self, now: float) -> float:
        """Deliver what has arrived; return how long (s) until the next does, at most 0.1."""
        while self._under_way and self._under_way[0][0] <= now:
            os.write(self._target, self._under_way.popleft()[1])
        return min(0.1, self._under_way[0][0] - now) if self._under_way else 0.1


def _tun(name: str) -> int:
    device = os.open('/dev/net/tun', os.O_RDWR)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack('16sH', name.encode(), _IFF_TUN | _IFF_NO_PI))
    return device


def _forward(ways: tuple[Way, Way], ended: threading.Event) -> None:
    wait = 0.0
    while not ended.is_set():
        ready = select.select([way.source for way in ways], [], [], wait)[0]
        now = time.monotonic()
        for way in ways:
            if way.source in ready:
                way.take(now)
        wait = max(0.0, min(way.deliver(now) for way in ways))


@contextlib.contextmanager
def slow_link() -> Iterator[list[str]]:
    """Give the words that run a command at the other end, THEIRS; this end is OURS."""

    def run(words: str) -> None:
        subprocess.run(words.split(), check=True)

    run(f'ip netns add {SPACE}')
    ended = threading.Event()
    near, far = _tun('cl0'), _tun('cl1')
    ways = Way(near, far, DELAY, 1), Way(far, near, 0.0, 2)
    thread = threading.Thread(target=_forward, args=(ways, ended))
    try:
        run(f'ip link set cl1 netns {SPACE}')
        for where, device, address in (('', 'cl0', OURS), (f'-n {SPACE}', 'cl1', THEIRS)):
            run(f'ip {where} addr add {address}/24 dev {device}')
            run(f'ip {where} link set {device} up')
        thread.start()
        yield ['ip', 'netns', 'exec', SPACE]
    finally:
        ended.set()
        if thread.ident is not None:
            thread.join()
        os.close(near)
        os.close(far)
        run(f'ip netns del {SPACE}')
