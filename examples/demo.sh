#!/bin/sh
# The library in two minutes, from a bare machine: build it, put real load on
# the example HTTP server, and show what a request costs.
#
#   sh examples/demo.sh [SECONDS [CONNECTIONS]]      default: 5 64
#
# Printed are wrk's throughput and latency, the memory of a connection (the
# server's own count, and the growth of its resident memory as the kernel sees
# it), the bytes that a request's rollback drops, and the heap benchmark.
set -eu
cd "$(dirname "$0")/.."
. tests/support/setup.sh

seconds=${1:-5}
connections=${2:-64}
build=build/demo
server=$build/examples/05_http_server
bench=$build/bench/pxbench
work=$(mktemp -d)
pid=

finish() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

heading() {
    printf '\n== %s\n' "$*"
}

# Wait until the server says where it listens, or has gone.
start_server() {
    "$server" 0 >"$work/server" 2>&1 &
    pid=$!
    address=
    while [ -z "$address" ]; do
        kill -0 "$pid" 2>/dev/null || {
            cat "$work/server"
            echo "the server did not start"
            exit 1
        }
        address=$(sed -n 's/.*listening on \([0-9.]*:[0-9]*\).*/\1/p' \
            "$work/server" | head -n 1)
        [ "$address" ] || sleep 0.1
    done
    echo "server: $address"
}

# Resident memory of the server in KB; nothing where there is no /proc.
resident_kb() {
    awk '/^VmRSS/ { print $2 }' "/proc/$pid/status" 2>/dev/null || true
}

# A number of the statistics that the server prints as JSON when it stops.
statistic() {
    sed -n "s/.*\"$1\": *\([0-9.]*\).*/\1/p" "$work/server" | tail -n 1
}

put_load() {
    wrk -t 1 -c "$connections" -d "${seconds}s" --latency "http://$address/" \
        >"$work/wrk" &
    load=$!
    sleep $(((seconds + 1) / 2))
    loaded_kb=$(resident_kb)
    wait $load
}

# Ten seconds are enough for every connection to end.
stop_server() {
    kill -TERM "$pid"
    (sleep 10 && kill -KILL "$pid") 2>/dev/null &
    patience=$!
    stopped=yes
    wait "$pid" || stopped=
    kill $patience 2>/dev/null || true
    [ "$stopped" ] || {
        cat "$work/server"
        echo "the server did not stop cleanly"
        exit 1
    }
    pid=
}

report() {
    sed -n -e 's/^ *\(Requests\/sec.*\)/\1/p' -e 's/^ *\(Transfer\/sec.*\)/\1/p' \
        "$work/wrk"
    awk '/Latency Distribution/ { on = 1; next }
         on && /%/ { printf "Latency %s %12s\n", $1, $2 }' "$work/wrk"
    # wrk names errors only when there are some.
    grep -e 'Socket errors' -e 'Non-2xx' "$work/wrk" || echo "No errors"

    heading "Memory"
    memory=$(statistic memory_per_connection_bytes)
    [ -z "$memory" ] ||
        echo "per connection, as the server counts: $memory bytes"
    if [ "$idle_kb" ] && [ "$loaded_kb" ]; then
        echo "resident: $idle_kb KB idle, $loaded_kb KB under load:" \
            "$(((loaded_kb - idle_kb) / connections)) KB a connection"
    fi
    awk -v requests="$(statistic requests)" \
        -v bytes="$(statistic bytes_rolled_back)" 'BEGIN {
        if (requests > 0)
            printf "rolled back: %.0f bytes a request (%d requests)\n",
                bytes / requests, requests }'
}

heading "Build"
setup cmake ninja cc pkgconfig libuv wrk
setup apr mimalloc jemalloc talloc ||
    echo "the heap table goes without some of its peers"
cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DPXRT_BUILD_TESTS=OFF -DPXRT_BUILD_BENCH=ON >"$work/build"
cmake --build $build >>"$work/build" 2>&1 || {
    cat "$work/build"
    exit 1
}

heading "Load: $connections connections, $seconds seconds, over loopback"
start_server
idle_kb=$(resident_kb)
put_load
stop_server
report

heading "Heap"
$bench --headline
