"""The split `long`: what its tours are, that they can be followed, and that they do not change."""

from functools import lru_cache
import hashlib
import json

from janusvln_ros.episodes import grammar, tours
from janusvln_ros.episodes.scene import house_of
from janusvln_ros.episodes.splits import build_episode, find_split, numbers_of, route_of
from janusvln_ros.evaluation.agents import ExpertAgent
from janusvln_ros.evaluation.environment import HouseEnvironment
import pytest

pytestmark = pytest.mark.slow  # building the episodes is
LONG = find_split('long')


@lru_cache(maxsize=1)
def some():
    """Build some tours once."""
    return [build_episode(LONG, number) for number in range(4)]


def test_tours_do_not_change():
    told = [
        [episode.scene_id, episode.instruction.text, [int(action) for action in truth.actions]]
        for episode, truth in some()
    ]
    digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()
    assert digest[:16] == '914454a5666540a0'


def test_they_are_long_and_in_words_of_the_grammar():
    known = set(grammar.vocabulary('en'))
    for number, (episode, truth) in enumerate(some()):
        assert 4 <= len(house_of(episode.scene_id).rooms) <= 6
        assert 60 <= len(truth.actions) <= 150
        assert 2 <= len(route_of(episode)) <= 4
        assert set(grammar.tokenise(episode.instruction.text, 'en')) <= known
        assert episode.info['category'] == tours.CATEGORIES[number % 2]
    assert numbers_of(LONG, ['memory']) == list(range(1, LONG.size, 2))


def test_half_of_them_end_where_the_robot_has_been():
    for episode, _ in some():
        *before, goal = [place.tolist() for place in route_of(episode)]
        been = [*before, [list(episode.start[:2])]]
        assert (goal in been) == (episode.info['category'] == 'memory')


def test_the_expert_follows_them():
    environment, expert = HouseEnvironment(LONG), ExpertAgent()
    for episode, truth in some():
        environment.start(episode, truth)
        expert.begin(environment)
        while not environment.over:
            environment.step(expert.act(None))
        assert environment.metrics().sr == 1.0
