"""
The field's navigation metrics, as VLN-CE and Habitat compute them.

Definitions: Anderson et al. 2018 (SPL), Ilharco et al. 2019 (nDTW, SDTW), and the measures of
VLN-CE (`habitat_extensions/measures.py`). Lengths are metres; positions are (n, d) arrays with
d = 2 or 3, in any one frame.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
import math

import numpy as np

# With their headings, in the order in which tables show them.
METRICS = {
    'ne': 'NE [m]',
    'os': 'OS',
    'sr': 'SR',
    'spl': 'SPL',
    'ndtw': 'nDTW',
    'sdtw': 'SDTW',
    'steps': 'steps',
    'collisions': 'collisions',
    'path_length': 'path [m]',
}
RATES = ('os', 'sr', 'spl', 'ndtw', 'sdtw')


@dataclass(frozen=True)
class EpisodeMetrics:
    """One episode's scores; rates are 0.0 or 1.0 so that means are rates."""

    ne: float  # navigation error: geodesic distance to the goal at the end, m
    os: float  # oracle success: was ever within the radius
    sr: float  # success: stopped within the radius
    spl: float  # success weighted by path length
    ndtw: float  # normalised dynamic time warping against the reference
    sdtw: float  # success times nDTW
    steps: int  # actions taken, STOP included
    collisions: int  # actions that touched an obstacle
    path_length: float  # summed Euclidean steps, m


def path_length(positions: np.ndarray) -> float:
    """Sum the Euclidean steps between successive positions (n, d), in metres."""
    positions = _positions(positions)
    return float(np.linalg.norm(np.diff(positions, axis=0), axis=1).sum())


def spl(success: bool, shortest: float, travelled: float) -> float:
    """
    Return success weighted by path length: S * l / max(l, p).

    `shortest` is the geodesic distance from start to goal, `travelled` the path length, metres.
    Habitat divides by zero where both are zero; an agent that stands on its goal and stops took
    the shortest path, so this returns the success itself.
    """
    longer = max(shortest, travelled)
    return float(success) * (shortest / longer if longer > 0.0 else 1.0)


def dtw(path: np.ndarray, reference: np.ndarray) -> float:
    """
    Return the dynamic time warping distance of two paths (n, d) and (m, d), in metres.

    Every point is matched, order is kept, and the sum of matched distances is least.
    """
    path, reference = _positions(path), _positions(reference)
    cost = np.linalg.norm(path[:, None] - reference[None], axis=2)  # (n, m)
    previous = np.cumsum(cost[0])
    for row in cost[1:]:
        # Cheapest way into each cell from the row before; then along the row, one by one.
        above = np.minimum(previous, np.concatenate(([np.inf], previous[:-1])))
        current = np.empty_like(row)
        left = np.inf
        for j, step in enumerate(row):
            left = current[j] = step + min(above[j], left)
        previous = current
    return float(previous[-1])


def ndtw(path: np.ndarray, reference: np.ndarray, radius: float) -> float:
    """
    Return exp(-DTW / (|R| * radius)), in (0, 1].

    Positions of `path` equal to the one before are skipped, as VLN-CE does (turns and blocked
    steps do not count); `reference` (m, d) is used as it is. `radius`: success radius in metres.
    """
    path, reference = _positions(path), _positions(reference)
    moved = np.concatenate(([True], np.any(path[1:] != path[:-1], axis=1)))
    return float(np.exp(-dtw(path[moved], reference) / (len(reference) * radius)))


def score_episode(
    positions: np.ndarray,
    distances: Sequence[float],
    reference: np.ndarray,
    *,
    stopped: bool,
    shortest: float,
    radius: float,
    steps: int,
    collisions: int,
    visited_at: int | None = 0,
) -> EpisodeMetrics:
    """
    Score one episode.

    `positions` (n, d) and `distances` (n,) hold where the agent was and how far (geodesic) from
    the goal, from the start on, one entry per action after it. Success: STOP was called and the
    last distance is < `radius`, strictly. Oracle success: any distance is < `radius`. `visited_at`
    is the number of the position at which all places that the instruction demands along the way
    had been visited, None if they never were: neither success counts before. VLN-CE's own episodes
    demand none.
    Raises ValueError for lengths that do not fit.
    """
    positions = _positions(positions)
    if len(distances) != len(positions):
        raise ValueError(
            f'{len(distances)} distances for {len(positions)} positions; one for each is needed'
        )
    counted = [] if visited_at is None else distances[visited_at:]
    success = bool(stopped and len(counted) and distances[-1] < radius)
    travelled = path_length(positions)
    similarity = ndtw(positions, reference, radius)
    return EpisodeMetrics(
        ne=float(distances[-1]),
        os=float(min(counted, default=math.inf) < radius),
        sr=float(success),
        spl=spl(success, shortest, travelled),
        ndtw=similarity,
        sdtw=success * similarity,
        steps=steps,
        collisions=collisions,
        path_length=travelled,
    )


def bootstrap_interval(values: Sequence[float]) -> tuple[float, float]:
    """
    Return the mean's percentile bootstrap interval (Efron 1979) of 95 % confidence.

    The same for the same values. One value is its own interval; none raises ValueError.
    """
    if len(values) == 0:
        raise ValueError('no values to take an interval of')
    if len(values) == 1:
        return float(values[0]), float(values[0])
    from scipy.stats import bootstrap  # takes a second, which workers need not wait

    low, high = bootstrap(
        (np.asarray(values, dtype=np.float64),),
        np.mean,
        n_resamples=2000,
        batch=max(1, 2_000_000 // len(values)),  # bounds the memory of the resamples
        method='percentile',
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(low), float(high)


def summarise(records: Iterable[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """
    Return {metric: {mean, low, high}} and {'episodes': {mean: n}} of episode scores.

    `low` and `high` bound the mean with 95 % confidence.
    """
    records = list(records)
    summary: dict[str, dict[str, float]] = {'episodes': {'mean': len(records)}}
    if records:
        for name in METRICS:
            values = [float(record[name]) for record in records]
            low, high = bootstrap_interval(values)
            summary[name] = {'mean': float(np.mean(values)), 'low': low, 'high': high}
    return summary


def summarise_by(records: Iterable[Mapping], key: str) -> dict[str, dict[str, dict[str, float]]]:
    """Return a summary for each value of `key`, in sorted order."""
    groups: dict[str, list[Mapping]] = {}
    for record in records:
        groups.setdefault(str(record[key]), []).append(record)
    return {name: summarise(groups[name]) for name in sorted(groups)}


def _positions(positions: np.ndarray) -> np.ndarray:
    positions = np.asarray(positions, dtype=np.float64)
    if positions.ndim != 2 or len(positions) == 0:
        raise ValueError(
            f'positions of shape {positions.shape}; at least one, as (n, 2) or (n, 3), is needed'
        )
    return positions
