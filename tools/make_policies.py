#!/usr/bin/env python3
"""Write config/security/policies/*.xml: the SROS2 policies of the shipped systems, as `qtopt security` would.

usage: tools/make_policies.py [--check]

With --check nothing is written; the exit status is 1 if a file is not what would be written.
"""

import sys
from pathlib import Path

from grasp_bringup.security.policy import FOLDER, SHIPPED, policy_text

TARGET = Path(__file__).resolve().parents[1] / FOLDER


def main(arguments: list[str]) -> int:
    """Write the policies, or compare them; return the exit status."""
    texts = {TARGET / f"{name}.xml": policy_text(options) for name, options in SHIPPED.items()}
    if arguments != ["--check"]:
        TARGET.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            path.write_text(text)
        return 0
    stale = [path.name for path, text in texts.items() if not path.is_file() or path.read_text() != text]
    stale += sorted(path.name for path in set(TARGET.glob("*")) - set(texts))
    if stale:
        sys.stderr.write(f"{FOLDER}: {', '.join(stale)} not current: run tools/make_policies.py\n")
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
