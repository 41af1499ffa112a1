"""HTML pages that stand alone: Jinja2 templates of this package, and pictures within them."""

from __future__ import annotations

import base64
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
from jinja2 import Environment, FileSystemLoader, StrictUndefined
import numpy as np


def render(template: str, **values: Any) -> str:
    """
    Fill in a template, as 'evaluation/report.html'; every page extends 'imaging/page.html'.

    Values are escaped. Raises jinja2.UndefinedError for one that the template needs and is not
    given.
    """
    return _environment().get_template(template).render(values)


def png_url(rgb: np.ndarray) -> str:
    """Give a picture uint8 (H, W, 3) as a data URL."""
    return data_url('image/png', cv2.imencode('.png', rgb[..., ::-1])[1].tobytes())


def data_url(kind: str, content: bytes) -> str:
    """Give the content of a file, of a kind as 'image/jpeg', as a data URL."""
    return f'data:{kind};base64,{base64.b64encode(content).decode()}'


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parents[1]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies['json.dumps_kwargs'] = {'separators': (',', ':')}
    return environment
