#!/bin/bash
# Whether a tea works where it was put: smoke.sh [--model] [TEA...]
#
#   packaging/smoke.sh --model                              the tea on the path, with its model
#   packaging/smoke.sh --model dist/tea-python-llm-….AppImage
#
# With --model it must answer the example agent, and rightly.
set -euo pipefail

model=
if [ "${1:-}" = --model ]; then
    model=yes
    shift
fi
tea=("${@:-tea}")
source=$(cd "$(dirname "$0")/.." && pwd)
agent=$source/examples/llm/local-chat.yaml
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
export TEA_DATA_DIR=$home TEA_OFFLINE=1

"${tea[@]}" --version
"${tea[@]}" --impl --features
"${tea[@]}" validate "$agent"
"${tea[@]}" inspect "$agent" >/dev/null
if [ -n "$model" ]; then
    answer=$("${tea[@]}" run "$agent" --input '{"question": "What is 2+2?"}')
    echo "$answer"
    case $answer in
    *4*) ;;
    *)
        echo "smoke.sh: that isn't 4" >&2
        exit 1
        ;;
    esac
fi
