#!/bin/bash
# Bring the folders of several builds together as one release with one list of checksums: collect.sh FOLDERS INTO
#
# Each build's own list is checked on the way.
set -euo pipefail

from=$(realpath "$1") into=$2
mkdir -p "$into"
into=$(realpath "$into")
for folder in "$from"/*/; do
    (
        cd "$folder"
        if [ -f SHA256SUMS ]; then
            sha256sum --check --quiet --ignore-missing SHA256SUMS
            rm SHA256SUMS
        fi
        mv --no-clobber -- * "$into"/
        left=$(find . -type f)
        if [ -n "$left" ]; then
            echo "collect.sh: two builds made a file of one name: $left" >&2
            exit 1
        fi
    )
done
cd "$into"
sha256sum -- * >.SHA256SUMS
mv .SHA256SUMS SHA256SUMS
