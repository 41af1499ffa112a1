"""The navigate action server: goals that end when the mission does, without a waiting thread."""

from __future__ import annotations

from collections.abc import Callable
import math
import time
from typing import Any

from janusvln_ros.action import Navigate
from janusvln_ros.navigation.mission import Mission, Reason
from janusvln_ros.navigation.session import Order
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node

_RESULT_TIMEOUT = 60  # s that results are kept; clients ask for them when the goal is accepted
_ON_ITS_WAY = 0.5  # s
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
        refusal: Callable[[str], str],
        begin: Callable[[str, str], None],
        cancel: Callable[[str], None],
    ) -> None:
        """
        refusal(instruction) says why a goal is refused, or ''.

        begin(name, instruction) and cancel(name) are told of goals; name: that of the mission.
        """
        self._refusal, self._begin, self._cancel = refusal, begin, cancel
        self._answered_at = -math.inf  # when the last result was settled
        self._goals: dict[str, ServerGoalHandle] = {}  # accepted and not settled, by name
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

    def tell(self, order: Order) -> None:
        """Send feedback, if the mission is a goal's."""
        handle = self._goals.get(order.mission.instruction_id)
        if handle:
            handle.publish_feedback(
                Navigate.Feedback(
                    step=order.step,
                    action=order.action,
                    probabilities=order.probabilities,
                    latency=order.latency,
                )
            )

    def settle(self, mission: Mission) -> None:
        """Send the result, if the mission is a goal's."""
        reason, message = mission.reason, mission.message

        def finish(handle: ServerGoalHandle) -> Navigate.Result:
            if reason == Reason.SUCCEEDED:
                handle.succeed()
            elif reason == Reason.CANCELED and handle.is_cancel_requested:
                handle.canceled()
            else:
                handle.abort()
            result = Navigate.Result(code=int(reason), message=message, steps=mission.step)
            if reason != Reason.SUCCEEDED:
                result.error_code, result.error_msg = _ERRORS + int(reason), message
            return result

        handle = self._goals.pop(mission.instruction_id, None)
        if handle:
            self._answered_at = time.monotonic()
            super().notify_execute(handle, finish)

    @property
    def answering(self) -> bool:
        """Tell whether a result may still be on its way out; needs a node that is spun."""
        return bool(self._goals) or time.monotonic() < self._answered_at + _ON_ITS_WAY

    def _on_goal(self, goal: Navigate.Goal) -> GoalResponse:
        return GoalResponse.REJECT if self._refusal(goal.instruction) else GoalResponse.ACCEPT

    def _on_accepted(self, handle: ServerGoalHandle) -> None:
        handle.execute()
        name = bytes(handle.goal_id.uuid).hex()
        self._goals[name] = handle
        self._begin(name, handle.request.instruction)

    def _on_cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        self._cancel(bytes(handle.goal_id.uuid).hex())
        return CancelResponse.ACCEPT
