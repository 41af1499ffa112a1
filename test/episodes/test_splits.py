"""Splits: the same everywhere, unambiguous, feasible, and what they say they are."""

from functools import lru_cache
import hashlib
import json
import math
import subprocess
import sys

from janusvln_ros.episodes import grammar, splits
from janusvln_ros.episodes.scene import Scene
from janusvln_ros.episodes.splits import build_episode, find_split, house_of, route_of
from janusvln_ros.episodes.tasks import FORMS, SUCCESS_RADIUS
from janusvln_ros.episodes.vln_ce import floor_points
from janusvln_ros.sim.house import clearance
import numpy as np
import pytest

pytestmark = pytest.mark.slow  # building the episodes is
FIRST = 35  # episodes of val_unseen_small that are looked at: every form at least once


@lru_cache(maxsize=1)
def some():
    """Build some episodes of each form once."""
    return [build_episode(find_split('val_unseen_small'), number) for number in range(FIRST)]


def test_episodes_do_not_change():
    """A changed hash means that grammar.VERSION has to be raised and splits change."""
    told = [
        [episode.scene_id, episode.instruction.text, [int(action) for action in truth.actions]]
        for episode, truth in some()
    ]
    digest = hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()
    assert digest[:16] == 'ca1ba86bf6c767e4'


def test_every_form_occurs():
    forms = {episode.info['form'] for episode, _ in some()}
    assert forms == {form for forms in FORMS.values() for form in forms}


def test_the_same_in_another_process():
    code = (
        'from janusvln_ros.episodes.splits import *;'
        'print(repr([build_episode(find_split("val_unseen_small"), n) for n in (5, 8)]))'
    )
    said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == repr([some()[5], some()[8]])


def test_starts_are_clear_and_goals_are_places_to_stand():
    for episode, _ in some():
        house = house_of(episode.scene_id)
        x, y, _ = episode.start
        assert clearance(house.obstacles(), np.array([x, y])) >= 0.48
        for place in route_of(episode):
            assert clearance(house.obstacles(), place).min() >= 0.18 - 0.001


def test_distances_make_standing_still_a_failure():
    for episode, _ in some():
        scene = Scene(house_of(episode.scene_id))
        x, y, _ = episode.start
        first = scene.space.field(route_of(episode)[0])
        assert first.distance(x, y) > SUCCESS_RADIUS + 0.3
        assert 2.0 < episode.info['geodesic_distance'] <= 14.0
        assert (
            scene.space.field(episode.goal_points).distance(
                *floor_points(some()[episode.episode_id][1].locations)[-1]
            )
            < 0.55
        )


def test_trajectories_are_as_vln_ce_has_them():
    for episode, truth in some():
        assert truth.actions[-1] == 0 and 0 not in truth.actions[:-1]
        assert len(truth.actions) <= 90
        locations = floor_points(truth.locations)
        assert len(locations) == 1 + sum(action == 1 for action in truth.actions)
        assert np.hypot(*np.diff(locations, axis=0).T).max() <= 0.251
        assert tuple(locations[0]) == pytest.approx(episode.start[:2])
        assert tuple(episode.reference_points[0]) == pytest.approx(episode.start[:2])


def test_the_first_turn_is_the_one_that_is_said():
    hinted = 0
    for episode, truth in some():
        turn = episode.info['turn']
        hinted += turn is not None
        if turn is not None:
            assert turn in episode.instruction.text.split('.')[0]
            assert truth.actions[0] == (2 if turn == 'left' else 3)
    assert 0.5 < hinted / FIRST < 0.95


def things(house, text):
    """Give the furniture that each noun of an English text may mean, by a reading of its own."""
    words = text.lower().replace('.', ' ').replace(',', ' ').split()
    found = []
    for i, word in enumerate(words):
        if word in {piece.category for piece in house.furniture}:
            colour = words[i - 1] if words[i - 1] in grammar.COLOURS else None
            found.append(
                [
                    piece
                    for piece in house.furniture
                    if piece.category == word and colour in (None, piece.colour)
                ]
            )
    return found


def test_each_thing_that_is_named_is_the_only_one():
    one_of_many = {'side_thing', 'nth_thing', 'nearest', 'farthest', 'next_to'}
    for episode, _ in some():
        nouns = things(house_of(episode.scene_id), episode.instruction.text)
        if episode.info['form'] not in one_of_many:
            assert all(len(noun) == 1 for noun in nouns), episode.instruction.text
        elif episode.info['form'] == 'next_to':
            assert len(nouns[0]) >= 2 and len(nouns[1]) == 1


def asked_for(episode, piece):
    """Tell whether a goal of the episode is next to a thing."""
    corner = np.array([piece.x, piece.y])
    reach = math.hypot(piece.half_x, piece.half_y)
    return bool((np.hypot(*(episode.goal_points - corner).T) < reach + 0.35).any())


@pytest.mark.parametrize('form', ['side_thing', 'nearest', 'farthest', 'next_to'])
def test_the_right_one_of_several_is_the_goal(form):
    """Found again here from the text, the start and the house alone."""
    checked = 0
    for episode, _ in some():
        if episode.info['form'] != form:
            continue
        house = house_of(episode.scene_id)
        x, y, _ = episode.start
        room = house.room_at(x, y).index
        nouns = things(house, episode.instruction.text)
        here = [piece for piece in nouns[0] if piece.room == room]
        if form in ('nearest', 'farthest'):
            sign = 1 if form == 'nearest' else -1
            right = min(here, key=lambda p: sign * math.dist((x, y), (p.x, p.y)))
        elif form == 'next_to':
            (other,) = nouns[1]
            right = min(nouns[0], key=lambda p: math.dist((p.x, p.y), (other.x, other.y)))
        else:
            a, b = here
            cross = (a.x - x) * (b.y - y) - (a.y - y) * (b.x - x)
            left, right_one = (b, a) if cross > 0 else (a, b)
            last = episode.instruction.text.split('. ')[-1]
            right = left if 'left' in last else right_one
        assert asked_for(episode, right), episode.instruction.text
        assert not any(asked_for(episode, p) for p in here if p is not right)
        checked += 1
    assert checked >= 2


def test_sides_are_as_seen_from_the_start():
    for episode, _ in some():
        if episode.info['form'] != 'beside':
            continue
        ((piece,),) = things(house_of(episode.scene_id), episode.instruction.text)
        x, y, _ = episode.start
        ((gx, gy),) = episode.goal_points
        cross = (piece.x - x) * (gy - y) - (piece.y - y) * (gx - x)
        last = episode.instruction.text.split('. ')[-1]
        assert (cross > 0) == ('left' in last), episode.instruction.text


def test_doors_that_are_named_are_passed_in_order():
    for episode, truth in some():
        house = house_of(episode.scene_id)
        words = episode.instruction.text.replace(',', ' ').replace('.', ' ').split()
        named = [
            words[i - 1]
            for i, word in enumerate(words)
            if word == 'door' and words[i - 1] in grammar.COLOURS
        ]
        locations = floor_points(truth.locations)
        passed = []
        for door in house.doors:
            near = np.hypot(*(locations - (door.x, door.y)).T)
            if near.min() < 0.5:
                passed.append((int(near.argmin()), door.colour))
        if named:
            assert [colour for _, colour in sorted(passed)] == named, episode.instruction.text


def test_seen_splits_have_only_training_pairs_and_phrasings():
    split = find_split('val_seen_small')
    for number in range(7):
        episode, _ = build_episode(split, number)
        house = house_of(episode.scene_id)
        assert not {(p.category, p.colour) for p in house.furniture} & grammar.HELD_OUT_PAIRS
        assert not episode.info['held_out_phrasing'] and not episode.info['held_out_pair']
    assert any(episode.info['held_out_phrasing'] for episode, _ in some())
    assert any(episode.info['held_out_pair'] for episode, _ in some())


def test_chinese_splits_are_the_same_episodes():
    for number in (0, 8):
        there, here = some()[number], build_episode(find_split('val_unseen_small_zh'), number)
        assert there[1] == here[1] and there[0].goals == here[0].goals
        assert here[0].instruction.language == 'zh-CN'
        assert here[0].instruction.text.endswith('。')


def test_one_room_splits():
    split = find_split('val_unseen_one_room')
    for number in (0, 1, 2, 8, 9):
        episode, _ = build_episode(split, number)
        assert episode.info['rooms'] == 1
        assert 'door' not in episode.instruction.text


def test_names():
    split = find_split('val_unseen')
    assert split.full_name == f'val_unseen-{splits.VERSION}'
    assert find_split(split.full_name) is split
    with pytest.raises(ValueError, match="no split 'test'"):
        find_split('test')
    with pytest.raises(ValueError, match='makes the splits of v'):
        find_split('val_unseen-v0.0')
    with pytest.raises(IndexError, match='0 to 699'):
        build_episode(split, 700)
    with pytest.raises(ValueError, match='not a house of this release'):
        house_of('mp3d/x/x.glb')
    assert splits.numbers_of(split, ['depth'])[:2] == [3, 10]
