"""Who else is at work on the robot: another navigator, heard by its status or by its actions."""

from __future__ import annotations

_NANO = 1_000_000_000
_GONE = 2 * _NANO  # ns of silence after which another navigator counts as ended


class Rivals:
    """Navigators beside our own; times in ns of one clock."""

    def __init__(self, own: str) -> None:
        """own: the session id of our own messages."""
        self._own = own
        self._heard: tuple[str, int] | None = None

    def hear(self, session_id: str, now: int) -> bool:
        """Note a message of a navigator at work; tell whether it is another one."""
        if session_id == self._own:
            return False
        self._heard = session_id, now
        return True

    def trouble(self, now: int) -> str:
        """Say which other navigator is at work, and what to do; '' without one."""
        if not self._heard or abs(now - self._heard[1]) > _GONE:
            return ''
        name = self._heard[0][:8] or 'that tells no session'
        return f'another navigator ({name}) is at work on this robot: end one of the two'
