"""`janusvln depth`: a checkpoint's depth head against what the simulator knows, in metres."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
import math
import sys
from typing import NamedTuple

from janusvln_ros.arguments import one_line, whole
from janusvln_ros.episodes import splits
from janusvln_ros.episodes.grammar import CATEGORIES
from janusvln_ros.evaluation.agents import ExpertAgent
from janusvln_ros.evaluation.environment import HouseEnvironment
from janusvln_ros.parameters import add_options, chosen
from janusvln_ros.policy.interface import Policy
from janusvln_ros.policy.load import load_policy
from janusvln_ros.policy.metric_depth import DepthParameters, MetricDepth
from janusvln_ros.policy.network.config import CheckpointError
from janusvln_ros.policy.options import PolicyOptions
from janusvln_ros.policy.pinhole import as_encoder_sees, Pinhole
from janusvln_ros.policy.scale import Scale
from janusvln_ros.sim.physics import WHEEL_SEPARATION
import numpy as np
from tqdm import tqdm

FAR = 5.0  # m, beyond which depth is not judged
DRIVEN = 2.0  # m, from which on the scale by odometry is judged
_WHEEL_ERROR = 0.02  # relative standard deviation of each wheel's radius, as driven walks have it
_FACTOR = 1.25  # within which depth counts as right


class Judged(NamedTuple):
    """One frame's depth: errors over the pixels up to FAR."""

    absolute: float  # mean of |depth / truth - 1|
    right: float  # share within a factor of 1.25
    scaled_absolute: float  # the same two with the factor that fits best
    scaled_right: float
    scale: Scale
    true_scale: float  # median of truth / prediction, metres per unit
    by_odometry: Scale | None = None  # None: not asked for, or not driven far enough


class Odometer:
    """Dead reckoning of a robot that drives as told, by wheels whose radii are not quite known."""

    def __init__(self, pose: tuple[float, float, float], seed: int) -> None:
        """Begin at a pose: x, y in metres, yaw in radians; seed: draws the wheels' errors."""
        self._left, self._right = np.random.default_rng([4, seed]).normal(1, _WHEEL_ERROR, 2)
        self._before, self._yaw = pose, pose[2]
        self.place = np.array(pose[:2])  # where odometry has the robot, metres
        self.way = 0.0  # m driven, by odometry

    def drive(self, pose: tuple[float, float, float]) -> None:
        """Move to another true pose, less than half a turn away."""
        (x, y, yaw), (x0, y0, yaw0) = pose, self._before
        turn = math.remainder(yaw - yaw0, math.tau)
        middle = yaw0 + turn / 2
        ahead = (x - x0) * math.cos(middle) + (y - y0) * math.sin(middle)
        arc = turn * WHEEL_SEPARATION / 2
        left, right = self._left * (ahead - arc), self._right * (ahead + arc)
        turned, driven = (right - left) / WHEEL_SEPARATION, (left + right) / 2
        middle = self._yaw + turned / 2
        self.place = self.place + driven * np.array([math.cos(middle), math.sin(middle)])
        self.way += abs(driven)
        self._yaw += turned
        self._before = pose


def walk(policy: Policy, split: splits.Split, image_width: int) -> Iterator[Judged]:
    """Let the expert walk through the split's episodes and judge what the policy says."""
    environment, expert = HouseEnvironment(split), ExpertAgent()
    camera = environment.camera
    lens = Pinhole.of_field(camera.width, camera.height, camera.hfov)
    mounted = DepthParameters(camera_height=camera.elevation, camera_tilt=camera.tilt)
    try:
        for key in environment.keys(list(CATEGORIES)):
            policy.reset(environment.reset(key).instruction.text)
            expert.begin(environment)
            metric, by_odometry = MetricDepth(mounted), MetricDepth()
            odometer = Odometer(environment.world.pose, key)
            while not environment.over:
                rgb = environment.render()
                truth = as_encoder_sees(environment.world.depth(), image_width)
                geometry = policy.step(rgb, geometry=True).geometry
                if geometry is None:
                    raise ValueError('the policy was loaded without its depth head')
                metric.measure(geometry, lens)
                judged = judge(geometry.depth, truth, metric.scale)
                if geometry.points is not None:
                    by_odometry.measure(geometry, lens, odometer.place)
                    if odometer.way >= DRIVEN:
                        judged = judged._replace(by_odometry=by_odometry.scale)
                yield judged
                environment.step(expert.act(None))
                odometer.drive(environment.world.pose)
    finally:
        environment.close()


def judge(depth: np.ndarray, truth: np.ndarray, scale: Scale) -> Judged:
    """Compare depth in units with the truth in metres, both (H, W)."""
    near = truth <= FAR
    depth, truth = depth[near], truth[near]
    fitting = float(np.median(truth / depth)) if near.any() else math.nan

    def errors(factor: float) -> tuple[float, float]:
        ratio = factor * depth / truth
        right = np.maximum(ratio, 1 / ratio) < _FACTOR
        return float(np.abs(ratio - 1).mean()), float(right.mean())

    return Judged(*errors(scale.value), *errors(fitting), scale, fitting)


def tell(frames: Sequence[Judged]) -> str:
    """Say in lines how good it was."""
    metric = [frame for frame in frames if frame.scale.known]
    lines = [
        f'{len(frames)} frames, pixels up to {FAR:g} m; {len(metric)} with metres from the '
        'mounted height'
    ]
    if metric:
        lines += [
            f'metric depth: AbsRel {np.mean([f.absolute for f in metric]):.3f}, '
            f'delta_1 {np.mean([f.right for f in metric]):.3f}',
            f'scale: {_off([(frame.scale, frame.true_scale) for frame in metric])}',
        ]
    if driven := [(f.by_odometry, f.true_scale) for f in frames if f.by_odometry is not None]:
        known = [(scale, true) for scale, true in driven if scale.known]
        lines.append(
            f'scale by odometry after {DRIVEN:g} m: known in {len(known)} of {len(driven)} frames'
            + (f', {_off(known)}' if known else '')
        )
    lines.append(
        f'relative depth (each frame by its best factor): '
        f'AbsRel {np.mean([f.scaled_absolute for f in frames]):.3f}, '
        f'delta_1 {np.mean([f.scaled_right for f in frames]):.3f}'
    )
    return '\n'.join(lines)


def _off(scales: Sequence[tuple[Scale, float]]) -> str:
    """Say how far scales are off the true ones, metres per unit."""
    off = np.array([abs(scale.value / true - 1) for scale, true in scales])
    inside = [abs(scale.value - true) <= 2 * scale.spread for scale, true in scales]
    return (
        f'off by {100 * np.median(off):.1f} % (median), {100 * np.quantile(off, 0.9):.1f} % (nine '
        f'of ten), within two deviations in {100 * np.mean(inside):.1f} % of the frames'
    )


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    result = argparse.ArgumentParser(prog='janusvln depth', description=__doc__)
    result.add_argument(
        'checkpoint', metavar='CHECKPOINT', help='folder of a checkpoint with a depth head'
    )
    result.add_argument('--split', default='val_unseen', help='default: %(default)s')
    result.add_argument('--frames', type=whole(1), default=500, help='default: %(default)s')
    result.add_argument(
        '--odometry',
        action='store_true',
        help='measure the scale by odometry, too, whose wheels are 2 %% off; takes a point head',
    )
    names = 'device', 'dtype', 'memory_mode', 'initial_frames', 'recent_frames', 'threads'
    add_options(result, PolicyOptions, *names)
    return result


def main(argv: list[str] | None = None) -> int:
    """Walk and tell; 2 for what is wrong with the arguments or the checkpoint, 130 for Ctrl-C."""
    usage = parser()
    arguments = usage.parse_args(argv)
    frames: list[Judged] = []
    status = 0
    try:
        split = splits.find_split(arguments.split)
        arguments.geometry_heads = 'points' if arguments.odometry else 'depth'
        policy = load_policy(chosen(PolicyOptions, arguments))
        with tqdm(total=arguments.frames, unit='frame', disable=None) as bar:
            for judged in walk(policy, split, policy.image_width):
                frames.append(judged)
                bar.update()
                if len(frames) == arguments.frames:
                    break
    except (ValueError, CheckpointError) as error:
        print(f'janusvln depth: {one_line(error)}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('interrupted: what was judged so far is told', file=sys.stderr)
        status = 130
    if frames:
        print(tell(frames))
    return status


if __name__ == '__main__':
    raise SystemExit(main())
