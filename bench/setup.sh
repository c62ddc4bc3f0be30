#!/bin/sh
# Install the peers that pxbench measures against, as far as this system has
# packages of them. Then configure again: what is missing then is a failed row.
#     sh bench/setup.sh
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/support/setup.sh

setup apr talloc glib ck nsync mimalloc jemalloc nginx ||
    echo "the rows of these peers will fail, and say so"
