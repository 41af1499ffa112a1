"""A lifecycle node that no wrong request ends."""

from __future__ import annotations

from lifecycle_msgs.srv import ChangeState
from rclpy.lifecycle import LifecycleNode


class ManagedNode(LifecycleNode):
    """
    Refuses a transition that its state does not have, by number as well as by name.

    rclpy's own (7.1) refuses the name alone; a number raises out of spin, and the process ends.
    """

    def _LifecycleNodeMixin__on_change_state(  # rclpy's private name
        self, asked: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        transition = asked.transition
        possible = {number for number, *_ in self._state_machine.available_transitions}
        if not transition.label and transition.id not in possible:
            response.success = False
            return response
        return super()._LifecycleNodeMixin__on_change_state(asked, response)  # type: ignore[misc]
