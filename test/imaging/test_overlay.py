"""The annotated frame: its size, and that each fact it shows changes it where it should."""

from janusvln_ros.actions import ACTION_NAMES
from janusvln_ros.imaging.depth import DepthPicture, draw_depth, scale_colours
from janusvln_ros.imaging.overlay import annotate, wrap
import numpy as np
import pytest

FACTS = {
    'instruction': 'go to the red chair',
    'step': 3,
    'action_name': 'TURN_LEFT',
    'probabilities': (0.1, 0.2, 0.6, 0.1),
    'latency': 0.2,
    'memory': (4, 56),
}


def frame(height=240, width=320):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize('height, width', [(240, 320), (480, 640), (51, 33), (720, 1281)])
def test_size_is_even_and_depends_on_the_frame_alone(height, width):
    sizes = {
        annotate(frame(height, width), **{**FACTS, 'instruction': text}).shape
        for text in ('', 'go', 'walk ' * 200, 'w' * 400)
    }
    assert len(sizes) == 1
    assert all(side % 2 == 0 for side in sizes.pop()[:2])


@pytest.mark.parametrize(
    'change',
    [
        {'instruction': 'go to the blue chair'},
        {'step': 4},
        {'probabilities': (0.1, 0.6, 0.2, 0.1)},
        {'latency': 0.9},
        {'memory': (40, 56)},
        *({'action_name': name} for name in ACTION_NAMES[:2]),
    ],
)
def test_each_fact_is_visible(change):
    before, after = annotate(frame(), **FACTS), annotate(frame(), **{**FACTS, **change})
    assert (before != after).any()


def test_depth_stands_beside_the_frame_with_its_scale_below():
    values = np.linspace(0.5, 6.0, 240 * 320, dtype=np.float32).reshape(240, 320)
    values[:40] = np.nan
    depth = DepthPicture(values, True, 'scale from height')
    plain, picture = annotate(frame(), **FACTS), annotate(frame(), **FACTS, depth=depth)
    assert picture.shape == (plain.shape[0], 2 * plain.shape[1], 3)
    assert np.array_equal(picture[:, :640], plain)
    assert np.array_equal(picture[:480, 640:], draw_depth(depth, 640, 480))
    bar = picture[480 + 67, 640:]
    colours = {tuple(colour) for colour in scale_colours(300)}
    assert sum(tuple(pixel) in colours for pixel in bar) > 300
    without = annotate(frame(), **FACTS, depth=depth._replace(metric=False))
    assert without.shape == picture.shape and (without != picture)[480:, 640:].any()


def test_bars_are_as_long_as_the_probabilities():
    def bar(value):
        picture = annotate(frame(), **{**FACTS, 'probabilities': (value, 0, 0, 0)})
        row = picture[480 + 23, 190:410]
        return int((row[:, 0] > 100).sum())

    assert [bar(value) for value in (0.0, 0.5, 1.0)] == pytest.approx([0, 110, 220], abs=2)


def test_input_frame_is_left_alone_and_odd_values_are_drawn():
    rgb = frame()
    before = rgb.copy()
    annotate(
        rgb,
        instruction='\u00fcber die Br\u00fccke',
        step=0,
        action_name='?',
        probabilities=(float('nan'), -1, 2, 0),
        memory=(0, 0),
    )
    np.testing.assert_array_equal(rgb, before)


def test_long_instruction_keeps_its_first_words_and_is_marked_as_cut():
    lines = wrap('one two three four five six seven eight nine ten eleven twelve ' * 4, 200, 0.5)
    assert len(lines) == 3 and lines[0].startswith('one two') and lines[-1].endswith('...')
