"""What a soak keeps account of: what happened, the worst after each fault, memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
import math
import os
from pathlib import Path
import sys

from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1] / 'test' / 'support'))

from faults import Fault, STEP, STEP_ANGLE


class SoakError(Exception):
    """Something that must not happen."""


@dataclass
class Worst:
    """What came of a kind of fault, the worst of all times."""

    times: int = 0
    way: float = 0.0  # m that the base really went
    turned: float = 0.0  # rad
    moved: float = 0.0  # s that motion went on

    def add(self, other: Worst) -> None:
        """Take in what came of it elsewhere."""
        self.times += other.times
        self.way = max(self.way, other.way)
        self.turned = max(self.turned, other.turned)
        self.moved = max(self.moved, other.moved)


@dataclass
class Memory:
    """Resident memory (MB) of the process of a name that lived longest; for so many hours."""

    hours: float = 0.0
    first: float = math.nan  # after a tenth of the soak
    last: float = math.nan

    @property
    def growth(self) -> float:
        return self.last - self.first


@dataclass
class Ledger:
    """The account of a soak, or of several; it can be sent to another process."""

    hours: float = 0.0  # simulated
    wall: float = 0.0  # hours
    counts: Counter[str] = field(default_factory=Counter)
    faults: dict[str, Worst] = field(default_factory=dict)
    memory: dict[str, Memory] = field(default_factory=dict)
    rates: dict[str, tuple[float, float]] = field(default_factory=dict)  # least, nominal
    violations: list[str] = field(default_factory=list)
    notes: Counter[str] = field(
        default_factory=Counter
    )  # why the robot stood though nothing was broken

    def judge(
        self,
        name: str,
        fault: Fault,
        way: float,
        turned: float,
        moved: float = 0.0,
        late: float = 0.0,
    ) -> None:
        """
        Note what the robot did after a fault (m, rad, and s that motion went on), or SoakError.

        late: s by which the computer may be late besides.
        """
        seen = Worst(1, way if fault.way else 0.0, turned if fault.turn else 0.0, moved)
        if fault.momentary:  # what comes later is none of it
            seen.way = seen.turned = 0.0
        self.faults.setdefault(name, Worst()).add(seen)
        told = f'"{name}": the base went {way:.2f} m, {math.degrees(turned):.0f} degrees more'
        if seen.way > fault.steps * STEP or seen.turned > fault.steps * STEP_ANGLE:
            raise SoakError(told)
        if moved > fault.seconds + late:
            raise SoakError(f'{told}; motion went on for {moved:.2f} s, not {fault.seconds:g} s')

    def add(self, other: Ledger) -> None:
        """Take in another soak."""
        self.hours += other.hours
        self.wall = max(self.wall, other.wall)
        self.counts += other.counts
        self.notes += other.notes
        self.violations += other.violations
        for name, worst in other.faults.items():
            self.faults.setdefault(name, Worst()).add(worst)
        for name, memory in other.memory.items():
            mine = self.memory.setdefault(name, memory)
            if memory.growth > mine.growth:
                self.memory[name] = memory
        for name, (least, asked) in other.rates.items():
            self.rates[name] = min(least, self.rates.get(name, (least, asked))[0]), asked

    def summary(self) -> str:
        """Tell all of it."""
        lines = [f'{self.hours:.2f} h simulated: {dict(self.counts.most_common())}']
        if self.faults:
            lines += [
                f'{sum(one.times for one in self.faults.values())} faults',
                '| fault | times | went on for | driven | turned |',
                '| --- | --- | --- | --- | --- |',
            ]
        lines += [
            f'| {name} | {one.times} | {one.moved:.2f} s | {one.way:.2f} m'
            f' | {math.degrees(one.turned):.0f}° |'
            for name, one in sorted(self.faults.items())
        ]
        lines += [
            f'stood without a fault, {times} times: {why}'
            for why, times in self.notes.most_common()
        ]
        lines += [
            f'{name}: {least:.1f} of {asked:g} per simulated s'
            for name, (least, asked) in self.rates.items()
        ]
        lines += [
            f'{name}: {one.first:.1f} MB at first, {one.last:.1f} MB at the end'
            f' ({one.hours:.2f} h)'
            for name, one in self.memory.items()
        ]
        return '\n'.join(lines)


def memory(process: int | str = 'self') -> float:
    """Return the resident memory of a process in MB."""
    pages = int(Path(f'/proc/{process}/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 1e6


def progress_bar(hours: float) -> tqdm:
    """Return a bar of simulated hours."""
    return tqdm(
        total=hours,
        unit='h',
        bar_format='{l_bar}{bar}| {n:.2f}/{total:g} h simulated [{elapsed}<{remaining}{postfix}]',
    )
