"""
Sentences as people type them, one for each episode of the split `handwritten`.

Written by hand for the tasks that the generator drew there: polite, curt, in two sentences, with
slips of the fingers, with words that the grammar does not have. Test data: never trained on, and
true only of the houses of WRITTEN_FOR. FILE has a line for each episode, in order.
"""

from pathlib import Path

WRITTEN_FOR = 'v1.1'  # version of generator and grammar
FILE = Path(__file__).with_suffix('.txt')
SENTENCES = tuple(FILE.read_text(encoding='utf-8').splitlines())
