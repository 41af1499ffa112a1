"""The table of the matrix: its sections, its lines, and its place in a document."""

from __future__ import annotations

import fcntl
import math
from pathlib import Path

from matrix.master_rows import COMMANDERS, EXECUTOR
from matrix.navigator_rows import CAMERA, NAVIGATOR, POLICY, SIMULATOR
from matrix.robot_rows import E_STOP, ODOMETRY, TIME
from matrix.row import Row
from matrix.sensor_rows import SENSORS
from matrix.trial import Seen

SECTIONS: dict[str, tuple[Row, ...]] = {
    'E-stop': E_STOP,
    'Odometry and wheels': ODOMETRY,
    'Time': TIME,
    'Obstacles and their sensors': SENSORS,
    'Who commands': COMMANDERS,
    'The executor': EXECUTOR,
    'The policy': POLICY,
    'The navigator': NAVIGATOR,
    'The camera': CAMERA,
    'The simulator': SIMULATOR,
}
ROWS = [row for rows in SECTIONS.values() for row in rows]
_BEGIN, _END = '<!-- fault matrix -->', '<!-- end of the fault matrix -->'
_HEADER = (
    '| fault | the robot; then | zero within | driven, turned after: step; continuous '
    '| zero after | what is told |\n| --- | --- | --- | --- | --- | --- |'
)
_UNTRIED = ' not tried | | |'


def cells(row: Row, seen: dict[str, list[Seen]]) -> str:
    """Return the worst of a row's trials, by mode, as the cells after those it declares."""
    ways, zeros = [], []
    for mode in seen.values():
        way, turned = max(one.way for one in mode), max(one.turned for one in mode)
        ways.append(f'{way:.2f} m, {turned:.0f}°')
        zero = max(one.zero for one in mode)
        zeros.append(f'{zero:.2f} s' if math.isfinite(zero) else 'never')
    if row.limit is None:
        zeros = ['—']
    trials = [one for mode in seen.values() for one in mode]
    told = next((one.message for one in trials if one.message), '').replace('|', '/')
    wrong = '; '.join(sorted({one.wrong for one in trials if one.wrong})).replace('|', '/')
    told = ' '.join(told.split()) + (f' **BROKEN: {wrong}**' if wrong else '')
    return f' {"; ".join(ways)} | {"; ".join(zeros)} | {told} |'


def table(measured: dict[str, str], rows: list[Row] | None = None) -> str:
    """Return the tables of all sections, or of some rows; measured: by a row's name."""
    parts = []
    for section, own in SECTIONS.items():
        lines = [
            row.declared + measured.get(row.name, _UNTRIED)
            for row in own
            if rows is None or row in rows
        ]
        if lines:
            parts.append('\n'.join((f'### {section}\n', _HEADER, *lines)))
    return '\n\n'.join(parts)


def write(path: Path, measured: dict[str, str]) -> None:
    """
    Put the tables between the marks of a document; what it tells of other rows stays.

    ValueError for a document without marks.
    """
    with open(path, 'r+') as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # of several such commands each writes its own rows
        text = file.read()
        before, begins, rest = text.partition(_BEGIN)
        old, ends, after = rest.partition(_END)
        if not (begins and ends):
            raise ValueError(f'{path} has no place for the table: {_BEGIN} ... {_END}')
        known = {
            row.name: line.removeprefix(row.declared)
            for line in old.splitlines()
            for row in ROWS
            if line.startswith(f'| {row.name} |') and line.startswith(row.declared)
        }
        file.seek(0)
        file.write(f'{before}{_BEGIN}\n\n{table(known | measured)}\n\n{_END}{after}')
        file.truncate()
