#!/bin/bash
# Everything a release ships of one variant, into dist/: release.sh LINE MODEL ARCH
#
#   packaging/release.sh full gemma-3-1b x86_64     dist/tea-python-llm-gemma3-1b-….AppImage and its papers
#   packaging/release.sh lite none aarch64          dist/tea-lite-….AppImage, without a model
#
# The model is fetched, checked and put in; what is larger than a release takes comes in parts. Needs `make setup-dev`.
set -euo pipefail

line=$1 model=$2 arch=$3
cd "$(dirname "$0")/.."
tea=.venv/bin/tea
limit_bytes=2000000000

case $model in
none | embedded) ;;
*)
    "$tea" models pull --quiet "$model"
    "$tea" models verify "$model"
    ;;
esac
mkdir -p dist
(
    cd dist
    bundled=$("../$tea" bundle appimage --quiet --line "$line" --model "$model" --arch "$arch" ../examples/llm/local-chat.yaml)
    echo "$bundled"
    "../$tea" bundle verify "$bundled"
    if [ "$(stat -c %s "$bundled")" -gt $limit_bytes ]; then
        "../$tea" bundle split "$bundled"
        rm "$bundled"
    fi
)
