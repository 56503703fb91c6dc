"""What tests of several pools share."""

from collections.abc import Iterator

import pytest

from invspec.execution.pools.home import Home


@pytest.fixture
def listening() -> Iterator[Home]:
    """The run's end of calls from pilots, on this machine."""
    home = Home("127.0.0.1")
    yield home
    home.close()
