#!/bin/sh
# Tests open the reports in Chromium. Only continuous integration installs it, for it is large, and insists on it, but on
# Ubuntu, which has no Debian package of it.
command -v chromium >/dev/null || command -v google-chrome >/dev/null && exit 0
id=$(. /etc/os-release && echo "$ID")
if [ "${CI:-}" = true ] && [ "$id" != ubuntu ]; then
    exec "$(dirname "$0")/apt_install.sh" chromium
fi
echo "Without \`chromium\` or \`google-chrome\` the tests that open reports in a browser are skipped." >&2
