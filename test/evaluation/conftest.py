"""Built episodes are kept for the tests of one run only."""

import pytest

from janusvln_ros.evaluation import cache


@pytest.fixture(scope='session', autouse=True)
def _episodes_folder(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
    cache._folder.cache_clear()
    yield
    patch.undo()
