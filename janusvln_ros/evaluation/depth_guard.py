"""`janusvln depth_guard`: drives that are to end in time by a checkpoint's depth alone."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import islice
import math
import sys
from typing import NamedTuple

from janusvln_ros.actions import Action, TURN_STEP
from janusvln_ros.arguments import one_line, whole
from janusvln_ros.episodes import splits
from janusvln_ros.episodes.approaches import Approach, approaches, FREE_WAY, Target, way_ahead
from janusvln_ros.episodes.driven import DrivenWorld, PERIOD
from janusvln_ros.episodes.scene import scene_of
from janusvln_ros.motion.types import Result
from janusvln_ros.parameters import add_options, chosen
from janusvln_ros.policy.interface import Policy
from janusvln_ros.policy.load import load_policy
from janusvln_ros.policy.metric_depth import DepthParameters, MetricDepth
from janusvln_ros.policy.network.config import CheckpointError
from janusvln_ros.policy.options import PolicyOptions
from janusvln_ros.policy.pinhole import Pinhole
from janusvln_ros.sim.house import ROBOT_RADIUS
import numpy as np
from tqdm import tqdm

# Before a drive the robot looks a quarter to the left and to the right, so that it sees the floor.
_QUARTER = round(math.pi / 2 / TURN_STEP)
_TURNS = (
    *(Action.TURN_LEFT,) * _QUARTER,
    *(Action.TURN_RIGHT,) * (2 * _QUARTER),
    *(Action.TURN_LEFT,) * _QUARTER,
)
_EARLY = 1.0  # m before a thing: who stands there already is counted besides
_EXECUTOR = {
    'guessed_depth': 'stop',
    'robot_front': ROBOT_RADIUS,
    'robot_rear': ROBOT_RADIUS,
    'robot_half_width': ROBOT_RADIUS,
}


class End(Enum):
    """How a drive ended."""

    STOOD = 'stood'
    TOUCHED = 'touched'
    UNKNOWN = 'stood without depth'
    THROUGH = 'drove to the end'


class Drive(NamedTuple):
    """What came of one."""

    target: Target
    end: End
    left: float  # m that were free ahead at the end

    @property
    def right(self) -> bool:
        """Tell whether it ended as it should."""
        return self.end is (End.THROUGH if self.target is Target.NOTHING else End.STOOD)


class Driver:
    """Lets a policy look and the executor drive."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._world: DrivenWorld | None = None
        self._touched = False

    def close(self) -> None:
        """Free the drawing context."""
        if self._world is not None:
            self._world.close()

    def drive(self, approach: Approach) -> Drive:
        """Drive; ValueError where the policy was loaded without its depth head."""
        house = scene_of(approach.episode.scene_id).house
        if self._world is None:
            self._world = world = DrivenWorld(house, parameters=_EXECUTOR)
            world.watch = lambda _: self._feel(world)
        world = self._world
        world.load(house)
        world.reset(*approach.start)
        world.rest(PERIOD)
        self._touched = False
        self._policy.reset(approach.episode.instruction.text)
        self._metric = MetricDepth(
            DepthParameters(camera_height=world.camera.elevation, camera_tilt=world.camera.tilt)
        )
        for turn in _TURNS:
            self._look(world)
            world.step(turn)
        end = self._ahead(world, approach)
        return Drive(approach.target, end, way_ahead(house.obstacles(), *world.pose).free)

    def _ahead(self, world: DrivenWorld, approach: Approach) -> End:
        """Drive ahead until the robot stands or the way is done."""
        x, y, _ = approach.start
        while (
            math.dist((x, y), world.pose[:2]) < FREE_WAY or approach.target is not Target.NOTHING
        ):
            self._look(world)
            world.step(Action.MOVE_FORWARD)
            result = world.status.result
            if self._touched:
                return End.TOUCHED
            if result is Result.BLOCKED:
                return End.STOOD
            if result is not Result.SUCCEEDED:
                return End.UNKNOWN
        return End.THROUGH

    def _look(self, world: DrivenWorld) -> None:
        """Let the policy see, and the executor hear of depth where it is known in metres."""
        camera = world.camera
        geometry = self._policy.step(world.render(), geometry=True).geometry
        if geometry is None:
            raise ValueError('the policy was loaded without its depth head')
        lens = Pinhole.of_field(camera.width, camera.height, camera.hfov)
        measured = self._metric.measure(geometry, lens)
        if measured is not None:
            seen = measured.camera
            world.show_depth(measured.depth, (seen.fx, seen.fy), (seen.cx, seen.cy))

    def _feel(self, world: DrivenWorld) -> None:
        self._touched = self._touched or world.touches


def drives(policy: Policy, split: splits.Split, count: int) -> Iterator[Drive]:
    """Drive at walls and furniture, `count` times in all, and as often where the way is free."""
    driver = Driver(policy)
    try:
        for target, number in (
            (Target.WALL, count - count // 2),
            (Target.FURNITURE, count // 2),
            (Target.NOTHING, count),
        ):
            for approach in islice(approaches(split, target), number):
                yield driver.drive(approach)
    finally:
        driver.close()


def tell(done: Iterable[Drive]) -> str:
    """Say in a table how the drives ended."""
    done = list(done)
    rows = [
        f'| drives at | as it should | {" | ".join(end.value for end in End)} | '
        f'stood with more than {_EARLY:g} m left | m left: median (least to most) |',
        '| --- ' * (4 + len(End)) + '|',
    ]
    for target in Target:
        mine = [drive for drive in done if drive.target is target]
        if not mine:
            continue
        left = np.array([drive.left for drive in mine if drive.end is End.STOOD])
        gap = f'{np.median(left):.2f} ({left.min():.2f} to {left.max():.2f})' if left.size else ''
        early = int((left > _EARLY).sum())
        counts = ' | '.join(str(sum(drive.end is end for drive in mine)) for end in End)
        right = sum(drive.right for drive in mine)
        rows.append(f'| {target.value} | {right} of {len(mine)} | {counts} | {early} | {gap} |')
    return '\n'.join(rows)


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    result = argparse.ArgumentParser(prog='janusvln depth_guard', description=__doc__)
    result.add_argument(
        'checkpoint', metavar='CHECKPOINT', help='folder of a checkpoint with a depth head'
    )
    result.add_argument('--split', default='val_unseen', help='default: %(default)s')
    result.add_argument(
        '--drives',
        type=whole(1),
        default=40,
        help='approaches, and as many where nothing is in the way; default: %(default)s',
    )
    names = 'device', 'dtype', 'memory_mode', 'initial_frames', 'recent_frames', 'threads'
    add_options(result, PolicyOptions, *names)
    return result


def main(argv: list[str] | None = None) -> int:
    """Drive and tell; 2 for what is wrong with the arguments or the checkpoint, 130 for Ctrl-C."""
    usage = parser()
    arguments = usage.parse_args(argv)
    done: list[Drive] = []
    status = 0
    try:
        split = splits.find_split(arguments.split)
        arguments.geometry_heads = 'depth'
        policy = load_policy(chosen(PolicyOptions, arguments))
        with tqdm(total=2 * arguments.drives, unit='drive', disable=None) as bar:
            for drive in drives(policy, split, arguments.drives):
                done.append(drive)
                bar.update()
    except (ValueError, CheckpointError) as error:
        print(f'janusvln depth_guard: {one_line(error)}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('interrupted: what was driven so far is told', file=sys.stderr)
        status = 130
    if done:
        print(tell(done))
    return status


if __name__ == '__main__':
    raise SystemExit(main())
