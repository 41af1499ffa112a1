"""What to ask a robot for, and what cannot be asked for."""

from janusvln_ros.episodes.scene import Scene
from janusvln_ros.episodes.suggestions import missing, suggestions
from janusvln_ros.nodes.sim_settings import Settings
from janusvln_ros.sim.generator import generate_house
from janusvln_ros.sim.house import free_start
import pytest


@pytest.mark.slow
@pytest.mark.parametrize('seed', range(8))
def test_suggestions_name_what_is_there(seed):
    house = generate_house(seed, rooms=3)
    said = suggestions(Scene(house), *free_start(house))
    assert len(said) == len(set(said)) == 3
    assert all(not missing(house, text) and text.endswith('.') for text in said)


def test_turns_come_last_and_to_the_right_side():
    house = generate_house(1, rooms=3)
    x, y, yaw = free_start(house)
    scene = Scene(house)
    everything = suggestions(scene, x, y, yaw, 200)
    hinted = [text.startswith('Turn ') for text in everything]
    assert hinted == sorted(hinted) and any(hinted) and not all(hinted)
    # One that is asked for straight on is said with a turn by a robot that looks another way.
    assert 'Go to the red plant.' in everything
    turned = suggestions(scene, x, y, yaw + 2.0, 200)
    assert 'Turn right. Go to the red plant.' in turned
    assert suggestions(scene, 99.0, 99.0, 0.0) == []


def test_the_readme_asks_for_the_first_suggestion(request):
    house = generate_house(Settings().house_seed, rooms=Settings().rooms)
    first = suggestions(Scene(house), *free_start(house))[0]
    readme = (request.config.rootpath / 'README.md').read_text(encoding='utf-8')
    assert f"{{data: '{first.lower().rstrip('.')}'}}" in readme


def test_what_is_not_there_is_named():
    house = generate_house(1, rooms=3)
    colours = {(piece.colour, piece.category) for piece in house.furniture}
    assert ('red', 'plant') in colours and ('red', 'chair') not in colours
    assert missing(house, 'Go to the RED chair, past the red plant, then the red chair') == [
        'red chair'
    ]
    assert missing(house, 'walk to the plant') == []
    assert missing(house, 'go to the fridge') == []  # no word of ours
    assert missing(generate_house(1, rooms=1), 'through the door') == ['door']
