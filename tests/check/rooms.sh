#!/bin/sh
# Rooms include only rooms below them, and only runtime and net know libuv:
#
#   base -> platform -> lock -> {heap, shared} -> context
#        -> {protect, persist, guard} -> border -> runtime -> net -> cpython
#
# Rooms of one level do not see each other. A public header belongs to the room
# of its name, or to the one the table below says. What is compiled in CPython's
# tree sees our public headers, and no room.
. "$(dirname "$0")/../support/check.sh"
cat >"$tmp/rooms.awk" <<'AWK'
BEGIN {
    n = split("base platform lock heap,shared context " \
              "protect,persist,guard border runtime net cpython", floors, " ")
    for (i = 1; i <= n; i++) {
        m = split(floors[i], names, ",")
        for (j = 1; j <= m; j++) level[names[j]] = i
    }
    # Public headers that are not named after their room.
    n = split("defs:base status:base ilist:lock lock_inline:lock heap_inline:heap http:net thread:platform " \
              "owner:heap page:platform world:runtime work:runtime", pairs, " ")
    for (i = 1; i <= n; i++) { split(pairs[i], p, ":"); home[p[1]] = p[2] }
}
function public_room(header,   name) {
    name = header; sub(/^pxrt\//, "", name); sub(/\.h$/, "", name)
    return name in home ? home[name] : name
}
function room_of(path) {
    if (path ~ /^include\/pxrt\.h$/ || path == "pxrt.h") return ""
    if (path ~ /^include\//) return public_room(substr(path, 9))
    sub(/^src\//, "", path); sub(/\/.*/, "", path)
    return path
}
function complain(what) { printf "%s:%d: %s\n", FILENAME, FNR, what; bad = 1 }
FNR == 1 {
    here = room_of(FILENAME)
    if (here != "" && !(here in level))
        complain("no room \"" here "\" (see tests/check/rooms.sh)")
}
/^[ \t]*#[ \t]*include/ {
    match($0, /[<"][^>"]*[>"]/)
    file = substr($0, RSTART + 1, RLENGTH - 2)
    system_header = substr($0, RSTART, 1) == "<"
    if (file == "uv.h" && (FILENAME ~ /^include/ ||
                           (here != "runtime" && here != "net")))
        complain("only src/runtime and src/net may include <uv.h>")
    if (here == "cpython") {
        if (file ~ /\// && !system_header)
            complain("CPython's side includes <pxrt.h> and no room")
        next
    }
    if (file == "pxrt.h") {
        complain("include the header that is meant, not <pxrt.h>")
        next
    }
    if (file ~ /^pxrt\//) there = public_room(file)
    else if (system_header) next
    else if (file ~ /\//) { there = file; sub(/\/.*/, "", there) }
    else { complain("include \"room/file.h\", relative to src"); next }
    if (here == "" || there == here) next
    if (!(there in level)) complain("no room for \"" file "\"")
    else if (level[there] >= level[here])
        complain(here " must not include " there " (" file ")")
}
END { exit bad }
AWK
# shellcheck disable=SC2046 # file names of this tree have no blanks
awk -f "$tmp/rooms.awk" $(c_files include src) || status=1
exit $status
