"""What `pip install .` brings, and which packages of a machine's own it leaves alone."""

import os
from pathlib import Path
import runpy
import shutil
import subprocess
import sys
import zipfile

from packaging.requirements import Requirement
import pytest

ROOT = Path(__file__).parents[1]
PYTHONS = '3.10', '3.11', '3.12', '3.13'
BUILD = """
import sys
from setuptools import build_meta
print(getattr(build_meta, sys.argv[1])('dist'))
"""


def read(name):
    """Return the requirements of a file in requirements/."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith('#')]


def applies(requirement, python):
    return not requirement.marker or requirement.marker.evaluate({'python_version': python})


@pytest.mark.parametrize(
    ('package', 'version'),
    [
        ('torch', '2.5.0a0+872d972e41.nv24.08'),  # NVIDIA's for JetPack 6
        ('torch', '2.5.0a0+nv24.08'),
        ('torch', '2.8.0'),
        ('torch', '2.13.0+cpu'),
        ('numpy', '1.26.4'),  # what NVIDIA's torch was built with
        ('opencv-python-headless', '4.10.0.84'),
    ],
)
def test_a_machines_own_build_stands(package, version):
    """Check as pip does with what is installed: development versions count."""
    bounds = [one for one in read('torch') + read('python') if one.name == package]
    assert len(bounds) == 1 and bounds[0].marker is None
    assert bounds[0].specifier.contains(version, prereleases=True)
    assert not bounds[0].specifier.contains('99.0') or package.startswith('opencv')


@pytest.mark.parametrize('python', PYTHONS)
def test_the_tested_version_of_each_is_a_constraint_within_the_bounds(python):
    tested = {}
    for one in read('constraints'):
        if applies(one, python):
            assert one.name not in tested, one
            tested[one.name] = one
    for one in read('torch') + read('python'):
        if applies(one, python):
            (exact,) = tested[one.name].specifier
            assert exact.operator == '=='
            assert one.specifier.contains(exact.version), one
            assert '==' not in str(one.specifier)


@pytest.mark.slow
def test_a_wheel_brings_configuration_and_checkpoint(tmp_path):
    """Build as `python -m build` does, the wheel from the source archive; run it elsewhere."""
    skipped = shutil.ignore_patterns('.*', 'build', 'install', 'log', 'out', 'test', '*.egg-info')
    shutil.copytree(ROOT, tmp_path / 'checkout', ignore=skipped)

    def build(kind, folder):
        done = subprocess.run(
            [sys.executable, '-c', BUILD, kind],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        return folder / 'dist' / done.stdout.split()[-1]

    source = build('build_sdist', tmp_path / 'checkout')
    shutil.unpack_archive(source, tmp_path / 'unpacked')
    wheel = build('build_wheel', next((tmp_path / 'unpacked').iterdir()))

    with zipfile.ZipFile(wheel) as archive:
        (data,) = {name.split('/')[0] for name in archive.namelist() if '.data/' in name}
        share = tmp_path / 'prefix' / 'share'
        site = tmp_path / 'prefix' / 'lib' / 'site-packages'
        archive.extractall(site)
    shutil.move(site / data / 'data' / 'share', share)  # pip's work
    for kind in ('config', 'models', 'msg', 'action', 'package.xml'):
        whole = sorted(
            str(path.relative_to(ROOT)) for path in [ROOT / kind, *(ROOT / kind).rglob('*')]
        )
        assert all((share / 'janusvln_ros' / name).exists() for name in whole)
    code = (
        'from janusvln_ros import share, version; import janusvln_ros.cli; '
        'print(share(), version()); janusvln_ros.cli.main(["benchmark", "--help"])'
    )
    done = subprocess.run(
        [sys.executable, '-c', code],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(site)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith(f'{share / "janusvln_ros"} ')


@pytest.mark.parametrize(('status', 'shown'), [(0, ''), (3, 'ERROR: no such package\n')])
def test_setup_hides_warnings_and_shows_errors(status, shown):
    """Of what pip says only the errors, and nothing while all is well."""
    script = (ROOT / 'scripts' / 'setup.sh').read_text()
    function = script[script.index('patiently() {') : script.index('\nticker=')]
    said = "WARNING: Location 'file:///x/' is ignored: it is neither a file nor a directory.\\n"
    code = f"""
        set -euo pipefail
        {function}
        pip() {{ printf "{said}"; (($1)) && echo 'ERROR: no such package'; return "$1"; }}
        patiently pip {status}
    """
    done = subprocess.run(['bash', '-c', code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (status, '', shown)


def test_include_folders_of_the_wheels_are_put_right_once():
    script = runpy.run_path(str(ROOT / 'scripts' / 'repair_ros_wheels.py'))
    numpy = '/a b/lib/python3.11/site-packages/numpy/_core/include'
    made = '"/opt/python/cp311-cp311/include/python3.11;/x/site-packages/numpy/core/include"\n'
    right = script['repaired'](made, '/a b/include/python3.11', numpy)
    assert right == f'"/a b/include/python3.11;{numpy}"\n'
    assert script['repaired'](right, '/a b/include/python3.11', numpy) == right
