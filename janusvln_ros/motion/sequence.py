"""The steps of a sentence, one after another: each begins when the one before has succeeded."""

from __future__ import annotations

from collections.abc import Iterable

from janusvln_ros.motion.types import Request, Result, State, Status


class Sequence:
    """What is still to come of a sentence; a failure, or any other request, ends it."""

    def __init__(self) -> None:
        self._left: list[Request] = []
        self._current: Request | None = None

    def begin(self, requests: Iterable[Request]) -> Request:
        """Forget what was left, and give the first of these requests."""
        self._left = list(requests)
        self._current = self._left.pop(0)
        return self._current

    def drop(self) -> None:
        """Forget what is left."""
        self._left = []

    def advance(self, status: Status) -> Request | None:
        """Give the request whose turn it is now, by the executor's status; None for none."""
        if not self._left:
            return None
        failed = status.result not in (Result.NONE, Result.SUCCEEDED)
        if (
            status.request is not self._current
            or failed
            or status.state in (State.FAULT, State.ESTOPPED)
        ):
            self.drop()
            return None
        if status.state is not State.IDLE or status.result is not Result.SUCCEEDED:
            return None
        self._current = self._left.pop(0)
        return self._current
