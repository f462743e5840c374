# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests of a live driver alone: a namespace with a veth pair, and source_dump to start and stop on one end of it.
# Sourced by source_body.sh and by what a driver tests for itself; DRIVER is set.
netns_enter "$@"
need_tools ip ethtool python3 jq cc
DUMP=${BUILD:-}/tests/source_dump
[ -x "$DUMP" ] || skip_all "no $DUMP: give the build directory in BUILD"

if ! build_sender; then
    fail "the sender compiles"
    finish
fi
make_pair va vb || skip_all "no veth pair: this kernel lacks veth"

# start_dump ARGS...: source_dump says `capturing` on its standard output.
start_dump() {
    local line
    rm -f "$T/fifo"
    mkfifo "$T/fifo"
    env --default-signal=INT "$DUMP" -d "$DRIVER" "$@" >"$T/fifo" &
    PID=$!
    PIDS+=("$PID")
    exec 7<"$T/fifo"
    read -t "$DEADLINE" -r line <&7
    FIRST=$line
    [[ $line == capturing* ]]
}

stop_dump() {
    kill -INT "$PID"
    end_dump
}

end_dump() {
    await_exit "$PID"
    RC=$?
    mapfile -t LINES_OUT <&7
    exec 7<&-
}

# value KEY: from `key=value` words of the output
value() { printf '%s\n' "${LINES_OUT[@]}" | tr ' ' '\n' | sed -n "s/^$1=//p" | head -n 1; }
frames_line() { printf '%s\n' "${LINES_OUT[@]}" | grep '^frames='; }
flags_lines() { printf '%s\n' "${LINES_OUT[@]}" | grep '^flags=' | tr '\n' ' '; }

# exact NAME SEND-ARGS...: sent on va, captured on vb.
exact() {
    local name=$1 sent count before
    shift
    start_dump -i vb || { fail "$name: $FIRST"; return; }
    before=$(link_counter vb rx packets)
    sent=$("$T/send_frames" -i va "$@")
    await_frames vb $((before + $(frames_of "$sent"))) || say "    not all frames arrived"
    stop_dump
    count=$(value frames)
    equal "$name: frames" "$sent" "$(frames_line)"
    equal "$name: driver counters, end" "$count 0 ENODATA 0" "$(value received) $(value dropped) $(value end) $RC"
    equal "$name: times are now" 0 "$(value late)"
}
