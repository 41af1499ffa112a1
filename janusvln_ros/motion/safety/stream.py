"""Whether messages of one topic follow each other as those of one sensor do."""

from __future__ import annotations

from dataclasses import dataclass
import math

_AHEAD_OF_TIME = 0.1  # s that a stamp may be in the future: clocks of two computers


@dataclass
class Stream:
    """What has come on a topic: the frame of all its messages, and the stamp (s) of the last."""

    frame: str | None = None
    stamp: float = -math.inf

    def disorder(self, frame: str, stamp: float, now: float, longest: float) -> str:
        """Return what is wrong with a message that may be `longest` (s) old, or ''."""
        age = now - stamp
        if self.frame is None:
            self.frame = frame
        if frame != self.frame:
            return (
                f'it comes from the frame "{frame[:40]}", not from "{self.frame[:40]}" any more:'
                ' do two sensors publish there? Restart motion_executor if that is right'
            )
        if not stamp:
            return 'it has no stamp'
        if not -_AHEAD_OF_TIME <= age <= longest:
            told = f'{age:.2f} s before' if age > 0.0 else f'{-age:.2f} s after'
            return f'it is stamped {told} it arrives: do the clocks agree, is the network slow?'
        if stamp < self.stamp:
            back = self.stamp - stamp
            return f'its stamps go back by {back:.2f} s: do two sensors publish there?'
        return ''
