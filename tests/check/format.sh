#!/bin/sh
# Every C file is as clang-format leaves it.
. "$(dirname "$0")/../support/check.sh"
need clang-format
c_files include src tests examples bench |
    xargs clang-format --dry-run -Werror || status=1
exit $status
