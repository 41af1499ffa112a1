"""What the console asks of a robot; nodes/console.py answers by topics, services and actions."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, Protocol

from janusvln_ros.console.pictures import Frame
from janusvln_ros.console.timeline import Timeline

VERBS = ('send', 'cancel', 'pause', 'resume', 'reset_memory', 'reset_e_stop')


class Robot(Protocol):
    """
    One robot. Called by the server's thread only, and none of it waits.

    frame: the newest picture; timeline may be read under `lock`.
    """

    frame: Frame | None
    timeline: Timeline
    lock: Any

    def state(self) -> dict[str, Any]:
        """Return all that is known, as JSON takes it."""

    def clock(self) -> float:
        """Return the time (s) by the clock of the stamps."""

    def watch(self, looks: bool) -> None:
        """Have pictures come, or not."""

    def stop(self) -> None:
        """Press the e-stop until the executor says that it has stopped."""

    def act(self, verb: str, text: str) -> Future[str]:
        """Do one of VERBS; the future has '' or what is to be told, or ValueError: why not."""

    def take(self) -> Future[str]:
        """Pause the episode, so that a person can drive."""

    def drive(self, linear: float, angular: float) -> None:
        """Send a velocity (m/s, rad/s) by hand."""

    def give(self) -> None:
        """Let go: nobody drives by hand any more."""

    def locked(self) -> str:
        """Return why nobody can drive by hand now, or ''."""

    def path(self) -> list[tuple[float, float]]:
        """Return where it has been, m, in the frame of its pose."""

    def chart(self) -> tuple[dict[str, Any], bytes] | None:
        """Return the map: its place, and its picture as PNG; None without one."""
