"""Depth as a picture: the same colour for the same metres, and stripes for what is not known."""

from janusvln_ros.imaging.depth import DepthPicture, draw_depth, FAR, marks, scale_colours, stripes
import numpy as np


def metres(values):
    return DepthPicture(np.array(values, np.float32), True, '')


def test_metres_have_the_colours_of_the_scale_whatever_else_is_seen():
    scale = scale_colours(501)
    for other in (1.0, 4.0, 90.0):
        for value in (0.0, 1.3, 2.5, 5.0, 30.0):
            picture = draw_depth(metres([[value] * 8, [other] * 8]), 8, 2)
            place = round(min(value, FAR) / FAR * 500)
            assert np.abs(picture[0].astype(int) - scale[place]).max() <= 4
    assert scale[20, 0] > 100 > scale[20, 2]  # near is red, far is not
    assert scale[-20, 2] > scale[-20, 0]


def test_the_scale_is_marked_in_metres_and_not_where_there_are_none():
    assert [label for _, label in marks(True)] == ['0 m', '1 m', '2 m', '3 m', '4 m', '5 m+']
    assert [place for place, _ in marks(True)] == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert [label for _, label in marks(False)] == ['nearest', 'farthest']
    assert 'metres' in metres([[1.0]]).title
    assert 'not in metres: why' in DepthPicture(np.ones((1, 1)), False, 'why').title


def test_relative_depth_uses_the_whole_scale_in_any_unit():
    ramp = np.linspace(1.0, 3.0, 100, dtype=np.float32)[None].repeat(4, 0)
    pictures = [draw_depth(DepthPicture(ramp * unit, False, ''), 100, 4) for unit in (0.01, 70.0)]
    assert np.array_equal(*pictures)
    assert (pictures[0][0, 0] == scale_colours(2)[0]).all()
    assert (pictures[0][0, -1] == scale_colours(2)[1]).all()


def test_what_is_not_known_is_striped_and_lends_no_colour_to_what_is():
    values = np.full((40, 60), 2.0, np.float32)
    values[:, 30:] = np.nan
    picture = draw_depth(metres(values), 240, 160)
    known = draw_depth(metres(np.full((40, 60), 2.0)), 240, 160)
    assert np.array_equal(picture[:, :120], known[:, :120])
    assert np.array_equal(picture[:, 120:], stripes(240, 160)[:, 120:])
    assert len(np.unique(stripes(240, 160).reshape(-1, 3), axis=0)) == 2
    nothing = draw_depth(DepthPicture(np.full((4, 6), np.nan), False, ''), 24, 16)
    assert np.array_equal(nothing, stripes(24, 16))
