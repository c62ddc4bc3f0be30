#!/bin/sh
# Print the path of CPython's source tarball, checked against BASE. It is taken
# from, in this order:
#
#   the cache            what an earlier run fetched
#   $PX_CPYTHON_TARBALL  a file of yours
#   the official site
#   Debian's sources     through the mirror that this machine uses already
#
# A file with another checksum is never used; one of ours is removed.
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/debian.sh"

version=$(base_value version)
sha256=$(base_value sha256)
cache=$work/Python-$version.tar.xz
site=https://www.python.org/ftp/python

# keep FILE: it becomes the cached one if it is the right one.
keep() {
    has_sha256 "$1" "$sha256" || {
        say "$1 has not the SHA-256 that BASE names: refused"
        return 1
    }
    cp "$1" "$cache.new" && mv "$cache.new" "$cache"
}

from_file() {
    [ -f "$PX_CPYTHON_TARBALL" ] || die "no file $PX_CPYTHON_TARBALL"
    keep "$PX_CPYTHON_TARBALL" || die 'see PX_CPYTHON_TARBALL'
}

# A machine without a network is found out in seconds.
from_site() {
    command -v curl >/dev/null || return 1
    curl -fsSL --connect-timeout 5 --speed-limit 1000 --speed-time 20 \
        -o "$tmp/site.tar.xz" "$site/$version/Python-$version.tar.xz" &&
        keep "$tmp/site.tar.xz"
}

from_debian() {
    package=python${version%.*}
    debian_begin deb-src &&
        (cd "$tmp" && private_apt source --download-only "$package") &&
        keep "$tmp/${package}_$version.orig.tar.xz"
}

if [ -f "$cache" ]; then
    has_sha256 "$cache" "$sha256" || {
        say "$cache has not the SHA-256 that BASE names: removed"
        rm -f "$cache"
    }
fi
if [ ! -f "$cache" ]; then
    temporary
    if [ "${PX_CPYTHON_TARBALL:-}" ]; then
        from_file
    else
        say "fetching Python-$version.tar.xz"
        from_site || from_debian ||
            die 'not to be had; give it as PX_CPYTHON_TARBALL=FILE'
    fi
fi
echo "$cache"
