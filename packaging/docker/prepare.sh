#!/bin/sh
# Put a variant's model and configuration into the image: prepare MODEL [SHA256].
#
# ROOT and TEA are for trying it outside of one.
set -eu

model=$1
sha256=${2:-}
root=${ROOT:-}
tea=${TEA:-/opt/tea/bin/tea}
share=$root/usr/share/tea

case $model in
none) models='tiny: {level: operational}' ;;
gemma3-1b) models='gemma-3-1b: {level: operational}' ;;
gemma3-4b) models='tiny: {level: operational}
  gemma-3-4b: {level: tactical, preload: true, keep_alive_s: null}' ;;
gemma3n-e4b) models='tiny: {level: operational}
  gemma-3n-e4b: {level: tactical, preload: true, keep_alive_s: null}' ;;
phi4-mini) models='tiny: {level: operational}
  phi-4-mini: {level: tactical, preload: true, keep_alive_s: null}' ;;
*)
    echo "prepare: there is no variant $model; MODEL is gemma3-1b, gemma3-4b, gemma3n-e4b, phi4-mini or none" >&2
    exit 1
    ;;
esac

mkdir -p "$share/hub" "$root/etc/tea"
HF_HUB_CACHE=$share/hub
TEA_DATA_DIR=$(mktemp -d)
export HF_HUB_CACHE TEA_DATA_DIR
trap 'rm -rf "$TEA_DATA_DIR"' EXIT
if [ "$model" != none ]; then
    "$tea" models pull --quiet --json --hf-cache ${sha256:+--sha256 "$sha256"} "$model" >"$share/model.json"
    cat "$share/model.json"
fi
cat >"$root/etc/tea/runtime.yaml" <<END
# The variant $model. Mount a file of your own over this one to change it; \`tea runtime check --schema\` prints every key.
models:
  $models
# Ports of a container are published, so callers show a key: docker run -e TEA_API_KEYS=...
api_key_env: TEA_API_KEYS
http: {host: 0.0.0.0, port: 11435}
grpc: {host: 0.0.0.0, port: 50051}
END
"$tea" runtime check "$root/etc/tea/runtime.yaml"
