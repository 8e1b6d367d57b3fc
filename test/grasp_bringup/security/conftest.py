"""What the security tests share: a keystore, and a middleware that is as told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from grasp_bringup.security.keystore import FILES, enclave_folder

DOUBLE = Path(__file__).resolve().parents[2] / "support" / "security_double"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\n"  # what the double takes for one


@pytest.fixture
def keystore(tmp_path: Path) -> Path:
    """Return an empty keystore."""
    folder = tmp_path / "keystore"
    (folder / "enclaves").mkdir(parents=True)
    return folder


@pytest.fixture
def with_credentials(keystore: Path) -> Callable[[str], Path]:
    """Return what adds an enclave with credentials to the keystore; it returns the enclave's folder."""

    def add(name: str) -> Path:
        folder = enclave_folder(keystore, name)
        folder.mkdir(parents=True)
        for file in FILES:
            (folder / file).write_text(CERTIFICATE)
        return folder

    return add


@pytest.fixture
def middleware() -> Callable[..., dict[str, str]]:
    """Return what makes the environment of a middleware: see support/security_double."""

    def environment(kind: str, **more: str) -> dict[str, str]:
        return {"PYTHONPATH": str(DOUBLE), "MIDDLEWARE_DOUBLE": kind, **more}

    return environment
