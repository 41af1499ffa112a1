"""Write RGB frames to an H.264 MP4 file that browsers play."""

from __future__ import annotations

from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


class VideoWriter(AbstractContextManager['VideoWriter']):
    """
    An MP4 file that grows frame by frame and is playable once closed.

    size is (width, height) in pixels; H.264 in 4:2:0 needs even numbers, so an odd last row or
    column is left out. Raises ValueError for a frame of another size.
    """

    def __init__(self, path: str | Path, fps: float, size: tuple[int, int]) -> None:
        self._size = size
        self._container = av.open(str(path), 'w', format='mp4', options={'movflags': 'faststart'})
        self._stream = self._container.add_stream(
            'libx264',
            rate=Fraction(fps).limit_denominator(1001),
            options={'crf': '20', 'preset': 'veryfast'},
        )
        self._stream.width, self._stream.height = (side // 2 * 2 for side in size)
        self._stream.pix_fmt = 'yuv420p'
        self._stream.codec_context.thread_count = 1  # the policy needs the other cores
        self._open = True

    def write(self, rgb: np.ndarray) -> None:
        """Append one frame: uint8 (height, width, 3)."""
        if rgb.shape != (self._size[1], self._size[0], 3):
            raise ValueError(
                f'frame of shape {rgb.shape} in a video of {self._size[0]}x{self._size[1]} pixels'
            )
        even = np.ascontiguousarray(rgb[: self._stream.height, : self._stream.width])
        frame = av.VideoFrame.from_ndarray(even, format='rgb24')
        try:
            self._container.mux(self._stream.encode(frame))
        except OSError:
            self._open = False  # finishing a file on a full disk makes libav crash
            raise

    def close(self) -> None:
        """Write what is still in the encoder and finish the file; may be called again."""
        if self._open:
            self._open = False
            self._container.mux(self._stream.encode())
            self._container.close()

    def __exit__(self, *_: object) -> None:
        self.close()
