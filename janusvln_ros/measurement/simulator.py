"""
How fast the world is here: `python -m janusvln_ros.measurement.simulator`.

Steps of the kinematic world with a picture each, over many houses, changes of the house included;
alone in one process and in as many processes as there are processors.
"""

from __future__ import annotations

import argparse
import json
from multiprocessing import get_context
import os
import sys
import time

from janusvln_ros.actions import Action
from janusvln_ros.sim.camera import CameraModel
from janusvln_ros.sim.generator import generate_house
from janusvln_ros.sim.house import free_start
from janusvln_ros.sim.physics import PhysicsWorld, TIMESTEP
from janusvln_ros.sim.world import KinematicWorld
from janusvln_ros.workers import end_with
import numpy as np


def measure_steps(
    seed: int, *, houses: int, steps: int, rooms: int, width: int, height: int
) -> tuple[float, float]:
    """Give the wall and the CPU seconds that `houses` episodes of `steps` steps take."""
    rng = np.random.default_rng(seed)
    world = KinematicWorld(generate_house(seed, rooms=rooms), camera=CameraModel(width, height))
    world.render()  # the drawing context is made once per process, not once per episode
    begin, begin_cpu = time.perf_counter(), time.process_time()
    for i in range(houses):
        house = generate_house(seed + i, rooms=rooms)
        world.load(house)
        world.reset(*free_start(house))
        forward, *turns = list(Action)[1:]
        for action in rng.choice((forward, forward, forward, *turns), steps).tolist():
            world.render()
            world.step(action)
    seconds = time.perf_counter() - begin, time.process_time() - begin_cpu
    world.close()
    return seconds


def measure_physics(seconds: float) -> float:
    """Give how many simulated seconds pass in one, for a robot that drives."""
    house = generate_house(0, rooms=4)
    world = PhysicsWorld(house, free_start(house))
    begin = time.perf_counter()
    for _ in range(round(seconds / TIMESTEP)):
        world.set_velocity(0.3, 0.5)
        world.step()
    return seconds / (time.perf_counter() - begin)


def main(argv: list[str] | None = None) -> int:
    """Measure and print; --json for one line of JSON."""
    parser = argparse.ArgumentParser(
        prog='python -m janusvln_ros.measurement.simulator', description='Measure the simulator.'
    )
    parser.add_argument('--houses', type=int, default=10, help='houses per process (default 10)')
    parser.add_argument('--steps', type=int, default=60, help='steps per house (default 60)')
    parser.add_argument('--rooms', type=int, default=4, help='rooms per house (default 4)')
    parser.add_argument('--json', action='store_true', help='print one line of JSON')
    options = parser.parse_args(argv)
    processes = len(os.sched_getaffinity(0))
    results: dict[str, float] = {'processors': processes, 'load': os.getloadavg()[0]}
    for width, height in ((160, 120), (320, 240), (640, 480)):
        work = {
            'houses': options.houses,
            'steps': options.steps,
            'rooms': options.rooms,
            'width': width,
            'height': height,
        }
        count = options.houses * options.steps
        # MuJoCo's drawing libraries do not survive a fork.
        with get_context('spawn').Pool(processes, end_with, (os.getpid(),)) as pool:
            alone, cpu = pool.apply(measure_steps, (0,), work)
            jobs = [pool.apply_async(measure_steps, (1000 * i,), work) for i in range(processes)]
            together = max(job.get()[0] for job in jobs)
        results[f'{width}x{height} one process'] = count / alone
        results[f'{width}x{height} {processes} processes'] = processes * count / together
        results[f'{width}x{height} per CPU second'] = count / cpu
    results['physics, times real time'] = measure_physics(20.0)
    if options.json:
        print(json.dumps(results))
        return 0
    print(
        f'steps a second with a picture, {options.rooms} rooms, a new house every '
        f'{options.steps} steps:'
    )
    for name, value in results.items():
        print(f'  {name:<24} {value:8.1f}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
