#!/bin/sh
# Every script is clean for shellcheck; all but .ci/run are POSIX sh.
. "$(dirname "$0")/../support/check.sh"
need shellcheck
find src tests examples bench -name '*.sh' -exec \
    shellcheck -x -P SCRIPTDIR -s sh {} + || status=1
[ ! -f .ci/run ] || shellcheck .ci/run || status=1
exit $status
