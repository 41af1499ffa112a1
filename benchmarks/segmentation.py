"""
How well driving is cut into the policy's steps: both tables of docs/own_robot.md, in Markdown.

    python benchmarks/segmentation.py                    # 200 walks of each mode, 100 drives
    python benchmarks/segmentation.py --walks 20 --drives 10

1. The expert's actions, driven by the motion executor in physics; only odometry is given to the
   segmenter, whose actions are compared with those sent: 1 - edit distance / actions sent.
2. Smooth drives as with a joystick, cut into steps; the steps are driven again from the start, as
   exact steps and by the executor in physics, and end so far from where the drive really ended.

Ends with status 1 when a limit is passed: 99 % of the actions where each is done; a
median of 0.15 m and 8 degrees, and 0.4 m at worst, as exact steps.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import itertools
import math
import sys

from janusvln_ros.actions import Action
from janusvln_ros.episodes.driven import DrivenWorld
from janusvln_ros.episodes.joystick import drive
from janusvln_ros.episodes.scene import scene_of
from janusvln_ros.episodes.splits import build_episode, find_split, route_of
from janusvln_ros.motion.types import Mode
from janusvln_ros.sim.expert import Expert
from janusvln_ros.sim.physics import WheelOdometry
from janusvln_ros.sim.world import KinematicWorld
from janusvln_ros.training.data.segmenter import segment
from janusvln_ros.training.data.track import Track
import numpy as np
from tqdm import tqdm

SPLIT = 'val_unseen'
MOST = 150  # actions of a walk
WHEEL_ERROR = 0.02  # of the body that is driven, as in training
RATES = (5, 10, 20, 50)  # Hz of odometry, in turn
WALKS = {
    'step': (Mode.STEP, None),
    'continuous, each goal reached': (Mode.CONTINUOUS, None),
    'continuous, a decision every 0.5 s': (Mode.CONTINUOUS, 0.5),
}

HEADER = (
    '| execution | walks | actions sent | found as sent | walks without a mistake |'
    ' end off: median, worst |\n| --- | --- | --- | --- | --- | --- |'
)


def recorded(world: DrivenWorld, rate: float) -> Track:
    """Keep the odometry that a world tells from now on, at most so many Hz of it."""
    track, last = Track(), [-math.inf]

    def watch(seen: WheelOdometry) -> None:
        if seen.time >= last[0] + 1.0 / rate - 1e-6:
            last[0] = seen.time
            track.add(round(seen.time * 1e9), seen.x, seen.y, seen.yaw)

    world.watch = watch
    return track


def edits(one: Sequence[int], other: Sequence[int]) -> int:
    """Count what has to be left out, put in or changed to make one of the other."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row, before = [i], row
        for j, b in enumerate(other, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b)))
    return row[-1]


def walk(index: int, mode: Mode, period: float | None) -> tuple[list[int], list[int], list[float]]:
    """Drive an expert; give the actions sent, those found, and how far off they end (m, deg)."""
    episode, _ = build_episode(find_split(SPLIT), index)
    scene = scene_of(episode.scene_id)
    world = DrivenWorld(scene.house, wheel_error=WHEEL_ERROR, mode=mode, period=period)
    world.reset(*episode.start)
    track = recorded(world, RATES[index % len(RATES)])
    expert = Expert(scene.space, route_of(episode))
    sent: list[int] = []
    while len(sent) < MOST:
        try:
            action = expert.act(*world.pose)
        except ValueError:  # pushed to where no way leads from
            break
        sent.append(int(action))
        if action == Action.STOP:
            break
        if world.step(action):
            world.recover()
    world.rest(2.0)
    found = segment(track)
    metres, radians = found.drift.end
    return [a for a in sent if a], found.actions[:-1], [metres, math.degrees(radians)]


def joystick(index: int) -> tuple[np.ndarray, int] | None:
    """Drive by hand and again; give m and degrees off, exactly and in physics, and the steps."""
    episode, _ = build_episode(find_split(SPLIT), index)
    scene = scene_of(episode.scene_id)
    world = DrivenWorld(scene.house)
    world.reset(*episode.start)
    track = recorded(world, RATES[index % len(RATES)])
    if not drive(world, scene.space, route_of(episode), np.random.default_rng([5, index])):
        return None
    end, steps = world.pose, segment(track).actions
    off = []
    for again in (KinematicWorld(scene.house), DrivenWorld(scene.house)):
        again.reset(*episode.start)
        for action in steps:
            if again.step(action) and isinstance(again, DrivenWorld):
                again.recover()
        off += [
            math.dist(again.pose[:2], end[:2]),
            math.degrees(abs(math.remainder(again.pose[2] - end[2], math.tau))),
        ]
    return np.array(off), len(steps)


def again(count: int) -> bool:
    """Print the second table; tell whether the limits are kept."""
    drives = []
    progress = tqdm(total=count, desc='joystick', leave=False)
    for index in itertools.count():
        found = joystick(index)
        if found is not None:
            drives.append(found)
            progress.update()
        if len(drives) == count:
            break
    progress.close()
    off = np.array([one for one, _ in drives])
    print(f'\n{len(drives)} drives of {index + 1} reached their goals; '
          f'{sum(steps for _, steps in drives)} steps\n')  # fmt: skip
    print('| driven again | median | 95 % | worst |\n| --- | --- | --- | --- |')
    for name, column in (('as exact steps', 0), ('by the executor, in physics', 2)):
        cells = [
            f'{m:.3f} m, {degrees:.1f}°'
            for m, degrees in (
                np.median(off, 0)[column : column + 2],
                np.percentile(off, 95, 0)[column : column + 2],
                off.max(0)[column : column + 2],
            )
        ]
        print(f'| {name} | {" | ".join(cells)} |')
    median, worst = np.median(off, 0), off.max(0)
    return bool(median[0] <= 0.15 and median[1] <= 8.0 and worst[0] <= 0.4)


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--walks',
        type=int,
        default=200,
        help='of each mode, a tenth of it in the last row; 0: none',
    )
    parser.add_argument('--drives', type=int, default=100, help='0: none')
    options = parser.parse_args()
    good = True
    print(HEADER if options.walks else '')
    for name, (mode, period) in WALKS.items():
        count = options.walks if period is None else options.walks // 10
        walks = [walk(index, mode, period) for index in tqdm(range(count), name, leave=False)]
        if not walks:
            continue
        wrong = [edits(sent, found) for sent, found, _ in walks]
        total = sum(len(sent) for sent, _, _ in walks)
        share = 1.0 - sum(wrong) / total
        metres, degrees = np.array([off for _, _, off in walks]).T
        print(
            f'| {name} | {len(walks)} | {total} | {100 * share:.2f} % | {wrong.count(0)} | '
            f'{np.median(metres):.2f} m {np.median(degrees):.1f}°, '
            f'{metres.max():.2f} m {degrees.max():.1f}° |',
            flush=True,
        )
        good = good and (period is not None or share >= 0.99)
    return 0 if (again(options.drives) if options.drives else True) and good else 1


if __name__ == '__main__':
    sys.exit(main())
