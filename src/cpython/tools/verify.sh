#!/bin/sh
# The patch files are exactly what export.sh would write: the series applies
# without offset or fuzz, and no file lies about that the series does not name.
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/series.sh"

plain_git
temporary
need_base
git clone -q --bare --shared "$base" "$tmp/git"
commit_series "$tmp/git"
mkdir "$tmp/patches"
cp "$patches/BASE" "$tmp/patches/"
export_series "$tmp/git" "$head" "$tmp/patches"
diff -r -u "$patches" "$tmp/patches" >&2 ||
    die 'not what export.sh would write: apply, then export'
say "verified: $(series | wc -l) patches on Python $version"
