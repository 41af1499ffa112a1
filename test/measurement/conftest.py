"""Measurements in tests are made with one thread."""

import pytest


@pytest.fixture(scope='session', autouse=True)
def _one_thread(one_thread: None) -> None:
    pass
