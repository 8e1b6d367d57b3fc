"""The table of all faults: printed at the end, and written where --fault-table says."""

from pathlib import Path

import pytest

from faults.table import Table

TABLE = pytest.StashKey[Table]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TABLE] = Table()


@pytest.fixture(scope="session")
def table(pytestconfig: pytest.Config) -> Table:
    return pytestconfig.stash.setdefault(TABLE, Table())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave most faults to `make faults`: they measure real times, which a busy machine does not keep."""
    if any(config.getoption(name) for name in ("--faults", "--fault-sweep", "--fault-table")):
        return
    for item in items:
        if Path(__file__).parent in item.path.parents and not item.path.name.startswith("test_smoke"):
            item.add_marker(pytest.mark.skip(reason="fault injection runs by `make faults`"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    table = config.stash.get(TABLE, Table())
    if not table.rows:
        return
    terminalreporter.section("faults")
    terminalreporter.write_line(table.markdown())
    if config.getoption("--fault-table"):
        table.write(Path(config.getoption("--fault-table")))
