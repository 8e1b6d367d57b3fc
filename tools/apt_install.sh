#!/bin/sh
# Install those of the given Debian packages that are missing, or say which command would.
set -u

missing=""
for package in "$@"; do
    if ! dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed; then
        missing="$missing $package"
    fi
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root="sudo"
else
    as_root="none"
fi

if [ "$as_root" = none ] || ! command -v apt-get >/dev/null; then
    echo "These packages are missing, and I may not install them:$missing" >&2
    echo "Please run:  sudo apt-get install --no-install-recommends$missing" >&2
    exit 1
fi

install() {
    # shellcheck disable=SC2086  # a list of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
}

# The package lists of a fresh container are empty.
if ! install >/dev/null 2>&1; then
    $as_root apt-get update -q && install
fi
