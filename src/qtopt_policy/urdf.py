"""Xacro files into URDF XML."""

import io
import warnings
from contextlib import redirect_stderr
from functools import lru_cache
from pathlib import Path

import xacro

from qtopt_policy.errors import ConfigError
from qtopt_policy.share import resolve


def expand(path: Path, args: dict[str, str]) -> str:
    """Return the URDF XML of a xacro (or plain URDF) file; the result is cached.

    Args:
        path: absolute, or relative to the working directory or to the package's share folder.
        args: xacro arguments, e.g. {"sim": "gz"}.

    Raises:
        ConfigError: the file is missing, is not XML or xacro refuses it.
    """
    return _expand(resolve(path), tuple(sorted(args.items())))


@lru_cache(maxsize=32)
def _expand(path: Path, args: tuple[tuple[str, str], ...]) -> str:
    if not path.is_file():
        raise ConfigError(f"{path}: no such URDF or xacro file")
    messages = io.StringIO()
    try:
        with redirect_stderr(messages), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return str(xacro.process_file(str(path), mappings=dict(args)).toxml())
    except Exception as error:  # xacro raises what its expressions raise
        raise ConfigError(f"{path}: xacro: {error} {messages.getvalue().strip()}".strip()) from error
