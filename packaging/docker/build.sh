#!/bin/bash
# Build an image without a Docker daemon and without a registry: buildah on a base that debootstrap made.
#
#   build.sh TAG [ARG=VALUE...]        build.sh localhost/tea:none MODEL=none
#
# The base and what is compiled are kept in $XDG_CACHE_HOME/the-edge-agent. Needs root, debootstrap and buildah.
set -euo pipefail

source=$(cd "$(dirname "$0")/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/the-edge-agent
tag=$1
shift
arguments=()
for argument in "$@"; do arguments+=(--build-arg "$argument"); done

buildah() { "$source/packaging/docker/buildah.sh" "$@"; }

sources=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
mirror=$(sed -En 's/^(URIs:|deb( \[[^]]*\])?) +([^ ]+).*/\3/p' <<<"$sources" | sed -n 1p)
base=$cache/docker/bookworm.tar
if [ ! -f "$base" ]; then
    mkdir -p "$cache/docker"
    tree=$(mktemp -d "$cache/docker/.bookworm-XXXXXX")
    trap 'rm -rf "$tree"' EXIT
    debootstrap --variant=minbase bookworm "$tree" "${mirror:-http://deb.debian.org/debian}" >&2
    rm -rf "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/*
    tar -C "$tree" -cf "$base.part" .
    mv "$base.part" "$base"
fi
if ! buildah inspect --type image localhost/tea-base:bookworm >/dev/null 2>&1; then
    container=$(buildah from scratch)
    buildah add -q "$container" "$base" / >/dev/null
    buildah commit -q --rm "$container" localhost/tea-base:bookworm >/dev/null
fi

# A proxy's certificate that this machine trusts is trusted while building, and doesn't get into the image.
settings=$(mktemp -d)
trap 'rm -rf "$settings" "${tree:-$settings}"' EXIT
cp -L /etc/ssl/certs/ca-certificates.crt "$settings/certificates.pem"
printf '[global]\ncert = /run/build/certificates.pem\n' >"$settings/pip.conf"
mkdir -p "$cache/llama"
buildah bud --format docker --layers --ignorefile "$source/packaging/docker/Dockerfile.dockerignore" \
    -f "$source/packaging/docker/Dockerfile" -t "$tag" \
    --build-arg BASE=localhost/tea-base:bookworm "${arguments[@]}" \
    -v "$settings:/run/build:ro" -v "$settings/pip.conf:/etc/pip.conf:ro" \
    -v "$cache/llama:/var/cache/build/the-edge-agent/llama" \
    "$source" >&2
echo "$tag"
