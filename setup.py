"""`pip install .`: what needs no ROS. Metadata: package.xml; versions: requirements/."""

from pathlib import Path
import xml.etree.ElementTree as ElementTree

from setuptools import find_packages, setup

HERE = Path(__file__).parent
PACKAGE = ElementTree.parse(HERE / 'package.xml').getroot()


def pinned(name: str) -> list[str]:
    """Return the requirements in requirements/NAME.txt."""
    lines = (HERE / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


setup(
    name=PACKAGE.findtext('name'),
    version=PACKAGE.findtext('version'),
    description=PACKAGE.findtext('description'),
    license=PACKAGE.findtext('license'),
    packages=find_packages(include=['janusvln_ros', 'janusvln_ros.*']),
    package_data={'janusvln_ros': ['**/*.json', '**/*.xml', '**/*.html', '**/*.yaml', 'py.typed']},
    data_files=[
        (
            f'share/janusvln_ros/{kind}',
            [str(path.relative_to(HERE)) for path in sorted((HERE / kind).glob('*.*'))],
        )
        for kind in ('msg', 'action')
    ],  # replay reads bags by them
    python_requires='>=3.10,<3.14',
    install_requires=pinned('torch') + pinned('python'),
    extras_require={'test': pinned('test')},
    entry_points={'console_scripts': ['janusvln = janusvln_ros.cli:main']},
)
