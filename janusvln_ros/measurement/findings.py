"""What a check found, for people and for machines. It imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARN, FAIL = 'ok', 'warn', 'fail'


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: how it is, and what to do where it is not well."""

    mark: str  # OK, WARN: it may do; FAIL: it will not do
    about: str  # a name that stays the same, whatever was found
    text: str
    do: str = ''

    def __str__(self) -> str:
        """Write it in a line, and what to do in a second one."""
        line = f'{self.mark.upper() if self.mark == FAIL else self.mark:4}  {self.about}: '
        return line + self.text + (f'\n      do: {self.do}' if self.do else '')
