"""The new thing: in houses of its own, unknown to what is taught, and all else as it was."""

import hashlib
import json

from janusvln_ros.episodes import grammar
from janusvln_ros.episodes.scene import house_of
from janusvln_ros.episodes.splits import build_episode, find_split, SPLITS
from janusvln_ros.sim.furniture_shapes import furniture_shapes
from janusvln_ros.sim.generator import generate_house
from janusvln_ros.sim.house import CATEGORIES, COLOURS, NEW_CATEGORY, NEW_COLOUR
from janusvln_ros.sim.new_thing import with_new_thing
import numpy as np
import pytest


def test_what_is_taught_does_not_know_it():
    """A changed hash means that what a tokenizer is made of, or what is trained, changed."""
    assert NEW_CATEGORY not in CATEGORIES and NEW_COLOUR not in COLOURS
    words = [grammar.vocabulary(language) for language in grammar.LANGUAGES]
    assert not {NEW_CATEGORY, NEW_COLOUR} & {*words[0]}
    known = [words, grammar.TRAINING_PAIRS, sorted(grammar.HELD_OUT_PAIRS)]
    known.append([repr(split) for name, split in SPLITS.items() if 'new_thing' not in name])
    digest = hashlib.sha256(json.dumps(known, ensure_ascii=False).encode()).hexdigest()
    assert digest[:16] == 'c123f4e4847736a1'


def test_it_stands_where_something_as_wide_stood():
    changed = 0
    for seed in range(30):
        before = generate_house(seed)
        after = with_new_thing(before)
        assert after == with_new_thing(before)
        assert (after.rooms, after.doors) == (before.rooms, before.doors)
        assert len(after.furniture) == len(before.furniture)
        pairs = [(a, b) for a, b in zip(before.furniture, after.furniture) if a != b]
        assert len(pairs) <= 1
        for old, new in pairs:
            assert (new.category, new.colour) == (NEW_CATEGORY, NEW_COLOUR) and new.is_round
            assert (new.x, new.y, new.index) == (old.x, old.y, old.index)
            assert new.half_x <= min(old.half_x, old.half_y)
            changed += 1
    assert changed > 20


def test_it_fills_its_footprint_and_its_height():
    house = with_new_thing(generate_house(3))
    (piece,) = [piece for piece in house.furniture if piece.category == NEW_CATEGORY]
    solid = [shape for shape in furniture_shapes(piece) if shape.alpha == 1.0]
    assert max(shape.size[0] for shape in solid) == pytest.approx(piece.half_x)
    top = max(shape.position[2] + shape.size[1] for shape in solid)
    assert top == pytest.approx(piece.height)
    low = min(shape.position[2] - shape.size[1] for shape in solid)
    assert low == pytest.approx(0.0)


@pytest.mark.parametrize('name', ['new_thing', 'new_thing_train'])
def test_episodes_lead_to_it(name: str):
    split = find_split(name)
    assert split.categories == ('reach',)
    episode, truth = build_episode(split, 3)
    assert f'the {NEW_COLOUR} {NEW_CATEGORY}' in episode.instruction.text
    house = house_of(episode.scene_id)
    (piece,) = [piece for piece in house.furniture if piece.category == NEW_CATEGORY]
    away = np.hypot(*(episode.goal_points - (piece.x, piece.y)).T)
    assert (away < 2 * piece.half_x + 0.5).all()
    assert truth.actions[-1] == 0


def test_houses_of_the_two_splits_are_different():
    first, second = find_split('new_thing'), find_split('new_thing_train')
    assert first.first_seed + first.houses <= second.first_seed
