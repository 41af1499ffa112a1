"""
Turn ROS image messages into RGB arrays.

Works on anything that has the fields of sensor_msgs/Image or sensor_msgs/CompressedImage: messages
of rclpy and of rosbags alike. The conversion is cv_bridge's where cv_bridge is installed and
OpenCV's otherwise; both give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import struct
import sys
from types import SimpleNamespace
from typing import Any, Literal

import cv2
import numpy as np

try:
    from cv_bridge import CvBridge, CvBridgeError
except (ImportError, AttributeError):  # AttributeError: built for another numpy or OpenCV
    CvBridge = None

MAX_PIXELS = 1 << 27  # four times 8K: a header that asks for more is damaged


class ImageError(ValueError):
    """A message that cannot be turned into an RGB frame; says what is wrong with it."""


@dataclass(frozen=True)
class _Encoding:
    channels: int
    dtype: type
    convert: Callable[[np.ndarray], np.ndarray]
    even_width: bool = False
    min_side: int = 1


def _cvt(code: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: cv2.cvtColor(pixels, code)


def _mono16(pixels: np.ndarray) -> np.ndarray:
    """Scale 0..65535 to 0..255, rounded to nearest (65535 = 255 * 257, so no ties)."""
    return _cvt(cv2.COLOR_GRAY2RGB)(((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8))


_UYVY = _Encoding(2, np.uint8, _cvt(cv2.COLOR_YUV2RGB_UYVY), even_width=True)
_YUYV = _Encoding(2, np.uint8, _cvt(cv2.COLOR_YUV2RGB_YUY2), even_width=True)

# OpenCV names Bayer patterns by their second row from its second pixel, ROS by the first two rows.
_ENCODINGS = {
    'rgb8': _Encoding(3, np.uint8, lambda pixels: pixels),
    'bgr8': _Encoding(3, np.uint8, _cvt(cv2.COLOR_BGR2RGB)),
    'rgba8': _Encoding(4, np.uint8, _cvt(cv2.COLOR_RGBA2RGB)),
    'bgra8': _Encoding(4, np.uint8, _cvt(cv2.COLOR_BGRA2RGB)),
    'mono8': _Encoding(1, np.uint8, _cvt(cv2.COLOR_GRAY2RGB)),
    'mono16': _Encoding(1, np.uint16, _mono16),
    'yuv422': _UYVY,
    'uyvy': _UYVY,
    'yuv422_yuy2': _YUYV,
    'yuyv': _YUYV,
    'bayer_rggb8': _Encoding(1, np.uint8, _cvt(cv2.COLOR_BayerBG2RGB), min_side=3),
    'bayer_bggr8': _Encoding(1, np.uint8, _cvt(cv2.COLOR_BayerRG2RGB), min_side=3),
    'bayer_gbrg8': _Encoding(1, np.uint8, _cvt(cv2.COLOR_BayerGR2RGB), min_side=3),
    'bayer_grbg8': _Encoding(1, np.uint8, _cvt(cv2.COLOR_BayerGB2RGB), min_side=3),
}
ENCODINGS = tuple(_ENCODINGS)


def to_rgb(msg: Any) -> np.ndarray:
    """
    Convert an Image or CompressedImage message to a uint8 array (H, W, 3) in RGB order.

    The array may share memory with the message. Raises ImageError for a message that is malformed
    or in an encoding that is not a colour or grey picture.
    """
    if hasattr(msg, 'encoding'):
        return _raw_to_rgb(msg)
    return _compressed_to_rgb(msg)


def _raw_to_rgb(msg: Any) -> np.ndarray:
    encoding = _ENCODINGS.get(msg.encoding)
    if encoding is None:
        raise ImageError(
            f'image encoding {msg.encoding!r} is not a picture that the navigator '
            f'can see; it takes {", ".join(ENCODINGS)}'
        )
    pixels = _pixels(msg, encoding)
    if CvBridge is not None:
        try:
            return _by_cv_bridge(msg.encoding, pixels)
        except CvBridgeError:  # an older one that does not know every YUV layout
            pass
    return np.ascontiguousarray(encoding.convert(pixels))


def _pixels(msg: Any, encoding: _Encoding) -> np.ndarray:
    """Check sizes and return the picture (H, W) or (H, W, C) in native byte order, unpadded."""
    height, width, step = int(msg.height), int(msg.width), int(msg.step)
    data = np.frombuffer(msg.data, np.uint8)
    what = f'{width}x{height} {msg.encoding} image'
    if min(height, width) < encoding.min_side or height * width > MAX_PIXELS:
        raise ImageError(
            f'{what}: sides must be at least {encoding.min_side} pixels, '
            f'the area at most {MAX_PIXELS}'
        )
    if encoding.even_width and width % 2:
        raise ImageError(f'{what}: the width must be even, as two pixels share their colour')
    row = width * encoding.channels * np.dtype(encoding.dtype).itemsize
    if step < row:
        raise ImageError(f'{what}: step is {step} bytes, a row needs {row}')
    if data.size != step * height:
        raise ImageError(f'{what}: data holds {data.size} bytes, step x height is {step * height}')
    order: Literal['>', '<'] = '>' if msg.is_bigendian else '<'
    pixels: np.ndarray = np.ascontiguousarray(data.reshape(height, step)[:, :row])
    pixels = pixels.view(np.dtype(encoding.dtype).newbyteorder(order)).astype(
        encoding.dtype, copy=False
    )
    return pixels if encoding.channels == 1 else pixels.reshape(height, width, encoding.channels)


def _by_cv_bridge(encoding: str, pixels: np.ndarray) -> np.ndarray:
    """Convert by cv_bridge, which takes neither all padded rows nor foreign byte orders."""
    height, width = pixels.shape[:2]
    packed = SimpleNamespace(
        encoding=encoding,
        height=height,
        width=width,
        data=pixels.tobytes(),
        step=pixels.nbytes // height,
        is_bigendian=sys.byteorder == 'big',
    )
    rgb: np.ndarray = CvBridge().imgmsg_to_cv2(packed, 'rgb8')
    return rgb


def _compressed_to_rgb(msg: Any) -> np.ndarray:
    data = np.frombuffer(msg.data, np.uint8)
    what = f'compressed image of format {msg.format!r} with {data.size} bytes'
    _check_compressed_size(data.tobytes(), what)
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ImageError(f'{what} cannot be decoded: {error.err}') from error
    if bgr is None:
        raise ImageError(f'{what} cannot be decoded: it is damaged or cut short')
    # image_transport: 'rgb8; jpeg compressed bgr8' is an ordinary file; when the last word is not
    # bgr8, the colours of 'rgb8; ...' were handed to the encoder in the wrong order.
    source, separator, target = msg.format.partition(';')
    if separator and source.startswith(('rgb', 'bgr')) and 'compressed bgr' not in target:
        return bgr
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _check_compressed_size(data: bytes, what: str) -> None:
    """Refuse what is neither JPEG nor PNG, and headers that would take all memory."""
    if data.startswith(b'\x89PNG\r\n\x1a\n') and len(data) >= 24:
        width, height = struct.unpack('>II', data[16:24])
    elif data.startswith(b'\xff\xd8'):
        width, height = _jpeg_size(data) or (0, 0)
    else:
        raise ImageError(f'{what} is neither JPEG nor PNG')
    if not 0 < width * height <= MAX_PIXELS:
        raise ImageError(f'{what} is damaged: its header says {width}x{height} pixels')


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height from the first start-of-frame marker (ITU T.81, B.2.2)."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack('>HH', data[at + 5 : at + 9])
            return width, height
        at += 1 if marker == 0xFF else 2 + struct.unpack('>H', data[at + 2 : at + 4])[0]
    return None
