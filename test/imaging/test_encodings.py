"""Every encoding against its definition in numpy, and against cv_bridge where that exists."""

from types import SimpleNamespace

import cv2
from hypothesis import given, settings
from hypothesis import strategies as st
from janusvln_ros.imaging.encodings import ENCODINGS, ImageError, to_rgb
import numpy as np
import pytest

BYTES = {
    'rgb8': 3,
    'bgr8': 3,
    'rgba8': 4,
    'bgra8': 4,
    'mono16': 2,
    'yuv422': 2,
    'uyvy': 2,
    'yuv422_yuy2': 2,
    'yuyv': 2,
}


def image(encoding, height, width, padding=0, seed=0, big_endian=False):
    row = width * BYTES.get(encoding, 1)
    data = np.random.default_rng(seed).integers(0, 256, (height, row + padding), np.uint8)
    message = SimpleNamespace(
        encoding=encoding,
        height=height,
        width=width,
        step=row + padding,
        is_bigendian=int(big_endian),
        data=data.tobytes(),
    )
    return message, data[:, :row]


def yuv_to_rgb(y, u, v):
    """ITU-R BT.601, studio swing, in 20-bit fixed point as OpenCV rounds it."""
    y = np.maximum(0, y.astype(np.int64) - 16) * 1220542
    u, v = u.astype(np.int64) - 128, v.astype(np.int64) - 128
    parts = y + 1673527 * v, y - 852492 * v - 409993 * u, y + 2116026 * u
    return np.stack([np.clip((part + (1 << 19)) >> 20, 0, 255) for part in parts], -1)


def demosaic(raw, pattern):
    """Bilinear interpolation; each edge pixel copies its neighbour further in."""
    height, width = raw.shape
    rows, columns = np.mgrid[:height, :width]
    names = np.array([[pattern[0], pattern[1]], [pattern[2], pattern[3]]])[rows % 2, columns % 2]
    result = np.zeros((height, width, 3), np.uint8)
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            around = raw[y - 1 : y + 2, x - 1 : x + 2].astype(int)
            at = names[y - 1 : y + 2, x - 1 : x + 2]
            for channel, name in enumerate('rgb'):
                known = around[at == name] if at[1, 1] != name else around[1:2, 1]
                result[y, x, channel] = (2 * known.sum() + known.size) // (2 * known.size)
    result[:, 0], result[:, -1] = result[:, 1], result[:, -2]
    result[0], result[-1] = result[1], result[-2]
    return result


def expected(encoding, rows, big_endian):
    height = rows.shape[0]
    if encoding == 'mono16':
        values = rows.copy().view('>u2' if big_endian else '<u2').astype(float)
        grey = np.rint(values * 255 / 65535).astype(np.uint8)
        return np.repeat(grey[..., None], 3, -1)
    if encoding == 'mono8':
        return np.repeat(rows[..., None], 3, -1)
    if encoding.startswith('bayer_'):
        return demosaic(rows, encoding[6:10])
    pixels = rows.reshape(height, -1, BYTES[encoding])
    if BYTES[encoding] > 2:
        return pixels[..., :3][..., :: -1 if encoding.startswith('bgr') else 1]
    luma, chroma = (1, 0) if encoding in ('yuv422', 'uyvy') else (0, 1)
    u, v = (np.repeat(pixels[:, start::2, chroma], 2, 1) for start in (0, 1))
    return yuv_to_rgb(pixels[..., luma], u, v)


@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize('size', [(3, 4), (17, 22), (48, 64)])
@pytest.mark.parametrize('encoding', ENCODINGS)
def test_encoding_equals_its_definition(encoding, size, padding, big_endian):
    message, rows = image(encoding, *size, padding, big_endian=big_endian)
    result = to_rgb(message)
    assert result.dtype == np.uint8 and result.flags.c_contiguous
    np.testing.assert_array_equal(result, expected(encoding, rows, big_endian))


@pytest.mark.parametrize('encoding', ENCODINGS)
def test_cv_bridge_and_own_conversion_agree(encoding, monkeypatch):
    cv_bridge = pytest.importorskip('cv_bridge')
    message, _ = image(encoding, 30, 40, 2)
    by_bridge = to_rgb(message)
    monkeypatch.setattr('janusvln_ros.imaging.encodings.CvBridge', None)
    np.testing.assert_array_equal(by_bridge, to_rgb(message))
    dense, _ = image(encoding, 30, 40)
    try:
        direct = cv_bridge.CvBridge().imgmsg_to_cv2(dense, 'rgb8')
    except cv_bridge.CvBridgeError:
        pytest.skip(f'this cv_bridge does not know {encoding}')
    np.testing.assert_array_equal(direct, to_rgb(dense))


def photo():
    y, x = np.mgrid[:60, :80]
    return np.stack([x * 3, y * 4, 255 - x * 2], -1).astype(np.uint8)


@pytest.mark.parametrize('kind, tolerance', [('jpg', 12), ('png', 0)])
@pytest.mark.parametrize('template', ['{}', 'rgb8; {} compressed bgr8', 'mono8; {} compressed '])
def test_compressed_image_has_its_colours(kind, tolerance, template):
    data = cv2.imencode(f'.{kind}', photo()[..., ::-1])[1].tobytes()
    name = {'jpg': 'jpeg', 'png': 'png'}[kind]
    result = to_rgb(SimpleNamespace(format=template.format(name), data=data))
    assert np.abs(result.astype(int) - photo()).max() <= tolerance


def test_compressed_image_that_was_encoded_as_rgb_is_put_right():
    data = cv2.imencode('.png', photo())[1].tobytes()
    result = to_rgb(SimpleNamespace(format='rgb8; png compressed rgb8', data=data))
    np.testing.assert_array_equal(result, photo())


@pytest.mark.parametrize('mode', ['grey', 'alpha', '16 bit'])
def test_compressed_image_of_any_depth_becomes_rgb(mode):
    bgr = np.ascontiguousarray(photo()[..., ::-1])
    picture = {
        'grey': bgr[..., 0],
        'alpha': cv2.cvtColor(bgr, cv2.COLOR_BGR2BGRA),
        '16 bit': bgr.astype(np.uint16) * 257,
    }[mode]
    data = cv2.imencode('.png', picture)[1].tobytes()
    result = to_rgb(SimpleNamespace(format='png', data=data))
    wanted = np.repeat(bgr[..., :1], 3, -1) if mode == 'grey' else photo()
    np.testing.assert_array_equal(result, wanted)


def broken(**changes):
    message, _ = image('rgb8', 4, 6)
    vars(message).update(changes)
    return message


@pytest.mark.parametrize(
    'message, says',
    [
        (broken(data=b''), 'data holds 0 bytes, step x height is 72'),
        (broken(step=17), 'step is 17 bytes, a row needs 18'),
        (broken(height=0), '6x0 rgb8 image: sides must be at least 1'),
        (broken(height=5), 'data holds 72 bytes, step x height is 90'),
        (broken(height=2**32 - 1, width=2**32 - 1), 'the area at most'),
        (broken(encoding='yuv422', width=7), 'the width must be even'),
        (broken(encoding='bayer_rggb8', width=2), 'sides must be at least 3'),
        (
            broken(encoding='32FC1', data=np.full(24, np.nan, np.float32).tobytes()),
            "'32FC1' is not",
        ),
        (broken(encoding='8UC3'), "'8UC3' is not"),
        (broken(encoding=''), "'' is not"),
        (SimpleNamespace(format='jpeg', data=b''), 'neither JPEG nor PNG'),
        (
            SimpleNamespace(format='16UC1; compressedDepth', data=b'\0' * 40),
            'neither JPEG nor PNG',
        ),
        (SimpleNamespace(format='jpeg', data=b'\xff\xd8\xff'), 'header says 0x0'),
    ],
)
def test_malformed_image_is_refused_with_its_reason(message, says):
    with pytest.raises(ImageError, match=says):
        to_rgb(message)


def test_compressed_header_that_asks_for_all_memory_is_refused():
    data = bytearray(cv2.imencode('.png', photo())[1].tobytes())
    data[16:24] = b'\0\1\0\0' * 2
    with pytest.raises(ImageError, match='header says 65536x65536'):
        to_rgb(SimpleNamespace(format='png', data=bytes(data)))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([*ENCODINGS, '32FC3', 'jpeg']),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 40),
    st.binary(max_size=200),
    st.booleans(),
)
def test_any_fields_give_a_frame_or_an_image_error(encoding, height, width, step, data, fit):
    if fit:
        data = (data * 400)[: step * height] or data
    try:
        result = to_rgb(
            SimpleNamespace(
                encoding=encoding, height=height, width=width, step=step, is_bigendian=0, data=data
            )
        )
    except ImageError:
        return
    assert result.shape == (height, width, 3)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.sampled_from(['.jpg', '.png']), st.data())
def test_damaged_file_gives_a_frame_or_an_image_error(kind, choose):
    data = bytearray(cv2.imencode(kind, photo())[1].tobytes())
    for _ in range(choose.draw(st.integers(1, 8))):
        data[choose.draw(st.integers(0, len(data) - 1))] = choose.draw(st.integers(0, 255))
    data = bytes(data[: choose.draw(st.integers(0, len(data)))])
    try:
        result = to_rgb(SimpleNamespace(format='', data=data))
    except ImageError:
        return
    assert result.ndim == 3 and result.shape[2] == 3
