"""The navigate action server: goals that end when the episode does, without a waiting thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from janusvln_ros.action import Navigate
from janusvln_ros.navigation.mission import Reason
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node

_RESULT_TIMEOUT = 60  # s that results are kept; clients ask for them when the goal is accepted

_ERRORS = 10000  # Nav2 leaves error codes from here on to other servers


class NavigateServer(ActionServer):
    """
    Takes goals and cancels, and settles a goal from any thread.

    rclpy runs a goal in a callback that must not return before the goal is done, which costs a
    thread for each goal or a busy loop. Here the callback is held back until the outcome is known.
    """

    def __init__(
        self,
        node: Node,
        *,
        accepts: Callable[[str], str],
        starts: Callable[[ServerGoalHandle], None],
        cancels: Callable[[ServerGoalHandle], None],
    ) -> None:
        """accepts(instruction) returns why a goal is refused, or an empty string."""
        self._accepts, self._starts, self._cancels = accepts, starts, cancels
        super().__init__(
            node,
            Navigate,
            'navigate',
            lambda handle: None,
            goal_callback=self._on_goal,
            cancel_callback=self._on_cancel,
            handle_accepted_callback=self._on_accepted,
            result_timeout=_RESULT_TIMEOUT,
        )

    def notify_execute(self, goal_handle: ServerGoalHandle, execute_callback: Any) -> None:
        """Hold the execution back; `settle` does it."""

    def settle(self, handle: ServerGoalHandle, reason: Reason, message: str, steps: int) -> None:
        """End a goal with its result."""

        def finish(handle: ServerGoalHandle) -> Navigate.Result:
            if reason == Reason.SUCCEEDED:
                handle.succeed()
            elif reason == Reason.CANCELED and handle.is_cancel_requested:
                handle.canceled()
            else:
                handle.abort()
            result = Navigate.Result(code=int(reason), message=message, steps=steps)
            if reason != Reason.SUCCEEDED:
                result.error_code, result.error_msg = _ERRORS + int(reason), message
            return result

        super().notify_execute(handle, finish)

    def _on_goal(self, goal: Navigate.Goal) -> GoalResponse:
        return GoalResponse.REJECT if self._accepts(goal.instruction) else GoalResponse.ACCEPT

    def _on_accepted(self, handle: ServerGoalHandle) -> None:
        handle.execute()
        self._starts(handle)

    def _on_cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        self._cancels(handle)
        return CancelResponse.ACCEPT
