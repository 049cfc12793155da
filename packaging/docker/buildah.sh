#!/bin/bash
# buildah with a store of this project's own, in $XDG_CACHE_HOME/the-edge-agent/docker, and without a daemon or namespaces.
#
# Layers are mounted over each other where the file system allows it, and copied where it is such a mount already (a container).
set -euo pipefail

store=${XDG_CACHE_HOME:-$HOME/.cache}/the-edge-agent/docker/store
mkdir -p "$store"
driver=overlay
if [ "$(stat --file-system --format %T "$store")" = overlayfs ]; then driver=vfs; fi
export BUILDAH_ISOLATION=chroot
exec buildah --storage-driver "$driver" --root "$store/root" --runroot "$store/run" "$@"
