"""Pictures for viewers: encoded once for all of a kind, one under way to each, newest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
import struct

import cv2
import numpy as np

HEADER = struct.Struct('<IId')  # number, level, stamp (s)
LEVELS = ((960, 80), (640, 60), (480, 45), (320, 40), (320, 20), (160, 25))  # widest, quality
_THUMBNAIL = (320, 60)
_FIRST = 3  # level: small enough to tell how quick a link is
_SLOW, _QUICK = 0.20, 0.06  # s that a picture takes longer than the quickest one did
_WINDOW, _BAD = 8, 2  # of so many pictures so many were slow: the next are worse
_PATIENCE = 4, 64  # quick ones after which a better level is tried: at first, and at most


@dataclass(frozen=True)
class Frame:
    """
    A picture as it came.

    number counts them; stamp: s, by the clock of the robot; arrived: s, by our own; rgb gives the
    pixels, uint8 (H, W, 3), and may take a while.
    """

    number: int
    stamp: float
    arrived: float
    rgb: Callable[[], np.ndarray]


def encode(rgb: np.ndarray, widest: int, quality: int) -> bytes:
    """Return a picture, uint8 (H, W, 3), as a JPEG, not more than `widest` pixels across."""
    scale = widest / rgb.shape[1]
    if scale < 1.0:
        size = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode('.jpg', rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return jpeg.tobytes()


def thumbnail(rgb: np.ndarray) -> bytes:
    """Return the JPEG that the timeline keeps of a decision."""
    return encode(rgb, *_THUMBNAIL)


class Encoder:
    """Encodes the newest frame in a thread, once for each level that somebody wants."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix='jpeg')
        self._made: dict[tuple[int, int], Future[bytes]] = {}

    def message(self, frame: Frame, level: int) -> Future[bytes]:
        """Return what is sent of a frame: the header, then the JPEG; ValueError for a bad one."""
        key = (frame.number, level)
        if key not in self._made:
            if any(number != frame.number for number, _ in self._made):
                self._made.clear()
            self._made[key] = self._pool.submit(self._encode, frame, level)
        return self._made[key]

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    def _encode(frame: Frame, level: int) -> bytes:
        return HEADER.pack(frame.number, level, frame.stamp) + encode(frame.rgb(), *LEVELS[level])


class Pace:
    """
    What one viewer gets: one picture at a time, as large as its link carries in time.

    seen: the newest frame that it has drawn. latency: s, from the stamp until we heard of that.
    """

    def __init__(self) -> None:
        self._best, self.level = 0, _FIRST
        self.seen: Frame | None = None
        self.latency = float('nan')
        self._under_way: tuple[Frame, float] | None = None
        self._quickest = float('inf')
        self._longer: deque[float] = deque(maxlen=_WINDOW)  # than the quickest took, at this level
        self._quick, self._patience = 0, _PATIENCE[0]

    def limit(self, best: int) -> None:
        """Send none better than a level; what is under way stays so."""
        self._best, self.level = best, max(best, _FIRST)

    def wants(self, frame: Frame | None) -> bool:
        """Tell whether a frame should be sent now."""
        newest = self.seen.number if self.seen else -1
        return frame is not None and self._under_way is None and frame.number > newest

    def sent(self, frame: Frame, now: float) -> None:
        """Note that a frame is under way."""
        self._under_way = (frame, now)

    def skipped(self) -> None:
        """Note that it could not be sent."""
        self._under_way = None

    def on_seen(self, number: int, now: float, clock: float) -> None:
        """
        Take a viewer's word that it has drawn a picture; ValueError for one that was not sent.

        now: s, by our clock; clock: s, by the robot's.
        """
        if self._under_way is None or self._under_way[0].number != number:
            raise ValueError('a picture that was not sent cannot have been seen')
        (self.seen, sent_at), self._under_way = self._under_way, None
        self.latency = clock - self.seen.stamp
        self._adapt(now - sent_at)

    def _adapt(self, took: float) -> None:
        """Choose the next level; a better one after ever more quick ones, if it was too much."""
        self._quickest = min(self._quickest, took)
        longer = took - self._quickest
        self._longer.append(longer)
        self._quick = self._quick + 1 if longer < _QUICK else 0
        level = self.level
        if sum(one > _SLOW for one in self._longer) >= _BAD:
            level, self._patience = level + 1, min(2 * self._patience, _PATIENCE[1])
        elif self._quick >= self._patience:
            level -= 1
        level = min(max(level, self._best), len(LEVELS) - 1)
        if level != self.level:
            self.level, self._quick = level, 0
            self._longer.clear()
