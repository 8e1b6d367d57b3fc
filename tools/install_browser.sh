#!/bin/sh
# Tests open the reports in Chromium. Only continuous integration installs it: it is large, and Ubuntu has it as a snap.
command -v chromium >/dev/null || command -v google-chrome >/dev/null && exit 0
[ "${CI:-}" = true ] && "$(dirname "$0")/apt_install.sh" chromium && exit 0
echo "Without \`chromium\` or \`google-chrome\` the tests that open reports in a browser are skipped." >&2
