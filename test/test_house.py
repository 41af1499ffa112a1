"""The house rules: which room may import which, and that every command is installed."""

import ast
from collections.abc import Iterator
from functools import cache
import graphlib
import os
from pathlib import Path
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

from janusvln_ros.cli import COMMANDS
import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'janusvln_ros'

# Room -> rooms, or single modules, that it may import, besides itself and the ground. Names are
# dotted; of several rooms that a module lies in the longest counts.
MAY_IMPORT = {
    'policy.network': set(),
    'policy': {'policy.network'},
    'motion.safety': {'motion.types', 'motion.commands', 'motion.geometry'},
    'motion': {'motion.safety'},
    'imaging': set(),
    'sim': set(),
    'navigation': {'policy.interface', 'motion.types', 'motion.geometry', 'imaging'},
    'recordings': {'imaging'},
    'episodes': {'sim', 'motion', 'motion.safety'},
    'measurement': {'policy', 'policy.network', 'sim'},
    'replay': {'recordings', 'navigation.decider', 'policy', 'policy.network', 'imaging'},
    'evaluation': {'episodes', 'motion.types', 'policy', 'policy.network', 'sim', 'imaging'},
    'console': set(),
    'nodes': {
        'navigation',
        'policy',
        'motion',
        'motion.safety',
        'sim',
        'imaging',
        'episodes',
        'console',
        'measurement.room',
    },
    'training.data': {'episodes', 'sim', 'policy', 'policy.network', 'recordings', 'imaging'},
    'training': {
        'training.data',
        'policy',
        'policy.network',
        'sim',
        'episodes',
        'evaluation',
        'imaging',
    },
    'system': {
        'nodes',
        'navigation',
        'episodes',
        'recordings',
        'imaging',
        'sim',
        'measurement',
        'policy.options',
        'policy.pinhole',
    },
}
WITH_ROS = {'nodes', 'system'}
GROUND = {'actions', 'arguments', 'parameters', 'turns', 'workers'}
DOORS = {'cli'}  # imports rooms by name, when they are asked for
ROS = re.compile(r'(rclpy|rcl_interfaces|launch|tf2_ros|\w+_msgs|builtin_interfaces)$')


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported_modules(path: Path) -> set[str]:
    """Return the dotted names that a file imports, also inside functions."""
    names = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ''
            if node.level:
                package = ('janusvln_ros', *path.relative_to(PACKAGE).parts[:-1])
                base = '.'.join([*package[: len(package) - node.level + 1], *filter(None, [base])])
            names |= {base} | {f'{base}.{alias.name}' for alias in node.names}
    return names


def room_of(module: str) -> str | None:
    """Return the room that a dotted name below janusvln_ros lies in; of several the longest."""
    fits = [room for room in MAY_IMPORT if f'{module}.'.startswith(f'{room}.')]
    return max(fits, key=len, default=None)


def test_every_folder_is_a_room_of_the_plan():
    folders = {
        '.'.join(path.parent.relative_to(PACKAGE).parts) for path in PACKAGE.glob('*/**/*.py')
    }
    assert {room_of(folder) for folder in folders} == set(MAY_IMPORT)
    assert {path.stem for path in PACKAGE.glob('[!_]*.py')} == GROUND | DOORS


@pytest.mark.parametrize('room', sorted(MAY_IMPORT))
def test_room_imports_only_what_it_may(room: str):
    allowed = MAY_IMPORT[room] | {room}
    for path in sorted((PACKAGE / room.replace('.', '/')).rglob('*.py')):
        module = '.'.join(path.relative_to(PACKAGE).with_suffix('').parts)
        if room_of(module) != room:
            continue
        for name in imported_modules(path):
            where = f'{path.relative_to(ROOT)} imports {name}'
            parts = name.split('.')
            if parts[0] == 'janusvln_ros' and len(parts) > 1:
                target = '.'.join(parts[1:])
                assert (
                    room_of(target) in allowed
                    or parts[1] in GROUND | {'msg', 'action', 'share'}
                    or any(f'{target}.'.startswith(f'{one}.') for one in allowed - set(MAY_IMPORT))
                ), where
            if room.split('.')[0] not in WITH_ROS:
                assert not ROS.fullmatch(parts[0]), where
                assert parts[:2] not in (['janusvln_ros', 'msg'], ['janusvln_ros', 'action']), (
                    where
                )


def test_no_module_of_motion_imports_itself_by_way_of_others():
    graph = {}
    for path in sorted((PACKAGE / 'motion').rglob('*.py')):
        module = '.'.join(('janusvln_ros', *path.relative_to(PACKAGE).with_suffix('').parts))
        graph[module] = imported_modules(path)
    order = graphlib.TopologicalSorter(
        {module: names & graph.keys() for module, names in graph.items()}
    )
    order.prepare()  # CycleError names the circle


@pytest.mark.parametrize('name', sorted(GROUND))
def test_the_ground_imports_nothing_of_ours(name: str):
    for imported in imported_modules(PACKAGE / f'{name}.py'):
        assert imported.split('.')[0] in sys.stdlib_module_names | {'numpy'}


@pytest.mark.parametrize(
    'name',
    [
        'motion',
        'imaging',
        'navigation',
        'recordings',
        'console',
        'policy.interface',
        pytest.param('nodes.motion_executor', marks=pytest.mark.ros),
    ],
)
def test_robot_side_and_recordings_load_neither_torch_nor_mujoco(name: str):
    rooms = [path.relative_to(PACKAGE) for path in (PACKAGE / name).rglob('[!_]*.py')]
    modules = ['.'.join(path.with_suffix('').parts) for path in rooms] or [name]
    heavy = {'torch', 'mujoco'} | (set() if name.startswith('nodes') else {'rclpy'})
    code = ''.join(f'import janusvln_ros.{module}\n' for module in modules)
    code += f'import sys\nassert not {heavy} & sys.modules.keys(), {heavy} & sys.modules.keys()'
    subprocess.run([sys.executable, '-c', code], check=True, cwd=ROOT)


def test_every_command_is_installed_as_an_executable():
    commands = re.search(r'foreach\(COMMAND ([^)]*)\)', (ROOT / 'CMakeLists.txt').read_text())
    assert commands.group(1).split() == list(COMMANDS)


@pytest.mark.parametrize('name', sorted(COMMANDS))
def test_every_command_has_a_module_with_main(name: str):
    path = PACKAGE / (COMMANDS[name][0].replace('.', '/') + '.py')
    functions = [node.name for node in parsed(path).body if isinstance(node, ast.FunctionDef)]
    assert 'main' in functions


def test_unknown_command_is_named(capfd: pytest.CaptureFixture[str]):
    result = subprocess.run([sys.executable, '-m', 'janusvln_ros.cli', 'fly'], cwd=ROOT)
    assert result.returncode == 2
    error = capfd.readouterr().err
    assert "no command 'fly'" in error and 'navigator' in error


def test_versions_are_pinned_and_metadata_has_one_source():
    pinned = re.compile(r'[\w.-]+(\[\w+\])?==[^ ;]+(; python_version (<|>=) "3.11")?')
    for name in ('constraints', 'test', 'ros', 'lint'):  # test_install.py looks at the others
        path = ROOT / 'requirements' / f'{name}.txt'
        for line in path.read_text().splitlines():
            assert not line or line.startswith('#') or pinned.fullmatch(line), f'{path}: {line}'
    package = ElementTree.parse(ROOT / 'package.xml').getroot()
    assert package.get('format') == '3'
    assert package.findtext('license') == 'Apache-2.0'
    shown = subprocess.run(
        [sys.executable, 'setup.py', '--name', '--version'],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert shown[-2:] == [package.findtext('name'), package.findtext('version')]


@pytest.mark.slow
def test_installed_command_starts_worker_processes(tmp_path: Path):
    """Also below a folder whose name has a space, which no shebang takes."""
    python, command = tmp_path / 'a python', tmp_path / 'janusvln'
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    template = (ROOT / 'scripts' / 'janusvln.in').read_text()
    command.write_text(template.replace('@Python3_EXECUTABLE@', str(python)))
    command.chmod(0o755)
    subprocess.run(
        [command, *'evaluate --policy stop --episodes 2 --processes 2 --output'.split(), tmp_path],
        check=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )


LIMITS = {'janusvln_ros': 450, 'test': 400}  # lines of a file in these folders


@pytest.mark.parametrize('folder', sorted(LIMITS))
def test_no_file_is_too_long(folder: str):
    lines = {path: len(path.read_text().splitlines()) for path in (ROOT / folder).rglob('*.py')}
    assert not {path: count for path, count in lines.items() if count > LIMITS[folder]}


def test_no_class_has_too_many_methods():
    for path in PACKAGE.rglob('*.py'):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ClassDef):
                methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
                assert len(methods) <= 25, f'{path.relative_to(ROOT)}: {node.name}'


def test_actions_stand_in_one_place():
    """
    No other module spells an action's name as text, gives such a name a number, or states a step.

    A step is 0.25 given to a name (variable, argument, default) with "step" or "forward" in it, or
    15 degrees in radians. YAML is not looked at: Habitat's states them in its own words.
    """
    for path in {*PACKAGE.rglob('*.py')} - {PACKAGE / 'actions.py'}:
        tree = parsed(path)
        for where, name, value in given_values(tree):
            told = f'{path.relative_to(ROOT)}:{where}'
            assert not (name in NAMES and isinstance(value, int | float)), told
            assert not (value == 0.25 and re.search('step|forward', name, re.IGNORECASE)), told
        for node in ast.walk(tree):
            told = f'{path.relative_to(ROOT)}:{getattr(node, "lineno", 0)}'
            assert not (isinstance(node, ast.Constant) and node.value in NAMES), told
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(('radians', 'rad')):
                assert [ast.unparse(value) for value in node.args] not in (['15'], ['15.0']), told


NAMES = {'MOVE_FORWARD', 'TURN_LEFT', 'TURN_RIGHT'}


def given_values(tree: ast.AST) -> Iterator[tuple[int, str, object]]:
    """Yield line, name and number of what is assigned, passed by name or a default in a module."""
    for node in ast.walk(tree):
        pairs: list[tuple[str | ast.expr, ast.expr | None]] = []
        if isinstance(node, ast.Assign):
            pairs = [(target, node.value) for target in node.targets]
        elif isinstance(node, ast.AnnAssign):
            pairs = [(node.target, node.value)]
        elif isinstance(node, ast.keyword):
            pairs = [(node.arg or '', node.value)]
        elif isinstance(node, ast.arguments):
            late = [*node.posonlyargs, *node.args][::-1]
            pairs = [(one.arg, value) for one, value in zip(late, node.defaults[::-1])]
            pairs += [(one.arg, value) for one, value in zip(node.kwonlyargs, node.kw_defaults)]
        for name, value in pairs:
            if isinstance(value, ast.Call) and value.args:  # parameter(0.25, …)
                value = value.args[0]
            if isinstance(value, ast.Constant):
                text = name if isinstance(name, str) else ast.unparse(name)
                yield value.lineno, text, value.value
