#!/bin/bash
# Run smoke.sh on an AppImage in a clean container without network: smoke-container.sh IMAGE APPIMAGE [--model]
#
# No FUSE, nothing installed, an ordinary user. What was split is joined first.
set -euo pipefail

image=$1 appimage=$(realpath "$2")
shift 2
source=$(cd "$(dirname "$0")/.." && pwd)
docker run --rm --network none --user 1000:1000 --env HOME=/tmp \
    --volume "$source:/source:ro" --volume "$(dirname "$appimage"):/dist:ro" \
    "$image" bash /source/packaging/smoke.sh "$@" "/dist/$(basename "$appimage")"
