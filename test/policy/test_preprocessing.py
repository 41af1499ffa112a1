"""Camera frame to pixels, against digests of the published pipeline and the stock processor."""

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from janusvln_ros.measurement.parity import digest
from janusvln_ros.policy import preprocessing
import numpy as np
from PIL import Image
import pytest
import torch

DATA = Path(__file__).parent / 'data'
FRAMES = json.loads((DATA / 'frames.json').read_text())
NORMALISATION = preprocessing.Normalisation(torch.device('cpu'))


def prepare(rgb, image_width):
    image = preprocessing.resize(rgb, image_width)
    return image, NORMALISATION.pixels(torch.from_numpy(image)[None])


@pytest.mark.parametrize('expected', FRAMES, ids=[frame['frame'] for frame in FRAMES])
def test_pixels_are_bitwise_those_of_the_published_pipeline(expected):
    rgb = np.array(Image.open(DATA / 'frames' / f'{expected["frame"]}.png').convert('RGB'))
    image, pixels = prepare(rgb, expected['image_width'])
    grid = preprocessing.patch_grid(rgb.shape[1], rgb.shape[0], expected['image_width'])
    assert list(pixels[0].shape) == expected['vggt_img_shape']
    assert [grid.rows * 14, grid.columns * 14] == expected['vggt_img_shape'][1:]
    assert [1, *grid.vision] == expected['image_grid_thw']
    assert digest(image.transpose(2, 0, 1)) == expected['vggt_img_uint8_sha256']
    rows = NORMALISATION.vision(pixels)
    assert list(rows[0].shape) == expected['pixel_values_shape']
    assert digest(rows.numpy()) == expected['pixel_values_sha256']


@pytest.mark.parametrize(
    ('size', 'image_width', 'height'),
    [
        ((640, 480), 644, 490),  # 34.50000000000001 patches, by the order of operations
        ((320, 200), 280, 168),  # 12.5 patches: to even
        ((1280, 720), 644, 364),
        ((224, 168), 224, 168),
        ((90, 120), 112, 154),
    ],
)
def test_height_follows_the_published_order_of_operations(size, image_width, height):
    assert preprocessing.resized_height(*size, image_width) == height


@given(
    width=st.integers(40, 400),
    height=st.integers(40, 400),
    image_width=st.integers(4, 20).map(lambda patches: 14 * patches),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_rows_are_those_of_the_stock_processor(width, height, image_width, seed):
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    try:
        grid = preprocessing.patch_grid(width, height, image_width)
    except ValueError:
        return
    from transformers.models.qwen2_vl import image_processing_pil_qwen2_vl as stock_processing

    _, pixels = prepare(rgb, image_width)
    rows, columns = grid.vision
    stock = stock_processing.Qwen2VLImageProcessorPil()(
        [pixels[0, :, : rows * 14, : columns * 14].numpy()],
        do_rescale=False,
        return_tensors='pt',
        input_data_format='channels_first',
    )
    assert stock['image_grid_thw'].tolist() == [[1, rows, columns]]
    assert torch.equal(NORMALISATION.vision(pixels)[0], stock['pixel_values'])


def test_geometry_is_normalised_with_its_own_statistics():
    pixels = torch.full((1, 3, 14, 14), 0.5)
    expected = (0.5 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    assert np.allclose(NORMALISATION.geometry(pixels)[0, :, 0, 0].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    'frame',
    [
        np.zeros((120, 160, 3)),
        np.zeros((120, 160), np.uint8),
        np.zeros((120, 160, 4), np.uint8),
        'frame',
        None,
    ],
)
def test_anything_but_an_rgb_array_is_refused(frame):
    with pytest.raises(ValueError, match=r'uint8 array \(H, W, 3\)'):
        preprocessing.check_frame(frame)


def test_flat_frame_is_refused_with_its_size():
    with pytest.raises(ValueError, match='640 x 20 pixels'):
        preprocessing.patch_grid(640, 20, 644)
