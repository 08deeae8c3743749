#!/bin/sh
# `node` for the npm scripts: LOCKSTEP_NODE, else the one that npm installed for this platform, else the next in PATH.
#
# Why not the platform package's own bin: npm 10 removes node_modules/.bin/node again when a package for another
# platform, with a bin of the same name, does not fit this machine. So each platform package stays in a workspace of
# its own, ../node-<platform>, under the name of this one (whose version differs, or npm would take the one for the other).
if [ -n "${LOCKSTEP_NODE:-}" ]; then exec "$LOCKSTEP_NODE" "$@"; fi

here=$(dirname "$(readlink -f "$0")")
for node in "$here"/../node-*/node_modules/@lockstep/node/bin/node; do
  if [ -x "$node" ]; then exec "$(readlink -f "$node")" "$@"; fi
done

IFS=:
for folder in $PATH; do
  node=$folder/node
  if [ -x "$node" ] && ! [ "$node" -ef "$0" ]; then exec "$node" "$@"; fi
done
echo "lockstep: npm ci brought no Node for this platform, and there is none in PATH" >&2
exit 127
