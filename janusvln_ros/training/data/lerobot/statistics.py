"""
The statistics that LeRobot keeps of each feature: of an episode, and of all of them.

They are min, max, mean, std, count and quantiles. A quantile is the smallest value that at least
that share of the values do not exceed; LeRobot takes it from a histogram of 5000 bins, so that the
two may differ by 1/5000 of the range. Of all episodes it is the mean of theirs, weighted by count.
"""

from __future__ import annotations

import numpy as np

Stats = dict[str, np.ndarray]  # name of the number -> (features,), of pictures (3, 1, 1)
_SHARES = {'q01': 0.01, 'q10': 0.10, 'q50': 0.50, 'q90': 0.90, 'q99': 0.99}
_LEAST, _MOST = 100, 10_000  # pictures of an episode that are looked at
_LARGE, _SMALL = 300, 150  # pixels: pictures of the first are thinned to about the second


def of_rows(rows: np.ndarray) -> Stats:
    """Sum up the numbers of an episode: (n,) or (n, features), n at least 1."""
    columns = [
        _summary(*np.unique(column, return_counts=True))
        for column in rows.reshape(len(rows), -1).T.astype(np.float64)
    ]
    stats = {key: np.array([column[key] for column in columns]) for key in columns[0]}
    return stats | {'count': np.array([len(rows)])}


def sampled(length: int) -> set[int]:
    """Choose the pictures of an episode that its statistics are of."""
    count = max(min(_LEAST, length), min(int(length**0.75), _MOST))
    return set(np.round(np.linspace(0, length - 1, count)).astype(int).tolist())


class PictureStatistics:
    """Sums up pictures one by one: of each colour how often it has each of the 256 values."""

    def __init__(self) -> None:
        self._count = 0
        self._seen = np.zeros((3, 256), np.int64)

    def add(self, rgb: np.ndarray) -> None:
        """Take in a picture, uint8 (H, W, 3)."""
        height, width = rgb.shape[:2]
        if max(height, width) >= _LARGE:
            rgb = rgb[:: max(height, width) // _SMALL, :: max(height, width) // _SMALL]
        for colour in range(3):
            self._seen[colour] += np.bincount(rgb[..., colour].ravel(), minlength=256)
        self._count += 1

    def stats(self) -> Stats:
        """Give the numbers of what was taken in, 1 for 255; count is that of the pictures."""
        values = np.arange(256) / 255
        colours = [_summary(values[seen > 0], seen[seen > 0]) for seen in self._seen]
        stats = {
            key: np.array([colour[key] for colour in colours]).reshape(3, 1, 1)
            for key in colours[0]
        }
        return stats | {'count': np.array([self._count])}


def _summary(values: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    """Sum up ascending values that occur so many times each."""
    reached = np.cumsum(counts)
    mean = float((values * counts).sum() / reached[-1])
    spread = float((((values - mean) ** 2) * counts).sum() / reached[-1])
    found = {'min': values[0], 'max': values[-1], 'mean': mean, 'std': spread**0.5}
    for key, share in _SHARES.items():
        found[key] = values[np.searchsorted(reached, share * reached[-1])]
    return {key: float(value) for key, value in found.items()}


def together(one: Stats, other: Stats) -> Stats:
    """Sum up two parts of a dataset."""
    first, second = (float(part['count'][0]) for part in (one, other))
    share = second / (first + second)
    found = {key: one[key] + (other[key] - one[key]) * share for key in ('mean', *_SHARES)}
    spread = one['std'] ** 2 * (1 - share) + other['std'] ** 2 * share
    apart = (other['mean'] - one['mean']) ** 2 * share * (1 - share)
    return found | {
        'min': np.minimum(one['min'], other['min']),
        'max': np.maximum(one['max'], other['max']),
        'std': np.sqrt(spread + apart),
        'count': one['count'] + other['count'],
    }
