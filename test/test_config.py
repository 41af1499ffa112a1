"""Parameter files, options of commands and documentation against what the code declares."""

from pathlib import Path
import re

from janusvln_ros.evaluation import command as evaluate
from janusvln_ros.measurement import benchmark
from janusvln_ros.nodes.common.process import usage
from janusvln_ros.nodes.motion_executor import Parameters as ExecutorParameters
from janusvln_ros.nodes.navigator_settings import NavigatorParameters
from janusvln_ros.parameters import build, flatten
from janusvln_ros.policy.metric_depth import DepthParameters
from janusvln_ros.policy.options import PolicyOptions
from janusvln_ros.replay import command as replay
from parameter_tables import parameter_tables
import pytest
import yaml

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / 'config'
KINDS = {
    **dict.fromkeys(CONFIG.glob('navigator*.yaml'), NavigatorParameters),
    **dict.fromkeys(CONFIG.glob('computers/*.yaml'), NavigatorParameters),
    **dict.fromkeys(CONFIG.glob('robot_*.yaml'), ExecutorParameters),
}


def values_of_nodes(path: Path) -> list[dict]:
    """Return the values for each node that a file names; /hardware is for the estimate alone."""
    nodes = yaml.safe_load(path.read_text())
    return [node['ros__parameters'] for name, node in nodes.items() if name != '/hardware']


@pytest.mark.parametrize('path', sorted(KINDS), ids=lambda path: path.stem)
def test_parameter_file_fits_its_node(path):
    """Wrong names are ignored by ROS without a word; whole numbers are no floats there."""
    declared = flatten(KINDS[path])
    for values in values_of_nodes(path):
        build(KINDS[path], values)  # all declared, and in range
        for name, value in values.items():
            assert type(value) is type(declared[name].default), name


@pytest.mark.parametrize('path', sorted(CONFIG.glob('robot_*.yaml')), ids=lambda path: path.stem)
def test_robot_file_guards_the_way_and_says_what_is_not_seen(path):
    (values,) = values_of_nodes(path)
    assert values['stop_distance'] > 0.0 or path.stem == 'robot_simulator'
    assert re.search('does not see|sees nothing|sees one plane', path.read_text())


@pytest.mark.parametrize('path', sorted(CONFIG.glob('navigator*.yaml')), ids=lambda p: p.stem)
def test_navigator_files_hold_only_what_differs(path):
    declared = flatten(NavigatorParameters)
    for values in values_of_nodes(path):
        assert [name for name in values if values[name] == declared[name].default] == []


@pytest.mark.parametrize(
    ('make', 'without'),
    [
        (replay.make_parser, {'checkpoint'}),
        (benchmark.parser, set(flatten(PolicyOptions)) - {'image_width', 'dtype', 'threads'}),
        (
            evaluate.parser,
            {'checkpoint', 'adapter', 'device', 'language_weights', 'decoding', 'threads'},
        ),
    ],
)
def test_commands_offer_what_the_node_offers(make, without):
    node = re.sub(r'\s+', ' ', usage('navigator', '', [NavigatorParameters]))
    options = re.sub(r'-\s+', '-', re.sub(r'\s+', ' ', make().format_help()))
    for one in flatten(PolicyOptions).values():
        if one.name in without:
            continue
        assert f'{one.name} (default {one.default!r}) {one.text}' in node
        assert f'--{one.name.replace("_", "-")} ' in options
        default = '' if one.default == '' else f' (default: {one.default})'
        assert f'{re.sub(r"- ", "-", one.text)}{default}' in options


@pytest.mark.parametrize(
    'kind, document', [(PolicyOptions, 'performance.md'), (DepthParameters, 'depth.md')]
)
def test_documentation_has_the_tables_of_options(kind, document):
    tables = parameter_tables(kind)
    table = tables[tables.index('|') :]  # they change when the node says so
    path = ROOT / 'docs' / document
    assert table in path.read_text(), f'put this into {path}:\n\n{table}'
