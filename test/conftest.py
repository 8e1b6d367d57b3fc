"""Settings that hold for all tests."""

import os

import pytest

# Before torch is imported: on few, shared cores OpenMP's spinning threads slow each other down tenfold.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--faults", action="store_true", help="run the fault injection, in real time (test/faults)"
    )
    parser.addoption(
        "--reaction-moves",
        type=int,
        default=0,
        metavar="N",
        help="measure each reaction of an executor on N moves (test/conformance)",
    )
    parser.addoption("--fault-sweep", action="store_true", help="inject the rarer faults too (test/faults)")
    parser.addoption("--fault-table", metavar="FILE", help="write what the fault injection found as Markdown")
