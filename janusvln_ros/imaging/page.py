"""HTML pages that stand alone: their look, and pictures within them."""

from __future__ import annotations

import base64
from html import escape

import cv2
import numpy as np

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1200px; margin: 2rem auto; padding: 0 1rem;
       color: #222; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
small { color: #777; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(340px, 1fr));
         gap: 1.2rem; }
.card { border: 1px solid #ddd; border-radius: 6px; padding: .7rem; }
.card img { width: 100%; } .card p { margin: .3rem 0; }
.good { border-top: 4px solid #2a9d5c; } .bad { border-top: 4px solid #c8442e; }
"""


def picture(rgb: np.ndarray, alt: str) -> str:
    """Give an HTML image with a picture uint8 (H, W, 3) in it."""
    _, png = cv2.imencode('.png', rgb[..., ::-1])
    return (
        f'<img alt="{escape(alt)}" '
        f'src="data:image/png;base64,{base64.b64encode(png.tobytes()).decode()}">'
    )
