"""Write RGB frames to an H.264 MP4 file that browsers play, and read frames of any video."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


class VideoWriter(AbstractContextManager['VideoWriter']):
    """
    An MP4 file that grows frame by frame and is playable once closed.

    size is (width, height) in pixels; H.264 in 4:2:0 needs even numbers, so an odd last row or
    column is left out. key_frames: from one frame that is found without others to the next, None
    for what is smallest. Raises ValueError for a frame of another size.
    """

    def __init__(
        self, path: str | Path, fps: float, size: tuple[int, int], key_frames: int | None = None
    ) -> None:
        self._size = size
        self._container = av.open(str(path), 'w', format='mp4', options={'movflags': 'faststart'})
        self._stream = self._container.add_stream(
            'libx264',
            rate=Fraction(fps).limit_denominator(1001),
            options={'crf': '20', 'preset': 'veryfast'},
        )
        self._stream.width, self._stream.height = (side // 2 * 2 for side in size)
        self._stream.pix_fmt = 'yuv420p'
        if key_frames is not None:
            self._stream.codec_context.gop_size = key_frames
            self._stream.codec_context.max_b_frames = 0
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


def frames_at(path: Path, times: Sequence[float], within: float) -> Iterator[np.ndarray]:
    """
    Give a video's frames nearest to times (s, ascending), uint8 (height, width, 3).

    Two frames are held. Raises ValueError naming a file that is missing or no video, and where it
    has no frame within so many seconds of a time.
    """
    left = deque(times)
    if not path.is_file():
        raise ValueError(f'{path} is missing')
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.time_base is not None
            container.seek(max(0, int((left[0] - within) / stream.time_base)), stream=stream)
            before: av.VideoFrame | None = None
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    continue
                while left and frame.time is not None and frame.time >= left[0]:
                    yield _nearest(path, before, frame, left.popleft(), within)
                if not left:
                    return
                before = frame
            while left:
                yield _nearest(path, before, before, left.popleft(), within)
    except (av.FFmpegError, IndexError) as error:
        raise ValueError(f'{path} is no video, or damaged: {error}') from error


def _nearest(
    path: Path,
    before: av.VideoFrame | None,
    after: av.VideoFrame | None,
    time: float,
    within: float,
) -> np.ndarray:
    found = [
        (abs(frame.time - time), frame)
        for frame in (before, after)
        if frame is not None and frame.time is not None
    ]
    off, frame = min(found, key=lambda one: one[0], default=(within + 1, None))
    if frame is None or off > within:
        raise ValueError(f'{path} lacks frames')
    rgb: np.ndarray = frame.to_ndarray(format='rgb24')
    return rgb
