# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Shared by the scripts of this folder: where the tree is, builds, and result lines. Sourced, never run.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
JOBS=${JOBS:-$(nproc)}
PASSED=0 FAILED=0 SKIPPED=0

say() { printf '%s\n' "$*"; }
die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

is_root() { [ "$(id -u)" -eq 0 ]; }

# Under sudo the build stays the property of the person who typed it.
as_owner() {
    if is_root && [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ] && [ "$(stat -c %U "$TOP")" = "$SUDO_USER" ]; then
        sudo -u "$SUDO_USER" -- "$@"
    else
        "$@"
    fi
}

# build DIR MESON-OPTIONS...: sets up once, then builds what changed. Quiet unless it fails; the log is DIR/build.log.
build() {
    local dir=$1 log=$1/build.log
    shift
    if ! command -v meson >/dev/null || ! command -v ninja >/dev/null; then
        die "meson and ninja are missing: sudo scripts/install-packages build"
    fi
    as_owner mkdir -p "$dir"
    as_owner touch "$log"
    if [ ! -f "$dir/build.ninja" ] && ! as_owner env CC="${CC:-cc}" meson setup "$@" "$dir" "$TOP" >"$log" 2>&1; then
        tail -n 25 "$log" >&2
        return 1
    fi
    if ! as_owner ninja -C "$dir" -j "$JOBS" >"$log" 2>&1; then
        grep -E 'FAILED|error:|undefined reference' -A 4 "$log" | head -n 60 >&2
        return 1
    fi
}

# binary DIR: the sealtap that a build made
binary() {
    find "$1" -type f -name sealtap -perm -u+x | head -n 1
}

# tally LINE: adds a result line's numbers; 1 when it is none.
tally() {
    [[ $1 =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]] || return 1
    PASSED=$((PASSED + BASH_REMATCH[1]))
    FAILED=$((FAILED + BASH_REMATCH[2]))
    SKIPPED=$((SKIPPED + BASH_REMATCH[3]))
}

# The last line of scripts/test, scripts/check and .ci/run; exit 1 when anything failed.
finish() {
    say "$PASSED passed, $FAILED failed, $SKIPPED skipped"
    [ "$FAILED" -eq 0 ]
    exit
}
