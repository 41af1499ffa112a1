"""The device's resize against PIL's, bit for bit."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from janusvln_ros.policy.preprocessing import crop, resize, resized_height
from janusvln_ros.policy.resampling import FrameUpload, Resampler, takes, weights
import numpy as np
from PIL import Image
import pytest
import torch

CPU = torch.device('cpu')


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
    assume(takes((width, height), (new_width, new_height)))
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if extreme:  # overshoot at every edge
        image = np.where(image > 127, 255, 0).astype(np.uint8)
    pil = Image.fromarray(image).resize((new_width, new_height), Image.Resampling.BICUBIC)
    got = Resampler((width, height), (new_width, new_height), CPU)(torch.from_numpy(image))
    assert got.dtype == torch.uint8
    assert np.array_equal(got.numpy(), np.array(pil))


@pytest.mark.parametrize('size, width', [((640, 480), 644), ((161, 121), 644), ((480, 640), 140)])
def test_equals_the_parity_path_with_its_crop(size, width):
    image = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    resampler = Resampler(size, (width, resized_height(*size, width)), CPU)
    got = crop(resampler(torch.from_numpy(image)), width)
    assert np.array_equal(got.numpy(), resize(image, width))
    assert np.array_equal(FrameUpload(size, width, CPU)(image).numpy(), resize(image, width))


@pytest.mark.parametrize('size', [(640, 480), (1280, 720), (1920, 1080), (848, 480), (480, 640)])
def test_common_cameras_are_resized_on_the_device(size):
    assert takes(size, (644, resized_height(*size, 644)))


def test_sums_stay_exact_in_float32():
    largest = weights(255, 8).abs().sum(1).max() >> 16
    assert 255 * 255 * 256 < 2**24  # a low part of eight bits, at the most taps
    assert 255 * largest < 2**24
    with pytest.raises(ValueError, match='too many'):
        weights(10000, 20)
