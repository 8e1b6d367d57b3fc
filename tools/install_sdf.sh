#!/bin/sh
# `ign sdf` (or `gz sdf`) checks the Gazebo world and robot in the tests. Only continuous integration insists on it.
command -v ign >/dev/null || command -v gz >/dev/null && exit 0
"$(dirname "$0")/apt_install.sh" sdformat-sdf ignition-tools libsdformat12-12 libsdformat-dev && exit 0
[ "${CI:-}" != true ] || exit 1
echo "Without \`ign sdf\` the tests of the Gazebo world are skipped." >&2
