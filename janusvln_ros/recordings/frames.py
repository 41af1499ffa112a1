"""Where frames come from: a bag, a folder of pictures, a video."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import av
import cv2
from janusvln_ros.imaging.encodings import ImageError, to_rgb
from janusvln_ros.recordings.bag import Bag, by_number
from janusvln_ros.recordings.messages import DamagedMessageError, RawMessage, shortened
from janusvln_ros.recordings.timeline import stamp_of
import numpy as np

PICTURES = ('.bmp', '.jpeg', '.jpg', '.png', '.ppm', '.tif', '.tiff', '.webp')
VIDEOS = ('.avi', '.m4v', '.mkv', '.mov', '.mp4', '.webm')


class FrameError(ValueError):
    """A picture or video that cannot be read; names it."""


@dataclass(frozen=True)
class Frame:
    """
    One image of a source, decoded only when asked for.

    `index` counts from 0. `stamp` is the image's in ns, None where the source has no times;
    `logged` is when it was recorded, in ns (for files the same as the stamp, or the index).
    `rgb` gives uint8 (H, W, 3) and raises ImageError for a damaged picture.
    """

    index: int
    stamp: int | None
    logged: int
    rgb: Callable[[], np.ndarray]
    frame_id: str = ''


class ImageReader:
    """Turn the messages of one image topic into frames, and notice stamps that jump back."""

    def __init__(self, bag: Bag, topic: str) -> None:
        self._decode = bag.decoder([topic])
        self._topic = topic
        self.frame_count = 0
        self._last: int | None = None
        self._problems: list[str] = []

    @property
    def problems(self) -> list[str]:
        """Tell what went wrong with the images so far."""
        return shortened(self._problems)

    def frame(self, message: RawMessage) -> Frame | None:
        """Read one message; None for one that is too damaged to have a stamp."""
        logged = message[1]
        index = self.frame_count
        self.frame_count += 1
        try:
            image = self._decode(message)
        except DamagedMessageError as error:
            self._problems.append(
                f'image {index} of {self._topic}, recorded at {logged / 1e9:.3f} s, is damaged '
                f'and left out ({error})'
            )
            return None
        stamp = stamp_of(image)
        if self._last is not None and stamp < self._last:
            self._problems.append(
                f'stamps jump back by {(self._last - stamp) / 1e9:.3f} s at image {index} of '
                f'{self._topic}; images are used in the order of recording'
            )
        self._last = stamp
        return Frame(index, stamp, logged, lambda: to_rgb(image), image.header.frame_id)


def folder_frames(folder: Path) -> Iterator[Frame]:
    """Give the pictures of a folder in the order of their names (frame_2 before frame_10)."""
    for index, path in enumerate(picture_files(folder)):
        yield Frame(index, None, index, partial(_read_picture, path))


def picture_files(folder: Path) -> list[Path]:
    """List the pictures of a folder in natural order."""
    files = [p for p in folder.iterdir() if p.suffix.lower() in PICTURES and p.name[0] != '.']
    return sorted(files, key=by_number)


def _read_picture(path: Path) -> np.ndarray:
    # imdecode, because imread cannot open every file name on every system.
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB)
    if picture is None:
        raise ImageError(f'{path} is no picture that can be read')
    return picture


def video_frames(path: Path) -> Iterator[Frame]:
    """
    Give the frames of a video's first stream with their times since its start.

    Raises FrameError when it cannot be opened; a video that is cut ends where it is cut.
    """
    with _open_video(path) as container:
        stream = container.streams.video[0]
        first: int | None = None
        for index, picture in enumerate(_decoded(container, stream)):
            time = index if picture.pts is None else picture.pts
            first = time if first is None else first
            stamp = round((time - first) * stream.time_base * 10**9)
            yield Frame(index, stamp, stamp, partial(picture.to_ndarray, format='rgb24'))


def _open_video(path: Path) -> av.container.InputContainer:
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise FrameError(f'{path} cannot be opened as a video: {error}') from None
    if not container.streams.video:
        container.close()
        raise FrameError(f'{path} has no pictures in it, only other streams')
    return container


def _decoded(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[av.VideoFrame]:
    try:
        yield from container.decode(stream)
    except av.FFmpegError:
        return


def frame_count(path: Path) -> int | None:
    """Count the frames of a folder or video; None where a video does not say."""
    if path.is_dir():
        return len(picture_files(path))
    with _open_video(path) as container:
        return container.streams.video[0].frames or None
