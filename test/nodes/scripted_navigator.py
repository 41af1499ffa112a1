"""
The navigator with a policy that answers what the instruction spells out.

'F L .5 R S' goes forward, turns left, thinks for half a second, turns right, stops, and begins
anew; 'X' raises, 'SystemExit' too, 'hang' never answers, 'nonsense' is no decision, and after
'full' nobody can tell how full the memory is. Asked for geometry it sees `room`. Start it like
the navigator; checkpoint 'bad' cannot be loaded, 'slow' takes a minute.
"""

from pathlib import Path
import sys
import threading
import time
from types import ModuleType, SimpleNamespace

from janusvln_ros.nodes.navigator import main

LETTERS = 'SFLR'


def seen_room():
    sys.path.append(str(Path(__file__).parents[1] / 'support'))
    from depth_room import seen

    return seen()


class ScriptedPolicy:
    random_weights = True

    def __init__(self):
        self.frames = 0
        self.words = []

    def warm_up(self, frame_size):
        return f'prepared for {frame_size}'

    def reset(self, instruction):
        self.words = instruction.split()
        self.frames = self.position = 0

    def unknown_words(self, instruction):
        return [word for word in instruction.split() if word == 'fridge']

    def memory_usage(self):
        if self.position and self.words[(self.position - 1) % len(self.words)] == 'full':
            raise RuntimeError('nobody knows')
        return SimpleNamespace(frames=self.frames, capacity=56, bytes=1000 * self.frames)

    def step(self, rgb, geometry=False):
        self.frames += 1
        while True:
            word = self.words[self.position % len(self.words)]
            self.position += 1
            if word == 'X':
                raise RuntimeError('the script says so')
            if word == 'SystemExit':
                sys.exit(3)
            if word == 'hang':
                threading.Event().wait()
            if word == 'nonsense':
                return SimpleNamespace(action=7, probabilities={})
            if word == 'full':
                word = 'F'
            if word in LETTERS:
                action = LETTERS.index(word)
                return SimpleNamespace(
                    action=action,
                    probabilities={other: 0.7 if other == action else 0.1 for other in range(4)},
                    geometry=seen_room() if geometry else None,
                )
            time.sleep(float(word))


def load(parameters):
    if parameters.checkpoint == 'bad':
        raise ValueError('there is nothing in it')
    if parameters.checkpoint == 'slow':
        sys.modules['torch'] = ModuleType('torch')  # as while it is imported
        time.sleep(60)
    return ScriptedPolicy()


if __name__ == '__main__':
    sys.exit(main(load=load))
