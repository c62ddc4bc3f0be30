#!/bin/sh
# An extension module of somebody else's: MarkupSafe, from Debian's source
# package, built against the headers of the patched interpreter. Its own tests
# run on the main side and then, each body, in a context; and contexts use its C
# code on main's strings, whose counts must stay as they are.
#
#   sh tests/cpython/third_party.sh [PYTHON]     by hand: needs a network
#
# pytest is Debian's, too; all of it lies in a folder that is gone afterwards.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/src/cpython/tools/debian.sh"

package=markupsafe
python=${1:-$root/build/cpython-src/build/objects/python}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

say() {
    printf '%s\n' "$*" >&2
}

fetch() {
    debian_begin 'deb deb-src'
    cd "$tmp"
    private_apt source --download-only --tar-only "$package"
    private_apt download python3-pytest python3-pluggy python3-iniconfig \
        python3-packaging
    for deb in python3-*.deb; do
        dpkg-deb -x "$deb" "$tmp/pytest"
    done
    tar -xf "$tmp/${package}"_*.orig.tar.* -C "$tmp" --one-top-level=source \
        --strip-components=1
}

# Like setup.py would, with what sysconfig says; so setuptools is not needed.
build() {
    "$python" - "$tmp/source/src/markupsafe" <<'EOF'
import os, subprocess, sys, sysconfig
folder, get = sys.argv[1], sysconfig.get_config_var
paths = {sysconfig.get_path("include"), sysconfig.get_path("platinclude"),
         os.path.dirname(sysconfig.get_config_h_filename())}
subprocess.run(
    [*get("CC").split(), *get("CFLAGS").split(), *get("CCSHARED").split(),
     "-shared", *["-I" + path for path in paths], folder + "/_speedups.c",
     "-o", folder + "/_speedups" + get("EXT_SUFFIX")], check=True)
EOF
}

# All but the test that counts what the collector knows, which is main's to ask.
suite() {
    (cd "$tmp/source" && "$python" -m pytest -q -p no:cacheprovider "$@")
}

use() {
    "$python" - <<'EOF'
import sys
import markupsafe._speedups as speedups, parallel
assert speedups.escape is __import__("markupsafe").escape
texts = ["<%d> & 'text' \u20ac" % i for i in range(1000)]
plain = ["text %d" % i for i in range(1000)]  # comes back as it is
def work(turns):
    for _ in range(turns):
        out = [speedups.escape(t) for t in texts + plain]
    return [str(o) for o in out]
expected = work(1)
counts = [sys.getrefcount(t) for t in texts + plain]
with parallel.Executor() as executor:
    for result in executor.map(work, [50] * 8):
        assert result == expected
assert counts == [sys.getrefcount(t) for t in texts + plain]
assert parallel._parallel.find_strays() == []
print("used in contexts: results and counts are right")
EOF
}

fetch
build
export PYTHONPATH="$tmp/source/src:$tmp/pytest/usr/lib/python3/dist-packages"
PYTHONPATH=$PYTHONPATH:$root/tests/cpython
export PYTHONDONTWRITEBYTECODE=1
say "$package, $(basename "$tmp"/${package}_*), on the main side:"
suite
say 'the same in contexts:'
suite -p pytest_contexts --deselect tests/test_leak.py::test_markup_leaks
use
