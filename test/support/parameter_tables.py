"""The tables of parameters in docs/, made from what is declared."""

from __future__ import annotations

from typing import Any

from janusvln_ros.parameters import Changes, Declaration, flatten


def parameter_tables(kind: type) -> str:
    """Return a table in Markdown for each time at which parameters of a dataclass may change."""
    declared = flatten(kind).values()
    tables = []
    for changes in (
        Changes.ALWAYS,
        Changes.WHEN_STANDING,
        Changes.WHEN_UNCONFIGURED,
        Changes.NEVER,
    ):
        rows = [_row(one) for one in declared if one.changes is changes]
        if rows:
            head = '| parameter | default | range | what it is |\n| --- | --- | --- | --- |'
            tables.append('\n'.join([f'Changes {changes.value}:', '', head, *rows]))
    return '\n\n'.join(tables)


def _row(one: Declaration) -> str:
    if one.choices:
        span = ', '.join(one.choices)
    else:
        span = '' if one.low is None else f'{_number(one.low)} to {_number(one.high)}'
    default = f'{_number(one.default)} {one.unit}'.strip()
    return f'| `{one.name}` | {default} | {span} | {one.description} |'


def _number(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'{value:.4g}' if isinstance(value, float) else str(value)
