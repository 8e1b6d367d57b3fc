#!/bin/sh
# Print the first Python that the ROS wheels are built for (3.10 to 3.14) and that can make virtual environments.
for name in python3 python3.12 python3.11 python3.13 python3.10 python3.14; do
    if command -v "$name" >/dev/null &&
        "$name" -c 'import ensurepip, sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
        command -v "$name"
        exit 0
    fi
done
exit 1
