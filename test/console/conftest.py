"""A console with two robots whose names are scripts, and browsers that call it."""

from collections.abc import Iterator

from browser import Browser, SCRIPT, WrittenRobot
from janusvln_ros.console.options import ConsoleParameters
from janusvln_ros.console.server import Console
from janusvln_ros.parameters import build
import pytest


@pytest.fixture
def robots() -> dict[str, WrittenRobot]:
    return {name: WrittenRobot(name) for name in ('r1', SCRIPT)}


@pytest.fixture
def make(robots) -> Iterator:
    """Give a function that starts a console with parameters."""
    consoles = []

    def start(**values: object) -> Browser:
        consoles.append(Console(build(ConsoleParameters, {'port': 0, **values}), robots))
        consoles[-1].start()
        return Browser(consoles[-1])

    yield start
    for console in consoles:
        console.stop()
    for robot in robots.values():
        robot.close()


@pytest.fixture
def browser(make) -> Browser:
    return make()
