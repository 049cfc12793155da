#!/bin/bash
# Join what was split to fit into a release, and make it executable: join.sh FOLDER
#
# The script that does it lies beside the parts, as it does for whoever downloads them.
set -euo pipefail

cd "$1"
shopt -s nullglob
for script in join-*.sh; do sh "$script"; done
chmod +x ./*.AppImage
