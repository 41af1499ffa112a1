"""
Break a robot in every way that docs/safety.md tells of, and see how far it still goes.

    python benchmarks/fault_matrix.py                         # all of it: over an hour
    python benchmarks/fault_matrix.py --only 'e-stop'         # rows whose name matches
    python benchmarks/fault_matrix.py --write docs/safety.md  # puts what it finds in that table

Each trial has processes of its own: motion_executor, a base, and a navigator where the fault is
one of it. A robot that drives, or turns, is broken; the same action is asked for again and again
for a while; then nothing is asked. Prints tables in Markdown: how far the base really went after
the fault's begin, when zero was commanded for good, and what the user is told. Ends with status 1
when a row goes farther than a step (0.40 m, 25 degrees), is late, does not stand at the end, or
nobody says why.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import re
import signal
import sys

sys.path.insert(0, str(Path(__file__).parents[1] / 'test' / 'support'))

from matrix.table import cells, ROWS, table, write
from matrix.trial import tried
from tqdm import tqdm


def main(argv: list[str] | None = None) -> int:
    """Try all rows and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--only', default='', metavar='PATTERN', help='rows whose name holds it')
    parser.add_argument('--list', action='store_true', help='print the table without trying')
    parser.add_argument('--write', type=Path, metavar='FILE', help='put each row in its table')
    options = parser.parse_args(argv)
    rows = [row for row in ROWS if re.search(options.only, row.name)]
    if not rows:
        parser.error(f'--only {options.only}: no row has such a name; --list prints them')
    if options.list:
        print(table({}, rows))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the processes end with this one
    broken, measured = [], {}
    try:
        for row in tqdm(rows, unit='row'):
            seen = {mode: [tried(row, mode, wish) for wish in row.wishes] for mode in row.modes}
            measured[row.name] = cells(row, seen)
            tqdm.write(row.declared + measured[row.name])
            wrong = {one.wrong for mode in seen.values() for one in mode if one.wrong}
            broken += [f'{row.name}: {one}' for one in sorted(wrong)]
            if options.write:
                write(options.write, {row.name: measured[row.name]})
    except KeyboardInterrupt:
        print(f'\ninterrupted after {len(measured)} of {len(rows)} rows', file=sys.stderr)
        return 130
    print(f'\n{len(rows)} rows, {len(broken)} broken', *broken, sep='\n  ')
    return 1 if broken else 0


if __name__ == '__main__':
    sys.exit(main())
