"""What the published prompt says and which frames it shows; here is no torch."""

from __future__ import annotations

import numpy as np

SYSTEM = (
    'You are a visual language navigation model, and your should go to the locations to complete '
    'the given task. Compare the observation and instruction to infer your current progress, and '
    'then select the correct direction from the candidates to go to the target location and '
    'finish the task.'
)
BEFORE_INSTRUCTION = (
    'These images are your historical observations and your current observation.\n'
    ' Your task is to '
)
AFTER_INSTRUCTION = (
    ' \n You should take one of the following actions:\n'
    ' MOVE_FORWARD\n TURN_LEFT\n TURN_RIGHT\n STOP.'
)


def history(step: int, frames: int) -> list[int]:
    """Numbers of a step's frames: at most `frames` past ones, evenly sampled, and the current."""
    if not frames:
        return [step]
    if step <= frames:
        return list(range(step + 1))
    return np.linspace(0, step, frames + 1, dtype=int).tolist()
