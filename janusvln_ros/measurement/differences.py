"""How far a policy is from what it should compute: tensor by tensor, over an episode."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

REDUCED_LOGITS = 5e-2  # relative L2 in bfloat16
REDUCED_AGREEMENT = 0.98
REDUCED_MARGIN = 0.1  # nats between the two best actions; closer steps do not count


@dataclass
class Difference:
    """The worst that was seen of one tensor over an episode."""

    checked: int = 0
    absolute: float = 0.0
    relative: float = 0.0  # of the L2 norm
    unequal: int = 0
    limits: dict[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether it stayed within its limits."""
        return self.unequal == 0 and all(
            getattr(self, kind) <= limit for kind, limit in self.limits.items()
        )


@dataclass
class Report:
    """All differences of an episode, and how often the actions agreed."""

    differences: dict[str, Difference] = field(default_factory=dict)
    steps: int = 0
    clear: int = 0  # steps whose two best actions are further apart than REDUCED_MARGIN
    agreed: int = 0  # of those, with the same best action

    def same(self, name: str, got: object, wanted: object) -> None:
        """Compare for equality."""
        difference = self.differences.setdefault(name, Difference())
        difference.checked += 1
        difference.unequal += got != wanted

    def close(
        self, name: str, got: torch.Tensor, wanted: torch.Tensor | None, **limits: float
    ) -> None:
        """Compare tensors, if it is stored; `limits` on 'absolute' and 'relative' difference."""
        if wanted is None:
            return
        difference = self.differences.setdefault(name, Difference(limits=limits))
        difference.checked += 1
        got, wanted = got.double().cpu(), wanted.double()
        if got.shape != wanted.shape or not got.isfinite().all():
            difference.unequal += 1
            return
        gap = got - wanted
        difference.absolute = max(difference.absolute, float(gap.abs().max()))
        norm = float(wanted.norm())
        difference.relative = max(difference.relative, float(gap.norm()) / max(norm, 1e-12))

    def action(self, got: torch.Tensor, wanted: torch.Tensor) -> None:
        """Compare the best actions by log-probabilities (4)."""
        first, second = wanted.topk(2).values
        self.steps += 1
        if first - second > REDUCED_MARGIN:
            self.clear += 1
            self.agreed += int(got.argmax()) == int(wanted.argmax())

    @property
    def failures(self) -> list[str]:
        """Names of what is out of tolerance."""
        return [name for name, difference in self.differences.items() if not difference.passed]


def verdict(report: Report, exact: bool) -> list[str]:
    """Say what failed: every tensor in float32, logits and agreement of actions in less."""
    logits = report.differences.get('logits0') or report.differences.get('logits')
    if exact or logits is None:
        return report.failures
    failures = []
    if not logits.relative <= REDUCED_LOGITS:
        failures.append('logits')
    return failures


def table(report: Report, exact: bool) -> str:
    """Format an episode's differences, one line for each tensor."""
    lines = []
    for name, difference in report.differences.items():
        if difference.limits:
            limits = ', '.join(f'{kind} {limit:.0e}' for kind, limit in difference.limits.items())
            numbers = f'{difference.absolute:9.1e} {difference.relative:9.1e}   {limits}'
        else:
            numbers = f'{difference.unequal:9d} unequal'
        mark = '' if difference.passed or not exact else '   <-- out of tolerance'
        lines.append(f'  {name:24}{difference.checked:5d} {numbers}{mark}')
    return '\n'.join(lines)
