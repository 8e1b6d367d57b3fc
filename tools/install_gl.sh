#!/bin/sh
# The simulator renders without a screen: through OSMesa or EGL, whichever is there. $1 is a Python.
"$1" -c 'import ctypes.util as c, sys; sys.exit(not (c.find_library("OSMesa") or c.find_library("EGL")))' && exit 0
# Newer distributions have no OSMesa any more.
here=$(dirname "$0")
if apt-cache show libosmesa6 >/dev/null 2>&1; then
    exec "$here/apt_install.sh" libosmesa6
fi
exec "$here/apt_install.sh" libegl1 libgl1-mesa-dri
