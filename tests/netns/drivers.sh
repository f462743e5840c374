# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The table of drivers that the capture suites go through, each on a veth pair of its own that `driver NAME` makes: sent
# into $A, captured from $B. Sourced after lib.sh.

# shellcheck disable=SC2034 # read by the tests
DRIVERS=(afpacket afpacket-4 pcap xdp xdp-generic dpdk-af_packet dpdk-af_xdp dpdk-pcap)
A=va B=vb

has_dpdk() { [ -x "$(dirname "$SEALTAP")/sealtap-recorder-dpdk" ]; }
libraries_program_off() { ip link set dev "$B" xdp off 2>/dev/null; } # libxdp's, which DPDK leaves: docs/operations.md

# The driver's rings at their smallest: for suites that make them overflow.
small_rings() {
    case $NAME in
    dpdk-af_packet) CAPTURE[3]=net_af_packet0,iface=$B,blocksz=65536,framesz=2048,framecnt=64 ;;
    dpdk-*) ;;
    *) CAPTURE+=(--ring 4) ;;
    esac
}

# probe: whether a capture starts. What there is to be said against it is in WHY.
probe() {
    local r=0
    WHY=
    "$SEALTAP" capture "${CAPTURE[@]}" --own-network probe --duration 10ms -o "$T/probe-$NAME" \
        >/dev/null 2>"$T/probe.err" || r=1
    [ "$r" = 0 ] || WHY=$(tail -n 1 "$T/probe.err")
    rm -rf "$T/probe-$NAME"
    libraries_program_off
    return "$r"
}

# driver NAME [MTU]: makes the pair, then sets
#   CAPTURE          arguments of `sealtap capture` that name driver and interface
#   LARGEST          the largest frame that the pair lets through, without FCS
#   RING             frames of up to the MTU, sent at PACE, that the driver's rings hold while nobody reads them
#   PACE             arguments for the sender of many frames
#   THREADS          RX threads
#   TELLS_DIRECTION  yes: each frame's flags tell direction and reception type
#   TAKES            yes: the stack does not get what the driver gets
#   TIME             kernel: when the kernel saw the frame; read: when the driver was read
#   KEEPS_8021AD     no: an 802.1ad tag comes as 802.1Q
# Not 0, with the reason in WHY, when it does not work here.
driver() {
    local mtu=${2:-1500}
    NAME=$1
    THREADS=1 TELLS_DIRECTION=no TAKES=no TIME=kernel KEEPS_8021AD=yes RING=20000 PACE=(-r 50000) WHY=
    ip link del dev "$A" 2>/dev/null
    make_pair "$A" "$B" || { WHY="no veth pair: this kernel lacks veth"; return 1; }
    case $NAME in
    afpacket)
        CAPTURE=(--driver afpacket -i "$B")
        TELLS_DIRECTION=yes
        ;;
    afpacket-4)
        CAPTURE=(--driver afpacket -i "$B" --rx-threads 4)
        THREADS=4 TELLS_DIRECTION=yes
        ;;
    pcap)
        CAPTURE=(--driver pcap -i "$B")
        ;;
    xdp)
        CAPTURE=(--driver xdp -i "$B")
        TAKES=yes TELLS_DIRECTION=yes
        ;;
    xdp-generic) # by an MTU that native mode of a veth does not take
        CAPTURE=(--driver xdp -i "$B")
        TAKES=yes TELLS_DIRECTION=yes RING=10000
        mtu=${2:-3700}
        tags_inline "$A"
        ;;
    dpdk-af_packet)
        CAPTURE=(--driver dpdk -i "net_af_packet0,iface=$B,blocksz=262144,framesz=2048,framecnt=32768")
        [ "$mtu" -le 1900 ] || CAPTURE[3]=net_af_packet0,iface=$B,blocksz=262144,framesz=16384,framecnt=4096
        [ "$mtu" -le 1900 ] || RING=4000
        TIME=read KEEPS_8021AD=no
        ;;
    dpdk-af_xdp) # takes too, but until its socket closes, which is after the cut
        CAPTURE=(--driver dpdk -i "net_af_xdp0,iface=$B")
        TIME=read RING=1500
        ;;
    dpdk-pcap) # libpcap's buffer is 16 blocks here, each done when 128 KiB are full or a millisecond is over
        CAPTURE=(--driver dpdk -i "net_pcap0,rx_iface=$B")
        RING=1000 PACE=()
        [ "$mtu" -le 1900 ] || RING=100
        ;;
    *)
        WHY="no such driver in the table"
        return 1
        ;;
    esac
    ip link set dev "$A" mtu "$mtu" && ip link set dev "$B" mtu "$mtu" || return
    LARGEST=$((mtu + 14))
    case $NAME in
    dpdk-*) has_dpdk || { WHY="this build has no DPDK"; return 1; } ;;
    esac
    case $NAME in
    xdp | dpdk-af_xdp)
        probe && return
        grep -q tx-vlan-hw-insert <<<"$WHY" || return
        tags_inline "$A" # before Linux 6.8
        probe
        ;;
    xdp-generic) probe ;;
    esac
}

# each_driver FUNCTION: calls it as `FUNCTION NAME` with the driver set up, or skips the driver with the reason.
each_driver() {
    local name
    for name in ${ONLY_DRIVERS:-"${DRIVERS[@]}"}; do
        if driver "$name"; then
            "$1" "$name"
        else
            skip "$name: $WHY"
        fi
    done
}

# capture_with ARGS...: start_capture on the driver's interface. PID is set.
capture_with() {
    libraries_program_off
    DRIVER='' start_capture "${CAPTURE[@]}" --own-network "$NAME" "$@"
}

# send ARGS...: send_frames into $A; returns when all have arrived at $B, which under load may be a while later.
send() {
    local before line
    before=$(link_counter "$B" rx packets)
    # shellcheck disable=SC2086 # words
    line=$(${PIN:-} "$T/send_frames" -i "$A" "$@")
    say "$line"
    await_frames "$B" $((before + $(frames_of "$line")))
}

# rx_threads: ids of the RX threads of the capture $PID
rx_threads() {
    local comm
    # shellcheck disable=SC2153 # PID is set by start_capture
    for comm in /proc/"$(pgrep -P "$PID" -x 'sealtap-recorde')"/task/*/comm; do
        [[ $(cat "$comm") != rx* ]] || basename "$(dirname "$comm")"
    done
}

# helper NAME COMMAND...: a program of this folder that says one word once it is ready, and ends with its standard input.
# HELPER is its process; helper_end reads what it says last into SAID.
helper() {
    local line
    rm -f "$T/helper.in" "$T/helper.out"
    mkfifo "$T/helper.in" "$T/helper.out"
    "$@" <"$T/helper.in" >"$T/helper.out" 2>"$T/helper.err" &
    HELPER=$!
    PIDS+=("$HELPER")
    exec 5>"$T/helper.in" 6<"$T/helper.out"
    read -t "$DEADLINE" -r line <&6 && [ -n "$line" ]
}
helper_end() {
    exec 5>&-
    SAID=$(timeout "$DEADLINE" cat <&6)
    exec 6<&-
    wait "$HELPER"
}

# now_ns: CLOCK_REALTIME, as packet times
now_ns() { date +%s%N; }
