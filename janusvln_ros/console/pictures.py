"""Pictures for viewers: encoded once for all of a kind, one under way to each, newest first."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
import struct

import cv2
import numpy as np

HEADER = struct.Struct('<IId')  # number, level, stamp (s)
LEVELS = ((960, 80), (640, 60), (480, 45), (320, 40), (320, 20), (160, 25))  # widest, quality
_THUMBNAIL = (320, 60)
_SLOW, _QUICK = 0.30, 0.12  # s from sending a picture until it has been seen
_PATIENCE = 8  # quick ones after which a better level is tried


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

    def __init__(self, level: int = 0) -> None:
        self.level = self._best = level
        self.seen: Frame | None = None
        self.latency = float('nan')
        self._under_way: tuple[Frame, float] | None = None
        self._quick = 0

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
        took = now - sent_at
        self._quick = self._quick + 1 if took < _QUICK else 0
        if took > _SLOW:
            self.level = min(self.level + 1, len(LEVELS) - 1)
        elif self._quick >= _PATIENCE:
            self.level, self._quick = max(self.level - 1, self._best), 0
