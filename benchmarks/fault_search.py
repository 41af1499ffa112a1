"""
Search for an order of actions and faults after which the robot goes too far.

    python benchmarks/fault_search.py --runs 2000 --seed 1

Each run drives the executor on a model of a base, without ROS, and breaks its odometry, wheels,
clock and link in random order (test/support/fault_machine.py). From a fault's begin the base may
go one step more, 0.40 m and 25 degrees, has to be told zero within the fault's limit, and stands
until the next action. Ends with status 1 at the first run that does not hold, made as short as it
can be.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
import traceback

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1] / 'test' / 'support'))

from fault_machine import FaultMachine


def main(argv: list[str] | None = None) -> int:
    """Search and tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--runs', type=int, default=2000, help='default: %(default)s')
    parser.add_argument('--steps', type=int, default=15, help='of a run (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    options = parser.parse_args(argv)
    bar = tqdm(total=options.runs, unit='run')

    class Counted(FaultMachine):
        def teardown(self) -> None:
            super().teardown()
            bar.update()

    seed(options.seed)(Counted)
    try:
        run_state_machine_as_test(
            Counted,
            settings=settings(
                max_examples=options.runs,
                stateful_step_count=options.steps,
                deadline=None,
                database=None,
                report_multiple_bugs=False,
                phases=(Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
            ),
        )
    except AssertionError as error:
        bar.close()
        line = traceback.extract_tb(error.__traceback__)[-1].line
        print(line, error, *getattr(error, '__notes__', []), sep='\n', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        bar.close()
        print(f'\ninterrupted after {bar.n} runs without a violation', file=sys.stderr)
        return 130
    bar.close()
    print(f'{bar.n} runs with seed {options.seed}: no violation')
    return 0


if __name__ == '__main__':
    sys.exit(main())
