"""The order of a resize is ours, and the device's is bit for bit PIL's."""

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st
from janusvln_ros.policy.preprocessing import crop, height_first, resize, resized_height
from janusvln_ros.policy.resampling import FrameUpload, Resampler, weights
import numpy as np
from PIL import Image
import pytest
import torch

CPU = torch.device('cpu')


def by_pil(image, size):
    """One axis at a time, so that every version of PIL gives the same."""
    height, width = image.shape[:2]
    first = (width, size[1]) if height_first((width, height), size) else (size[0], height)
    pil = Image.fromarray(image).resize(first, Image.Resampling.BICUBIC)
    return np.array(pil.resize(size, Image.Resampling.BICUBIC))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 999),
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    new_width=st.integers(1, 90),
    new_height=st.integers(1, 90),
    extreme=st.booleans(),
)
def test_equals_pil(seed, width, height, new_width, new_height, extreme):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if extreme:  # overshoot at every edge
        image = np.where(image > 127, 255, 0).astype(np.uint8)
    got = Resampler((width, height), (new_width, new_height), CPU)(torch.from_numpy(image))
    assert got.dtype == torch.uint8
    assert np.array_equal(got.numpy(), by_pil(image, (new_width, new_height)))


@pytest.mark.parametrize(
    'size, width, digest',
    [
        ((96, 144), 98, '07db6d1077e7'),  # the height first
        ((200, 640), 196, 'da1b71c06cab'),  # the same, and cropped
        ((480, 640), 140, '0b06d1b3c527'),
        ((640, 480), 644, '456d4179c92d'),
        ((161, 121), 644, '2034f25fa002'),
    ],
)
def test_the_order_is_pillow_13s_whatever_pillow_is_here(size, width, digest):
    """The digests were computed by one call of Pillow 13.0.0's `resize`."""
    image = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    resized = resize(image, width)
    assert hashlib.sha256(resized.tobytes()).hexdigest()[:12] == digest
    resampler = Resampler(size, (width, resized_height(*size, width)), CPU)
    assert np.array_equal(crop(resampler(torch.from_numpy(image)), width).numpy(), resized)
    assert np.array_equal(FrameUpload(size, width, CPU)(image).numpy(), resized)


def test_sums_stay_exact_in_float32():
    largest = weights(255, 8).abs().sum(1).max() >> 16
    assert 255 * 255 * 256 < 2**24  # a low part of eight bits, at the most taps
    assert 255 * largest < 2**24
    with pytest.raises(ValueError, match='too many'):
        weights(10000, 20)
