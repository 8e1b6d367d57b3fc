"""A keystore as `ros2 security` lays it out (sros2 e349fcf2): whether the enclaves needed are in it."""

from collections.abc import Iterable
from pathlib import Path

from qtopt_policy.errors import ConfigError

# What rmw_dds_common (from Kilted on rmw_security_common) takes from an enclave's folder; sros2 makes links
# of the governance and of the authorities' certificates.
FILES = (
    "cert.pem",
    "key.pem",
    "governance.p7s",
    "permissions.p7s",
    "identity_ca.cert.pem",
    "permissions_ca.cert.pem",
)
MEND = "docs/security.md says how to make a keystore"


def enclave_folder(keystore: Path, enclave: str) -> Path:
    """Return the folder of an enclave, whose name begins with `/`."""
    return keystore / "enclaves" / enclave.lstrip("/")


def require_enclaves(keystore: Path, enclaves: Iterable[str]) -> None:
    """Raise ConfigError for a folder that is no keystore, or an enclave that is missing or not whole."""
    if not (keystore / "enclaves").is_dir():
        raise ConfigError(f"keystore {keystore}: no folder `enclaves`; {MEND}")
    for enclave in enclaves:
        folder = enclave_folder(keystore, enclave)
        missing = [name for name in FILES if not (folder / name).is_file()]
        if missing:
            here = ", ".join(_enclaves_in(keystore)) or "none"
            raise ConfigError(
                f"keystore {keystore}: enclave {enclave} lacks {', '.join(missing)}. Enclaves there: {here}; "
                f"{MEND}"
            )


def _enclaves_in(keystore: Path) -> list[str]:
    folder = keystore / "enclaves"
    return sorted(f"/{path.parent.relative_to(folder).as_posix()}" for path in folder.rglob("key.pem"))
