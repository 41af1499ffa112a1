"""The thread that runs a robot's policy when it is its turn, always on the newest frame."""

from __future__ import annotations

from collections.abc import Callable
import threading
import zlib

from janusvln_ros.imaging.encodings import ImageError, to_rgb
from janusvln_ros.navigation.decider import Decider
from janusvln_ros.navigation.mission import Mission
from janusvln_ros.navigation.session import Frame, Order, Session
from janusvln_ros.navigation.watchdog import Watchdog
from janusvln_ros.turns import turn
import numpy as np

POLICY = 'policy'  # name of the thread


class Worker:
    """Does what a session has for its policy until it is stopped."""

    def __init__(
        self, session: Session, decider: Decider, sent: Callable[[Order, np.ndarray], None]
    ) -> None:
        """sent: told of every order with its picture, uint8 (H, W, 3), after it went out."""
        self._session, self._decider, self._sent = session, decider, sent
        self.watchdog = Watchdog()
        self.failure = ''  # what ended the thread; '' while all is well
        session.open()
        self._thread = threading.Thread(target=self._think, name=POLICY, daemon=True)
        self._thread.start()

    def stop(self, patience: float) -> bool:
        """End the thread, after the step that it is at; False if that takes longer, s."""
        self._session.close()
        self._thread.join(patience)
        return not self._thread.is_alive()

    def _think(self) -> None:
        try:
            while self._session.wait_for_work():
                with turn():
                    done = self._work()
                if done:
                    self._sent(*done)
        except BaseException as error:  # an error of ours: the node ends with it
            self.failure = f'the policy thread ended: {type(error).__name__}: {error}'
            raise

    def _work(self) -> tuple[Order, np.ndarray] | None:
        """Do what there is to do now; return what was sent, and the picture it was sent for."""
        mission, frame = self._session.wait_for_work(0) or (None, None)
        if mission and frame is None:
            self._forget(mission)
        return self._look(mission, frame) if mission and frame else None

    def _forget(self, mission: Mission) -> None:
        """Empty the policy's memory for a mission."""
        try:
            with self.watchdog.watching():
                memory = self._decider.reset(mission.instruction)
        except Exception as error:  # whatever a policy raises must not end the thread
            self._session.failed(mission, error)
        else:
            self._session.forgotten(mission, memory)

    def _look(self, mission: Mission, frame: Frame) -> tuple[Order, np.ndarray] | None:
        """Take one decision from a frame, unless things have changed in the meantime."""
        try:
            rgb = to_rgb(frame.message)
            self._decider.check(rgb)
        except ImageError as error:
            self._session.refuse(mission, frame, str(error))
            return None
        if not self._session.begin_decision(mission, frame, zlib.crc32(rgb.tobytes())):
            return None
        try:
            with self.watchdog.watching():
                answer = self._decider.decide(rgb)
        except Exception as error:  # whatever a policy raises must not end the thread
            self._session.failed(mission, error)
            return None
        order = self._session.decided(mission, frame, answer)
        return (order, rgb) if order else None
