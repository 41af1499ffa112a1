"""
CUDA graphs of a step's parts: one launch in the place of some hundred.

Once the window is full every step has the same shapes and writes to the same places, so its work
can be recorded once and replayed. On other devices, and until then, the functions simply run.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from weakref import WeakSet

from janusvln_ros.policy.network import regions
import torch


class StepGraphs:
    """Recorded functions by name; to be dropped together with the storage they work on."""

    replaying = True

    @classmethod
    @contextmanager
    def eager(cls) -> Iterator[None]:
        """Let every function run, uncompiled: what is recorded calls no hooks of modules."""
        cls.replaying = False
        try:
            yield
        finally:
            cls.replaying = True

    def __init__(self, compiled: bool) -> None:
        self.compiled = compiled  # functions run with compiled regions
        self._recorded: dict[str, tuple[Hashable, _Graph]] = {}
        self.recording = False  # what runs does so twice, the second time to be recorded

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
        be valid; in any other the function just runs. Of each name the latest recording is kept.
        """
        if not self.replaying:
            return function(*inputs)
        state = state, tuple(x.shape for x in inputs)
        known, graph = self._recorded.get(name, (None, None))
        if graph is not None and known == state:
            return graph(*inputs)
        try:  # cuDNN takes long to plan attention for a new shape: not for what runs once
            torch.backends.cuda.enable_cudnn_sdp(self.recording)
            with regions.compiled(self.compiled):
                out = function(*inputs)  # compiles and plans as well, which cannot be recorded
                if self.recording:
                    self._recorded.pop(name, None)  # its room is free for the next
                    self._recorded[name] = state, _Graph(function, inputs)
                return out
        finally:
            torch.backends.cuda.enable_cudnn_sdp(True)


class _Graph:
    """
    One function of tensors as a CUDA graph with inputs and output of its own.

    All graphs share their work space: one runs at a time, and what it gives is copied at once.
    """

    _alive: WeakSet[_Graph] = WeakSet()

    def __init__(
        self, function: Callable[..., torch.Tensor], inputs: tuple[torch.Tensor, ...]
    ) -> None:
        self._inputs = [x.clone() for x in inputs]
        torch.cuda.empty_cache()  # the recording has work space of its own
        self._graph = torch.cuda.CUDAGraph()
        pool = next((one._graph.pool() for one in self._alive), None)
        # other threads may load a checkpoint meanwhile
        with torch.cuda.graph(self._graph, pool, capture_error_mode='thread_local'):
            self._output = function(*self._inputs)
        self._alive.add(self)

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        for own, new in zip(self._inputs, inputs):
            own.copy_(new)
        self._graph.replay()
        return self._output.clone()
