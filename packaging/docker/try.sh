#!/bin/bash
# Whether an image is what it should be: try.sh IMAGE. Uses docker, or what ENGINE names (podman).
#
# Read-only, without capabilities, as an ordinary user: it becomes healthy, wants its key, says 4, and ends when told to.
set -euo pipefail

engine=${ENGINE:-docker}
image=$1
key=try-this-image-$RANDOM$RANDOM
container=$("$engine" run --detach --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
    --env "TEA_API_KEYS=$key" --publish 127.0.0.1::11435 "$image")
trap '"$engine" logs "$container" >&2; "$engine" rm --force --volumes "$container" >/dev/null' EXIT

fail() {
    echo "try.sh: $1" >&2
    exit 1
}

for _ in $(seq 120); do
    health=$("$engine" inspect --format '{{.State.Health.Status}}' "$container")
    [ "$health" = healthy ] && break
    [ "$("$engine" inspect --format '{{.State.Running}}' "$container")" = true ] || fail "it ended"
    sleep 2
done
[ "$health" = healthy ] || fail "it is $health after four minutes"
[ "$("$engine" exec "$container" id -u)" != 0 ] || fail "it runs as root"

address=http://$("$engine" port "$container" 11435/tcp | head -1)/v1/chat/completions
question='{"messages": [{"role": "user", "content": "What is 2+2?"}], "max_tokens": 50}'
status=$(curl --silent --output /dev/null --write-out '%{http_code}' --data "$question" "$address")
[ "$status" = 401 ] || fail "without a key it answers $status"
answer=$(curl --silent --fail --header "Authorization: Bearer $key" --data "$question" "$address")
echo "$answer"
[[ $answer == *4* ]] || fail "that isn't 4"

"$engine" stop --time 30 "$container" >/dev/null
code=$("$engine" inspect --format '{{.State.ExitCode}}' "$container")
[ "$code" = 0 ] || fail "it ended with $code"
