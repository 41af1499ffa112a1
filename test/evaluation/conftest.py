"""Built episodes are kept for the tests of one run only."""

from janusvln_ros.evaluation import cache
import pytest


@pytest.fixture(scope='session', autouse=True)
def _episodes_folder(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
    cache._folder.cache_clear()
    yield
    patch.undo()
