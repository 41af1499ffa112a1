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
import numpy as np
from tqdm import tqdm

FAR = 5.0  # m, beyond which depth is not judged
_FACTOR = 1.25  # within which depth counts as right


class Judged(NamedTuple):
    """One frame's depth: errors over the pixels up to FAR."""

    absolute: float  # mean of |depth / truth - 1|
    right: float  # share within a factor of 1.25
    scaled_absolute: float  # the same two with the factor that fits best
    scaled_right: float
    scale: Scale
    true_scale: float  # median of truth / prediction, metres per unit


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
            metric = MetricDepth(mounted)
            while not environment.over:
                rgb = environment.render()
                truth = as_encoder_sees(environment.world.depth(), image_width)
                geometry = policy.step(rgb, geometry=True).geometry
                if geometry is None:
                    raise ValueError('the policy was loaded without its depth head')
                metric.measure(geometry, lens)
                yield judge(geometry.depth, truth, metric.scale)
                environment.step(expert.act(None))
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
        off = np.array([abs(frame.scale.value / frame.true_scale - 1) for frame in metric])
        inside = [
            abs(frame.scale.value - frame.true_scale) <= 2 * frame.scale.spread for frame in metric
        ]
        lines += [
            f'metric depth: AbsRel {np.mean([f.absolute for f in metric]):.3f}, '
            f'delta_1 {np.mean([f.right for f in metric]):.3f}',
            f'scale: off by {100 * np.median(off):.1f} % (median), '
            f'{100 * np.quantile(off, 0.9):.1f} % (nine of ten), within two deviations in '
            f'{100 * np.mean(inside):.1f} % of the frames',
        ]
    lines.append(
        f'relative depth (each frame by its best factor): '
        f'AbsRel {np.mean([f.scaled_absolute for f in frames]):.3f}, '
        f'delta_1 {np.mean([f.scaled_right for f in frames]):.3f}'
    )
    return '\n'.join(lines)


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    result = argparse.ArgumentParser(prog='janusvln depth', description=__doc__)
    result.add_argument(
        'checkpoint', metavar='CHECKPOINT', help='folder of a checkpoint with a depth head'
    )
    result.add_argument('--split', default='val_unseen', help='default: %(default)s')
    result.add_argument('--frames', type=whole(1), default=500, help='default: %(default)s')
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
        arguments.geometry_heads = 'depth'
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
