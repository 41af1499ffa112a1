"""A checkpoint as an agent, with and without parts of its memory."""

import json
import math
from pathlib import Path

from janusvln_ros.actions import Action
from janusvln_ros.episodes.scene import Scene
from janusvln_ros.episodes.splits import find_split
from janusvln_ros.episodes.suggestions import suggestions
from janusvln_ros.evaluation.ablations import agent_of, plot, ROWS, write_ablations
from janusvln_ros.evaluation.agents import AgentSpec
from janusvln_ros.evaluation.command import main
from janusvln_ros.evaluation.environment import HouseEnvironment
from janusvln_ros.evaluation.metrics import summarise
from janusvln_ros.nodes.sim_settings import Settings
from janusvln_ros.policy import JanusPolicy
from janusvln_ros.policy.random_checkpoint import write_random_checkpoint
from janusvln_ros.sim.camera import CameraModel
from janusvln_ros.sim.generator import generate_house
from janusvln_ros.sim.house import free_start
from janusvln_ros.sim.world import KinematicWorld
import pytest

pytestmark = pytest.mark.slow
SHIPPED = Path(__file__).parents[2] / 'models' / 'janusvln-tiny'


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    return write_random_checkpoint(tmp_path_factory.mktemp('tiny') / 'checkpoint')


@pytest.fixture(scope='module')
def environment():
    environment = HouseEnvironment(find_split('val_unseen_small'), camera=CameraModel(112, 84))
    yield environment
    environment.close()


def spoken(spec, environment, steps=4):
    """Give the log-probabilities of some decisions along one fixed way."""
    agent = spec.make()
    environment.reset(0)
    agent.begin(environment)
    said = []
    for action in (2, 2, 1, 1)[:steps]:
        agent.act(environment.render())
        said.append(list(agent.decision.log_probabilities.values()))
        environment.step(action)
    return said


@pytest.mark.parametrize('mode', ['sampled', 'windowed'])
def test_without_memories_every_frame_is_the_first(checkpoint, environment, mode):
    spec = AgentSpec(str(checkpoint), memory={'mode': mode})
    forgetful = agent_of('neither_memory', spec)
    agent = forgetful.make()
    environment.reset(0)
    frames = []
    for action in (2, 2, 1, 1):
        frames.append(environment.render())
        environment.step(action)
    alone = []
    for frame in frames:
        agent.policy.reset(environment.episode.instruction.text)
        alone.append(list(agent.policy.step(frame).log_probabilities.values()))
    assert spoken(forgetful, environment) == [pytest.approx(row, abs=1e-5) for row in alone]


@pytest.mark.parametrize('mode', ['sampled', 'windowed'])
def test_each_memory_matters(checkpoint, environment, mode):
    spec = AgentSpec(str(checkpoint), memory={'mode': mode})
    rows = [
        spoken(agent_of(row, spec) if row else spec, environment)[-1]
        for row in (
            None,
            'no_spatial_memory',
            'no_semantic_memory',
            'neither_memory',
            'geometry_off',
        )
    ]
    for i, row in enumerate(rows):
        for other in rows[:i]:
            assert row != pytest.approx(other, abs=1e-7)


def test_rows_change_what_they_say():
    spec = AgentSpec('x', memory={'recent_frames': 24})
    assert agent_of('no_initial_window', spec).memory == {'recent_frames': 24, 'initial_frames': 0}
    assert agent_of('lambda_0.5', spec).lam == 0.5
    with pytest.raises(ValueError, match='no ablation'):
        agent_of('nothing', spec)


def test_ablations_of_a_checkpoint_as_table_and_plot(checkpoint, tmp_path, capsys):
    folder = tmp_path / 'out'
    few = '--device cpu --episodes 1 --max-steps 3 --ablations sampled neither_memory'.split()
    assert main([f'--policy={checkpoint}', f'--output={folder}', *few]) == 0
    table = capsys.readouterr().out
    assert '| sampled | 1 |' in table and '| neither_memory | 1 |' in table
    assert 'src="data:image/svg+xml;base64,' in (folder / 'ablations.html').read_text()
    assert (folder / 'sampled' / 'report.html').exists()


def test_each_row_may_have_a_checkpoint_of_its_own(checkpoint, tmp_path, capsys):
    for row in ('windowed', 'neither_memory'):
        (tmp_path / 'run' / row).mkdir(parents=True)
        (tmp_path / 'run' / row / 'checkpoint').symlink_to(checkpoint)
    words = [f'--policy={tmp_path}/run/{{row}}/checkpoint', f'--output={tmp_path / "out"}']
    few = '--device cpu --episodes 1 --max-steps 3'.split()
    rows = ['--ablations', 'windowed', 'neither_memory']
    assert main([*words, *few, *rows]) == 0
    assert '| neither_memory | 1 |' in capsys.readouterr().out
    for row in rows[1:]:
        run = json.loads((tmp_path / 'out' / row / 'run.json').read_text())
        assert run['agent']['policy'] == f'{tmp_path}/run/{row}/checkpoint'
    assert main([*words, *few, *rows, 'no_spatial_memory']) == 2
    assert f'{tmp_path}/run/no_spatial_memory/checkpoint' in capsys.readouterr().err
    assert main([*words, *few]) == 2
    assert 'run/{row}/checkpoint' in capsys.readouterr().err


def test_plot_draws_every_row(tmp_path):
    record = {
        'ne': 1,
        'os': 1,
        'sr': 1,
        'spl': 1,
        'ndtw': 1,
        'sdtw': 1,
        'steps': 5,
        'collisions': 0,
        'path_length': 3,
    }
    summaries = {row: summarise([record, record | {'sr': 0}]) for row in ROWS}
    drawn = plot(summaries).decode()
    assert all(f'<!-- {row} -->' in drawn for row in (*ROWS, 'SR', 'SPL'))
    assert write_ablations(tmp_path, summaries).count('\n') == 2 + len(ROWS)


def test_shuffled_instructions_are_those_of_other_episodes(checkpoint, environment):
    environment.reset(0)
    own = environment.episode.instruction.text
    assert environment.other_instruction() == environment.other_instruction() != own


def test_the_shipped_checkpoint_follows_what_sim_robot_suggests_first():
    """It touches nothing on its way, so that a robot with a body gets there too."""
    settings = Settings()
    house = generate_house(settings.house_seed, rooms=settings.rooms)
    scene, start = Scene(house), free_start(house)
    words = suggestions(scene, *start)[0].lower().rstrip('.')  # as the README writes it
    colour, category = words.split()[-2:]
    world = KinematicWorld(house)
    world.reset(*start)
    policy = JanusPolicy.from_pretrained(SHIPPED, device='cpu')
    policy.reset(words)
    for _ in range(40):
        action = policy.step(world.render()).action
        assert not world.step(action)
        if action == Action.STOP:
            break
    x, y, _ = world.pose
    world.close()
    (thing,) = scene.named(category, colour)
    assert action == Action.STOP
    assert min(math.hypot(x - near[0], y - near[1]) for near in scene.around(thing)) < 0.7
