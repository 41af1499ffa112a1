"""The report of a replay: one HTML file that opens from disk and needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
import statistics
from typing import NamedTuple

import cv2
from janusvln_ros.actions import ACTION_NAMES
from janusvln_ros.imaging.depth import draw_depth, marks, scale_colours, stripes
from janusvln_ros.imaging.page import data_url, png_url, render
from janusvln_ros.recordings.timeline import RecordedPath
from janusvln_ros.replay.compare import Comparison
from janusvln_ros.replay.decisions import format_stamp
from janusvln_ros.replay.run import Outcome, Seen, Step, timing_line
import numpy as np

MAX_PICTURES = 240  # some 12 kB each
PICTURE_WIDTH = 400  # pixels
MAX_PATH_POINTS = 3000
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 72]


class Thumbnail(NamedTuple):
    """Pictures of a decision's frame, as JPEG files."""

    number: int  # of the decision
    camera: bytes
    depth: bytes = b''  # where it was asked for
    title: str = ''  # of the depth
    metric: bool = False


class Thumbnails:
    """
    Small pictures of the decisions' frames, evenly thinned out so that memory stays bounded.

    Holds at most MAX_PICTURES JPEG files: when full, every second one goes, and from then on only
    every second one, every fourth one, ... comes in.
    """

    def __init__(self, limit: int = MAX_PICTURES) -> None:
        self.pictures: list[Thumbnail] = []
        self._limit = limit
        self._stride = 1
        self._count = 0

    def add(self, step: Step, seen: Seen) -> None:
        """Take in the frame of the next decision."""
        if self._count % self._stride == 0:
            if len(self.pictures) == self._limit:
                self._stride *= 2
                self.pictures = [p for p in self.pictures if p.number % self._stride == 0]
            if self._count % self._stride == 0:
                self.pictures.append(_thumbnail(self._count, seen))
        self._count += 1

    def close(self) -> None:
        """Do nothing: all is in memory."""


def _thumbnail(number: int, seen: Seen) -> Thumbnail:
    height, width = seen.rgb.shape[:2]
    if width > PICTURE_WIDTH:
        width, height = PICTURE_WIDTH, max(1, round(height * PICTURE_WIDTH / width))
    camera = _jpeg(cv2.resize(seen.rgb, (width, height), interpolation=cv2.INTER_AREA))
    if seen.depth is None:
        return Thumbnail(number, camera)
    depth = seen.depth.picture
    picture = _jpeg(draw_depth(depth, width, height))
    return Thumbnail(number, camera, picture, depth.title, depth.metric)


def _jpeg(rgb: np.ndarray) -> bytes:
    return cv2.imencode('.jpg', rgb[..., ::-1], _JPEG)[1].tobytes()


@dataclass(frozen=True)
class ReportHeader:
    """
    What a report is about.

    `facts` are pairs of a name and a value for its head; `path` the odometry, if any;
    `comparisons` pairs of what was compared with and the result.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    path: RecordedPath
    comparisons: Sequence[tuple[str, Comparison]]
    random_weights: bool


def write_report(
    target: Path, header: ReportHeader, outcome: Outcome, thumbnails: Thumbnails
) -> None:
    """Write the report to `target`."""
    steps = outcome.steps
    warnings = list(outcome.problems)
    if outcome.interrupted:
        warnings.insert(0, 'interrupted: only the decisions until then are shown')
    if header.random_weights:
        warnings.insert(0, 'the checkpoint is a random one: its answers mean nothing')
    data = {
        'episodes': _episodes(steps),
        'steps': [_step(step, header.path) for step in steps],
        'pictures': [
            [one.number, data_url('image/jpeg', one.camera)] for one in thumbnails.pictures
        ],
        'depths': [
            [data_url('image/jpeg', one.depth), one.title, one.metric]
            for one in thumbnails.pictures
            if one.depth
        ],
        'marks': {'metres': marks(True), 'relative': marks(False)},
        'path': _thinned(header.path),
    }
    page = render(
        'replay/report.html',
        title=header.title,
        tiles=_tiles(header, steps),
        warnings=warnings,
        facts=header.facts,
        comparisons=header.comparisons,
        data=data,
        depth_scale=png_url(scale_colours(256)[None]),
        depth_unknown=png_url(stripes(36, 18)),
        decisions=''.join(f'{s.decision.to_line()}\n' for s in steps),
        timing=''.join(f'{timing_line(s)}\n' for s in steps),
    )
    target.write_text(page, encoding='utf-8')


def _episodes(steps: Sequence[Step]) -> list[dict]:
    """Give each episode's number, instruction, and first decision."""
    episodes: list[dict] = []
    for i, d in enumerate(step.decision for step in steps):
        if not episodes or episodes[-1]['number'] != d.episode:
            episodes.append({'number': d.episode, 'instruction': d.instruction, 'first': i})
    return episodes


def _step(step: Step, path: RecordedPath) -> dict:
    d, t = step.decision, step.timing
    pose = None if d.stamp is None else path.pose_at(d.stamp)
    return {
        'episode': d.episode,
        'step': d.step,
        'frame': d.frame,
        'stamp': None if d.stamp is None else format_stamp(d.stamp),
        'action': ACTION_NAMES.index(d.action),
        'p': [round(p, 5) for p in d.probabilities],
        'latency': round(t.total, 5),
        'memory': [t.memory_frames, t.memory_capacity, t.memory_bytes],
        'recorded': None if step.recorded is None else step.recorded.action,
        'pose': None if pose is None else [round(v, 4) for v in pose],
    }


def _thinned(path: RecordedPath) -> list[list[list[float]]]:
    """Give some MAX_PATH_POINTS points of the path in all, divided where it jumps."""
    share = max(1, -(-len(path) // MAX_PATH_POINTS))
    parts = []
    for part in path.stretches() if len(path) else ():
        chosen = [*part[::share], part[-1]]
        parts.append([[round(path.x[i], 3), round(path.y[i], 3)] for i in chosen])
    return parts


def _tiles(header: ReportHeader, steps: Sequence[Step]) -> list[tuple[str, str]]:
    """Summarise in a few large numbers: pairs of a number and what it is."""
    tiles = [(str(len(steps)), 'decisions')]
    episodes = len({s.decision.episode for s in steps})
    tiles.append((str(episodes), 'episode' if episodes == 1 else 'episodes'))
    for name, result in header.comparisons:
        share = f'{result.percentage:.4g} %' if result.steps else '-'
        tiles.append((share, f'equal to {name}'))
    if steps:
        latencies = sorted(s.timing.total for s in steps)
        tiles.append((_seconds(statistics.median(latencies)), 'latency, median'))
        tiles.append((_seconds(latencies[int(0.95 * (len(latencies) - 1))]), 'latency, 95 %'))
        peak = max(s.timing.memory_frames for s in steps)
        tiles.append((f'{peak} / {steps[-1].timing.memory_capacity}', 'frames in memory, most'))
        bytes_ = max(s.timing.memory_bytes for s in steps)
        tiles.append((_mebibytes(bytes_), 'memory, most'))
    if len(header.path):
        tiles.append((f'{header.path.length():.2f} m', 'driven'))
    return tiles


def _mebibytes(value: int) -> str:
    return f'{value / 2**20:.1f} MiB' if value < 2**30 else f'{value / 2**30:.2f} GiB'


def _seconds(value: float) -> str:
    return f'{1000 * value:.0f} ms' if value < 10 else f'{value:.1f} s'
