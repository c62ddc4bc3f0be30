# Sourced by fetch.sh and a test: packages and their sources from Debian, through
# the mirror that this machine uses already. Its settings stay as they are: apt
# gets lists and a cache of its own, in $tmp.
# shellcheck shell=sh disable=SC2154 # who sources this sets tmp

# The address from which this machine gets Debian's main archive.
debian_mirror() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list \
        /etc/apt/sources.list.d/*.sources 2>/dev/null |
        awk '$1 == "URIs:" || $1 == "deb" {
            for (i = 2; i <= NF; i++)
                if ($i ~ /^[a-z]+:.*\/debian\/?$/) { print $i; exit }
        }'
}

private_apt() {
    apt-get -q -o Dir::Etc::sourcelist=none \
        -o Dir::Etc::sourceparts="$tmp/parts" -o Dir::State::lists="$tmp/lists" \
        -o Dir::Cache="$tmp/cache" -o APT::Sandbox::User="$(id -un)" \
        -o Acquire::Languages=none -o Acquire::http::Timeout=20 "$@" >&2
}

# debian_begin KIND: deb-src, or deb. Then private_apt knows the suite.
debian_begin() {
    command -v apt-get >/dev/null || return 1
    mirror=$(debian_mirror)
    [ "$mirror" ] || return 1
    mkdir -p "$tmp/parts" "$tmp/lists/partial" "$tmp/cache/archives/partial"
    printf '%s\n' "Types: $1" "URIs: $mirror" 'Suites: trixie' \
        'Components: main' \
        'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' \
        >"$tmp/parts/source.sources"
    private_apt update
}
