"""
Bags of a robot to trajectories: instructions, steps, and the picture where each step begins.

Bags are read twice. First what is small: where the robot was and what was said; each drive is cut
into steps as soon as it is over, and only its steps are kept. Then the pictures, of which two at a
time are held: the nearest to each step's beginning is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from janusvln_ros.recordings.bag import Bag
from janusvln_ros.training.data.bag_drives import BagOfDrives, Choice, Drive
from janusvln_ros.training.data.bag_pictures import PictureFinder
from janusvln_ros.training.data.layout import AnnotationWriter
from janusvln_ros.training.data.recorded import Recorded
from tqdm import tqdm


@dataclass(frozen=True)
class Outcome:
    """What was written, how many were there already, and everything worth a word."""

    written: tuple[Recorded, ...]
    known: int
    notes: tuple[str, ...]


def from_bags(paths: Sequence[Path], folder: Path, choice: Choice) -> Outcome:
    """
    Write the trajectories of bags into a folder; those that are there already stay as they are.

    A drive goes on from a bag to the next one where that begins as the one before ends. Raises
    BagError where a bag cannot be read, ValueError where there is no trajectory at all.
    """
    with ExitStack() as stack:
        bags = [
            BagOfDrives(stack.enter_context(Bag(path)), choice)
            for path in tqdm(paths, 'bags', leave=False, disable=None)
        ]
        drives: list[Drive] = []
        going: Drive | None = None
        for last, bag in zip([None, *bags], bags):
            if going is not None and not bag.follows(last):
                going.finish()
                going = None
            going = bag.read(drives, going)
        if going is not None:
            going.finish()
        writer = AnnotationWriter(folder, 'recorded')
        notes = [note for bag in bags for note in bag.notes]
        known = [drive.name for drive in drives if drive.name in writer.names]
        notes += [f'{name} is there already and left as it is' for name in known]
        finder = PictureFinder(
            [drive for drive in drives if drive.name not in writer.names], writer
        )
        for bag in bags:
            finder.look(bag)
        written = finder.finish()
        notes += [note for bag in bags for note in bag.problems()] + finder.notes
    return Outcome(tuple(written), len(known), tuple(notes))
