"""
Textures for walls, floors and ceilings, drawn once.

They are pale and almost grey: the colour comes from the surface that carries them. Each covers
TILE metres and repeats without a seam.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

SIZE = 256  # pixels
TILE = 2.0  # m
WALLS = ('plaster', 'brick', 'stripes', 'panels', 'dots', 'blocks')
FLOORS = ('planks', 'parquet', 'tiles', 'checker', 'carpet', 'stone')
CEILINGS = ('plain', 'boards', 'grid')


@lru_cache(maxsize=1)
def library() -> dict[str, np.ndarray]:
    """Draw all textures: name -> uint8 (SIZE, SIZE, 3), the same in every process."""
    rng = np.random.default_rng(7)
    return {
        'plaster': _rgb(238 + _cloud(rng, 3, 5)),
        'brick': _rgb(_bricks(rng, 16, 5, 26) + _cloud(rng, 4, 6)),
        'stripes': _rgb(_stripes(8) + _cloud(rng, 2, 3)),
        'panels': _rgb(_panels() + _cloud(rng, 16, 3)),
        'dots': _rgb(_dots() + _cloud(rng, 2, 2)),
        'blocks': _rgb(_bricks(rng, 5, 2, 14) + _cloud(rng, 6, 8)),
        'planks': _rgb(_planks(rng)),
        'parquet': _rgb(_parquet(rng)),
        'tiles': _rgb(_grid(4, 190, 3) + _cloud(rng, 8, 8)),
        'checker': _rgb(_checker() + _cloud(rng, 3, 4)),
        'carpet': _rgb(215 + _cloud(rng, 2, 30) + _cloud(rng, 12, 8)),
        'stone': _rgb(_bricks(rng, 4, 3, 40) + _cloud(rng, 10, 12)),
        'plain': _rgb(240 + _cloud(rng, 3, 3)),
        'boards': _rgb(_boards(12)),
        'grid': _rgb(_grid(4, 200, 2) + _cloud(rng, 2, 5)),
    }


def _rgb(grey: np.ndarray) -> np.ndarray:
    """Clip to uint8 and repeat the channel."""
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def _cloud(rng: np.random.Generator, grain: int, strength: float) -> np.ndarray:
    """Make seamless noise with spots of `grain` pixels and a deviation of `strength`."""
    noise = rng.standard_normal((SIZE, SIZE)).astype(np.float32)
    padded = np.pad(noise, 4 * grain, mode='wrap')
    smooth = cv2.GaussianBlur(padded, (0, 0), grain / 2)[
        4 * grain : -4 * grain, 4 * grain : -4 * grain
    ]
    return smooth * (strength / smooth.std())


def _bricks(rng: np.random.Generator, rows: int, columns: int, vary: float) -> np.ndarray:
    """Lay rows of bricks, every other row shifted by half a brick."""
    rows += rows % 2
    picture = np.full((SIZE, SIZE), 170.0)
    for row in range(rows):
        y0, y1 = round(row * SIZE / rows), round((row + 1) * SIZE / rows)
        for column in range(columns):
            shift = 0.5 * (row % 2)
            x0 = round((column + shift) * SIZE / columns)
            x1 = round((column + 1 + shift) * SIZE / columns)
            xs = np.arange(x0 + 1, x1 - 1) % SIZE
            picture[y0 + 1 : y1 - 1, xs] = 230 - vary * rng.random()
    return picture


def _stripes(count: int) -> np.ndarray:
    """Draw upright stripes."""
    wave = np.where(np.arange(SIZE) * count * 2 // SIZE % 2 == 0, 245.0, 208.0)
    return np.repeat(wave[None], SIZE, axis=0)


def _panels() -> np.ndarray:
    """Draw upright wooden panels with grooves."""
    x = (np.arange(SIZE) % (SIZE // 6)) / (SIZE // 6)
    wave = np.where(x < 0.07, 165.0, np.where(x < 0.14, 250.0, 228.0))
    return np.repeat(wave[None], SIZE, axis=0)


def _dots() -> np.ndarray:
    """Draw a wallpaper with dots."""
    picture = np.full((SIZE, SIZE), 238.0, np.float32)
    step = SIZE // 8
    for row in range(8):
        for column in range(8):
            centre = (int((column + 0.5 * (row % 2) + 0.25) * step), int((row + 0.5) * step))
            cv2.circle(picture, centre, step // 5, 198.0, cv2.FILLED, cv2.LINE_AA)
    return picture


def _planks(rng: np.random.Generator) -> np.ndarray:
    """Lay boards of different lengths and shades."""
    picture = np.zeros((SIZE, SIZE))
    rows = 12
    for row in range(rows):
        y0, y1 = round(row * SIZE / rows), round((row + 1) * SIZE / rows)
        start = int(rng.integers(SIZE))
        cuts = [start, start + int(rng.integers(90, 166)), start + SIZE]
        for x0, x1 in zip(cuts[:-1], cuts[1:]):
            picture[y0:y1, np.arange(x0, x1) % SIZE] = 195 + 45 * rng.random()
            picture[y0:y1, x0 % SIZE] = 140
        picture[y0] = 145
    grain = np.pad(_cloud(rng, 2, 10), ((0, 0), (32, 32)), mode='wrap')
    return picture + cv2.blur(grain, (33, 1))[:, 32:-32]


def _parquet(rng: np.random.Generator) -> np.ndarray:
    """Lay squares of three sticks, turned in turn."""
    picture = np.zeros((SIZE, SIZE))
    cells, sticks = 8, 4
    step = SIZE // cells
    for row in range(cells):
        for column in range(cells):
            cell = np.repeat(195 + 45 * rng.random(sticks), step // sticks)
            cell[:: step // sticks] = 150
            block = np.repeat(cell[None], step, axis=0)
            picture[row * step : (row + 1) * step, column * step : (column + 1) * step] = (
                block if (row + column) % 2 else block.T
            )
    return picture


def _grid(count: int, line: float, width: int) -> np.ndarray:
    """Draw square tiles with joints."""
    picture = np.full((SIZE, SIZE), 238.0)
    for i in range(count):
        at = i * SIZE // count
        picture[at : at + width], picture[:, at : at + width] = line, line
    return picture


def _checker() -> np.ndarray:
    """Draw light and darker tiles in turn."""
    index = np.arange(SIZE) * 8 // SIZE
    return np.where((index[:, None] + index[None]) % 2 == 0, 245.0, 172.0)


def _boards(count: int) -> np.ndarray:
    """Draw narrow boards."""
    picture = np.full((SIZE, SIZE), 240.0)
    for i in range(count):
        at = i * SIZE // count
        picture[at : at + 2] = 205.0
    return picture
