# Sourced by what needs a container engine: the one of the project's machines, in DEADDROP_CONTAINERS or in shared/containers beside the project or what it
# was cloned from. Without one it says so and ends, for nothing of the product depends on it; one that is there and does not start is a failure.
# shellcheck shell=bash

path=${0##*/}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$here/../.." && pwd)
origin=$(git -C "$project" rev-parse --path-format=absolute --git-common-dir)
cloned=$(git -C "$project" config remote.origin.url || true)

engine=
for folder in "${DEADDROP_CONTAINERS:-}" "$project/../shared/containers" "$origin/../../shared/containers" "$cloned/../shared/containers"; do
  if [ -x "$folder/engine" ]; then engine=$folder && break; fi
done
# What the tests are told is no setting of a relay, which would say so.
unset "${!DEADDROP_@}"
if [ -z "$engine" ]; then
  echo "$path: skipped, for there is no container engine in DEADDROP_CONTAINERS or ../shared/containers"
  exit 0
fi

# One at a time on this machine: the names of containers and images are the same. What is started here must not hold the lock.
exec 9> /tmp/deaddrop-new-user.lock
flock 9

work=$(mktemp -d)
step() { printf -- '-- %s: %s (%ss)\n' "$path" "$1" "$SECONDS"; }
# What a command says matters when it fails.
quietly() { "$@" >> "$work/log" 2>&1 9>&- || { tail -40 "$work/log" >&2 && return 1; }; }

exports=$("$engine/engine" 2> "$work/log" 9>&-) || { cat "$work/log" >&2 && exit 1; }
eval "$exports"

# image NAME COMMAND…: an image of that name with what the commands make of another one, whose name comes on the first line.
image() {
  podman image exists "$1" && return
  quietly podman build --isolation chroot --network host --pull-never --format docker --tag "$1" -f - "$work" <<< "$2"
}

is() {
  [ "$1" = "$2" ] && return
  printf 'wanted: %s\ngot:    %s\n' "$2" "$1" >&2
  return 1
}

# Until a command does not fail, for a minute or two.
until_it() {
  for _ in $(seq 240); do
    "$@" > /dev/null 2>&1 9>&- && return
    sleep 0.5
  done
  echo "in vain: $*" >&2
  return 1
}
