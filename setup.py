"""
`pip install .`: what needs no ROS. Metadata: package.xml; dependencies: requirements/.

share/janusvln_ros gets what the ROS package has there: config/, models/, interfaces, package.xml.
"""

from pathlib import Path
import xml.etree.ElementTree as ElementTree

from setuptools import find_packages, setup

HERE = Path(__file__).parent
PACKAGE = ElementTree.parse(HERE / 'package.xml').getroot()


def required(name: str) -> list[str]:
    """Return the requirements in requirements/NAME.txt."""
    lines = (HERE / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


def shared() -> dict[str, list[str]]:
    """Return the files that are no Python, by their folder in the checkout."""
    paths = [HERE / 'package.xml']
    for kind in ('action', 'config', 'models', 'msg'):
        paths += [path for path in sorted((HERE / kind).rglob('*')) if path.is_file()]
    folders: dict[str, list[str]] = {}
    for path in paths:
        name = path.relative_to(HERE)
        folders.setdefault(str(name.parent), []).append(str(name))
    return folders


setup(
    name=PACKAGE.findtext('name'),
    version=PACKAGE.findtext('version'),
    description=PACKAGE.findtext('description'),
    license=PACKAGE.findtext('license'),
    packages=find_packages(include=['janusvln_ros', 'janusvln_ros.*']),
    package_data={
        'janusvln_ros': [
            *(f'**/*.{kind}' for kind in 'json xml html yaml txt jpg css js svg'.split()),
            'py.typed',
        ]
    },
    data_files=[(f'share/janusvln_ros/{folder}', files) for folder, files in shared().items()],
    python_requires='>=3.10,<3.14',
    install_requires=required('torch') + required('python'),
    extras_require={name: required(name) for name in ('lerobot', 'lora', 'test')},
    entry_points={'console_scripts': ['janusvln = janusvln_ros.cli:main']},
)
