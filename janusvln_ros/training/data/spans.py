"""When which instruction held: a text file of spans, or the messages of a bag."""

from __future__ import annotations

from dataclasses import dataclass
import math
from pathlib import Path

_SINCE_EPOCH = 1e8  # s: times beyond are of the clock, others since the bag's beginning


@dataclass(frozen=True)
class Span:
    """An instruction, and from when to when it held: s since the bag's beginning, or epoch."""

    begin: float
    end: float
    instruction: str

    def nanoseconds(self, first: int) -> tuple[int, int | None]:
        """Give begin and end in ns of recording, in a bag that begins at `first`; None: open."""
        begin, end = (
            None if math.isinf(s) else round(s * 1e9) + (0 if s > _SINCE_EPOCH else first)
            for s in (self.begin, self.end)
        )
        return begin or 0, end


def read_spans(path: Path) -> list[Span]:
    """
    Read lines of `BEGIN END INSTRUCTION`: seconds since the bag's beginning, or since 1970.

    `-` as END: to the bag's end. Empty lines, and those that begin with #, are left out. Raises
    ValueError naming the line that is wrong.
    """
    spans: list[Span] = []
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not UTF-8: {error}') from None
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith('#'):
            continue
        where = f'{path}, line {number}'
        parts = line.split(maxsplit=2)
        if len(parts) < 3:
            raise ValueError(
                f'{where}: {line.strip()!r} is no span; right is: BEGIN END INSTRUCTION, '
                'as in "0 35.2 go to the door"'
            )
        try:
            begin = float(parts[0])
            end = math.inf if parts[1] == '-' else float(parts[1])
        except ValueError:
            raise ValueError(f'{where}: {parts[0]} {parts[1]} are no seconds') from None
        if not 0 <= begin < end:
            raise ValueError(f'{where}: the span ends at {parts[1]}, before it begins')
        if spans and begin < spans[-1].end:
            raise ValueError(f'{where}: the span begins at {begin:g}, within the one before it')
        spans.append(Span(begin, end, parts[2].strip()))
    if not spans:
        raise ValueError(f'{path} holds no span; a line is: BEGIN END INSTRUCTION')
    return spans
