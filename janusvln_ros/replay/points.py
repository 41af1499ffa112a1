"""What a whole walk has shown: one coloured cloud of points, as a PLY file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from janusvln_ros.policy.pinhole import as_encoder_sees
from janusvln_ros.recordings.mounts import Mount
from janusvln_ros.recordings.timeline import RecordedPath
from janusvln_ros.replay.run import Seen, Step
import numpy as np

REACH = 4.0  # m from the camera, beyond which depth is too vague to be drawn
LIMIT = 1_000_000  # points that are kept at most
VOXEL = 0.02  # m: of points in a cube of this size the one seen from nearest is kept
_STEEP = 0.06  # relative step of depth between pixels that hides a gap
_STALE = 200_000_000  # ns that odometry may be older than a picture
_VERTEX = np.dtype(
    [*((axis, '<f4') for axis in 'xyz'), *((name, 'u1') for name in ('red', 'green', 'blue'))]
)


class Points(NamedTuple):
    """A cloud: places (N, 3) m, float32; colours (N, 3), uint8; distances seen from (N,) m."""

    places: np.ndarray
    colours: np.ndarray
    distances: np.ndarray


class ThinnedCloud:
    """
    A cloud that never has more than some points.

    Cubes have one point each, the one that was seen from nearest; where the cubes are too many,
    they double in size.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.voxel = VOXEL  # m
        self._limit = limit
        self._parts: list[Points] = []
        self.held = 0  # points

    def add(self, points: Points) -> None:
        """Take in points."""
        self._parts.append(points)
        self.held += len(points.places)
        if self.held > 2 * self._limit:
            self.thinned()

    def thinned(self) -> Points:
        """Give at most `limit` points."""
        points = _joined(self._parts)
        while True:
            points = _one_for_each_cube(points, self.voxel)
            if len(points.places) <= self._limit:
                break
            self.voxel *= 2
        self._parts, self.held = [points], len(points.places)
        return points


def _joined(parts: Sequence[Points]) -> Points:
    if not parts:
        return Points(np.empty((0, 3), '<f4'), np.empty((0, 3), np.uint8), np.empty(0, '<f4'))
    return Points(*map(np.concatenate, zip(*parts)))


def _one_for_each_cube(points: Points, size: float) -> Points:
    cubes = np.floor(points.places / size).astype(np.int32)
    order = np.lexsort((points.distances, *cubes.T))
    cubes = cubes[order]
    first = np.ones(len(order), bool)
    first[1:] = (cubes[1:] != cubes[:-1]).any(axis=1)
    chosen = order[first]
    return Points(*(one[chosen] for one in points))


class WalkCloud:
    """
    A replay's cloud: a file for each walk, a walk as long as odometry goes on without a jump.

    Coordinates are those of odometry, z is up from the floor, or from the camera where its height
    is not known.
    """

    def __init__(self, path: Path, odometry: RecordedPath, height: float, mount: Mount) -> None:
        """path: of the first walk's file; height of the camera, m; mount: on odometry's child."""
        self._path, self._odometry, self._height, self._mount = path, odometry, height, mount
        self._walks = odometry.walks()
        self._walk = 0
        self._cloud = ThinnedCloud()
        self._frames = self._relative = self._lost = 0
        self.told: list[str] = []  # what was written, and what was left out

    def add(self, step: Step, seen: Seen) -> None:
        """Take in the points of a frame, once they are known in metres."""
        depth, stamp = seen.depth, seen.frame.stamp
        if depth is None or depth.measured is None:
            self._relative += 1
            return
        pose = None if stamp is None else self._odometry.pose_at(stamp, _STALE)
        if stamp is None or pose is None:
            self._lost += 1
            return
        while self._walk + 1 < len(self._walks) and stamp >= self._walks[self._walk + 1]:
            self._write()
            self._walk += 1
        points = depth.measured.points.reshape(-1, 3)
        colours = as_encoder_sees(seen.rgb, depth.measured.camera.width).reshape(-1, 3)
        near = (points[:, 2] < REACH) & ~_gaps(depth.measured.depth).ravel()
        points = points[near]
        places = self._placed(points, pose)
        self._cloud.add(Points(places, colours[near], points[:, 2]))
        self._frames += 1

    def close(self) -> None:
        """Write what there is."""
        self._write()
        if not self.told:
            self.told.append(f'{self._path} is not written: no frame has points in metres')
        for count, why in (
            (self._relative, 'depth was not known in metres'),
            (self._lost, 'odometry was silent'),
        ):
            if count:
                self.told.append(f'{count} frames are not in the cloud: {why}')

    def _placed(self, points: np.ndarray, pose: tuple[float, float, float]) -> np.ndarray:
        """Place points (N, 3) of the optical frame into that of odometry: float32 (N, 3)."""
        ahead, left, up = self._mount.rotation @ points.T
        ahead, left = ahead + self._mount.place[0], left + self._mount.place[1]
        x, y, yaw = pose
        cos, sin = np.cos(yaw), np.sin(yaw)
        places = x + cos * ahead - sin * left, y + sin * ahead + cos * left, self._height + up
        return np.stack(places, axis=1).astype('<f4')

    def _write(self) -> None:
        """Write the walk's file, if there is anything in it, and begin another cloud."""
        points = self._cloud.thinned()
        if len(points.places):
            number = f'_{self._walk + 1}' if self._walk else ''
            path = self._path.with_stem(f'{self._path.stem}{number}')
            floor = 'the floor' if self._height else 'the camera, whose height is not known'
            write_ply(
                path,
                points,
                f'metres in the frame of odometry, z up from {floor}; depth is a guess by a '
                'network, from one camera',
            )
            self.told.append(
                f'{len(points.places)} points of {self._frames} frames in {path}, one each '
                f'{100 * self._cloud.voxel:g} cm'
            )
        self._cloud, self._frames = ThinnedCloud(), 0


def _gaps(depth: np.ndarray) -> np.ndarray:
    """Tell pixels (H, W) beside a step of depth, which lie between near and far on nothing."""
    steps = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        steep = np.abs(np.diff(np.log(depth), axis=axis)) > _STEEP
        for pad in ((1, 0), (0, 1)):
            steps |= np.pad(steep, [pad if axis == n else (0, 0) for n in (0, 1)])
    return steps


def write_ply(path: Path, points: Points, comment: str) -> None:
    """Write a binary PLY file."""
    vertices = np.empty(len(points.places), _VERTEX)
    for n, axis in enumerate('xyz'):
        vertices[axis] = points.places[:, n]
    for n, name in enumerate(('red', 'green', 'blue')):
        vertices[name] = points.colours[:, n]
    kinds = {'f': 'float', 'u': 'uchar'}
    lines = [
        'ply',
        'format binary_little_endian 1.0',
        f'comment {comment}',
        f'element vertex {len(vertices)}',
        *(f'property {kinds[_VERTEX[name].kind]} {name}' for name in _VERTEX.names or ()),
        'end_header',
    ]
    with path.open('wb') as file:
        file.write('\n'.join(lines).encode() + b'\n')
        vertices.tofile(file)
