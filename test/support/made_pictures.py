"""Pictures that tell their own number; needs numpy alone."""

import numpy as np


def picture(number: int, width: int = 64, height: int = 48) -> np.ndarray:
    """Draw a picture that tells its own number by its colour, uint8 (H, W, 3)."""
    across = np.linspace(0, 60, width)[None, :, None] + np.zeros((height, 1, 1))
    return (across + (number * 12 % 190, 70, 190 - number * 12 % 190)).astype(np.uint8)
