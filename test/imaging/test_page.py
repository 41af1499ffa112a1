"""Pages stand alone, and nothing in their values becomes markup."""

import base64
import re

import cv2
from janusvln_ros.imaging.page import png_url, render
from jinja2 import UndefinedError
import numpy as np
import pytest


def test_values_are_escaped_and_missing_ones_named():
    rows = {'<i>row</i>': {name: {'mean': 0.5, 'low': 0.4, 'high': 0.6} for name in ('os', 'sr')}}
    with pytest.raises(UndefinedError, match='chart'):
        render('evaluation/ablations.html', table='', title='<b>')
    page = render('evaluation/ablations.html', chart='data:,', table=f'| {[*rows][0]} |')
    assert '&lt;i&gt;row&lt;/i&gt;' in page and '<i>' not in page
    assert page.count('<meta name="viewport"') == 1 and page.count('<h1>') == 1


def test_pictures_come_back_whole():
    rgb = np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    data = re.fullmatch('data:image/png;base64,(.+)', png_url(rgb))[1]
    back = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert (back[..., ::-1] == rgb).all()
