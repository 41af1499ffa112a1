"""
CUDA graphs of a step's parts: one launch in the place of some hundred.

Once the window is full every step has the same shapes and writes to the same places, so its work
can be recorded once and replayed. On other devices, and until then, the functions simply run.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

import torch


class StepGraphs:
    """Recorded functions by name; to be dropped together with the storage they work on."""

    _replaying = True

    @classmethod
    @contextmanager
    def eager(cls) -> Iterator[None]:
        """Let every function run while the context lasts: a replay calls no hooks of modules."""
        cls._replaying = False
        try:
            yield
        finally:
            cls._replaying = True

    def __init__(self) -> None:
        self._recorded: dict[str, tuple[Hashable, _Graph | None]] = {}

    def run(
        self,
        name: str,
        state: Hashable,
        function: Callable[..., torch.Tensor],
        *inputs: torch.Tensor,
    ) -> torch.Tensor:
        """
        Return `function(*inputs)`, replayed where it has been recorded.

        The function may read, besides its inputs, what lives as long as this object: weights,
        storage, tables. state: all but the inputs' shapes that has to be as it was for a replay to
        be valid. In a new state the function just runs; in the same state again it is recorded.
        """
        if not (inputs[0].is_cuda and self._replaying):
            return function(*inputs)
        state = state, tuple(x.shape for x in inputs)
        known, graph = self._recorded.get(name, (None, None))
        if known != state:
            self._recorded[name] = state, None
            return function(*inputs)
        if graph is None:
            graph = _Graph(function, inputs)
            self._recorded[name] = state, graph
        return graph(*inputs)


class _Graph:
    """One function of tensors as a CUDA graph with inputs and output of its own."""

    def __init__(
        self, function: Callable[..., torch.Tensor], inputs: tuple[torch.Tensor, ...]
    ) -> None:
        self._inputs = [x.clone() for x in inputs]
        torch.cuda.empty_cache()  # the recording has work space of its own
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._output = function(*self._inputs)

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        for own, new in zip(self._inputs, inputs):
            own.copy_(new)
        self._graph.replay()
        return self._output.clone()
