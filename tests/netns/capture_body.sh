# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What was sent, what the kernel counted, what the driver counted and what stands in the recording are the same frames:
# compared as multisets of hashes by a reader that shares no code with sealtap. Sourced by test_capture_exact*, which
# sets DRIVER.
netns_enter "$@"
need_sealtap
need_tools ip ethtool python3 jq zstd cc
build_sender || { fail "the sender compiles"; finish; }
make_pair va vb || skip_all "no veth pair: this kernel lacks veth"

# exact NAME SEND-ARGS...: leaves the recording in REC and the sender's line in SENT.
number=0
exact() {
    local name=$1 before
    shift
    number=$((number + 1))
    REC=$T/exact$number
    before=$(link_counter vb rx packets)
    if ! start_capture -i vb --own-network "test $number" -o "$REC"; then
        fail "$name: capture starts"
        return
    fi
    SENT=$("$T/send_frames" -i va "$@")
    equal "$name: the kernel's interface counter is what was sent" \
        "$(frames_of "$SENT")" "$(($(link_counter vb rx packets) - before))"
    stop_capture INT
    equal "$name: exit code" 0 "$RC"
    equal "$name: close" signal "$(close_reason "$REC")"
    accounted "$name" "$REC" "$SENT"
}

exact "no frame" -c 0
exact "one frame" -c 1
exact "all sizes, as fast as it goes" -c 100000 -s 60-1514
exact "small frames" -c 300000 -s 60-64 -r 100000
exact "jumbo frames" -c 5000 -s 8000-9014
exact "slow trickle over several flush intervals" -c 30 -r 10
exact "802.1Q" -c 5000 -s 60-1514 -t 8100:100
if command -v tshark >/dev/null; then
    equal "802.1Q: tshark reads the tag through zstd -dc" 100 \
        "$(zstd -dc "$REC"/segments/0/00000000.pcapng.zst | tshark -r - -T fields -e vlan.id -c 1 2>/dev/null)"
else
    skip "802.1Q: tshark reads the tag: needs tshark"
fi
exact "802.1Q, priority tag" -c 500 -s 60-1514 -t 8100:57344
exact "QinQ" -c 5000 -s 60-1514 -t 88a8:100 -t 8100:4094
exact "three tags" -c 500 -s 60-1514 -t 88a8:1 -t 8100:2 -t 8100:3
exact "promiscuous: in, reception type 4" -c 100 -d 02:00:00:00:99:99
[ "$TELLS_DIRECTION" != yes ] || equal "direction and reception type are recorded" "flags=17 frames=100" \
    "$(python3 "$NETNS_DIR/frame_hash.py" "$REC" --flags | grep flags=)"

# Both directions of one interface, in one lane.
REC=$T/both
start_capture -i vb --own-network both -o "$REC"
"$T/send_frames" -i va -c 700 -s 60-1514 >"$T/sent.in"
"$T/send_frames" -i vb -c 300 -f 100000 -s 60-1514 >"$T/sent.out"
stop_capture INT
[ "$TELLS_DIRECTION" != yes ] || equal "both directions: flags" "flags=2 frames=300 flags=17 frames=700" \
    "$(python3 "$NETNS_DIR/frame_hash.py" "$REC" --flags | grep flags= | tr '\n' ' ' | sed 's/ $//')"
equal "both directions: driver.received" 1000 "$(counter "$REC" .driver.received)"
check "both directions: the law" law "$REC"
check "both directions: verifies" verify "$REC"

# Frames that the filter refuses are counted, not recorded.
REC=$T/filter
start_capture -i vb --own-network filter --filter "ether dst 02:00:00:00:00:01" -o "$REC"
SENT=$("$T/send_frames" -i va -c 500 -s 60-1514)
"$T/send_frames" -i va -c 300 -f 9000 -d 02:00:00:00:00:02 >"$T/sent.other"
stop_capture INT
equal "filter: recorded frames" "$SENT" "$(recorded "$REC")"
equal "filter: received, recorded, filtered" "800 500 300" \
    "$(counter "$REC" .received) $(counter "$REC" .recorded) $(counter "$REC" .filtered)"
check "filter: the law" law "$REC"
check "filter: verifies" verify "$REC"

# Frames of the other direction are refused by the recorder, after the kernel has counted them.
# direction NAME OPTION FRAMES FILTERED
direction() {
    REC=$T/direction-$2
    start_capture -i vb --own-network direction --direction "$2" -o "$REC"
    "$T/send_frames" -i va -c 700 -s 60-1514 >"$T/sent.in"
    "$T/send_frames" -i vb -c 300 -f 100000 -s 60-1514 >"$T/sent.out"
    stop_capture INT
    equal "$1: received, recorded, filtered" "1000 $3 $4" \
        "$(counter "$REC" .received) $(counter "$REC" .recorded) $(counter "$REC" .filtered)"
    equal "$1: driver.received" 1000 "$(counter "$REC" .driver.received)"
    check "$1: the law" law "$REC"
    check "$1: verifies" verify "$REC"
}
if [ "$TELLS_DIRECTION" = yes ]; then
    direction "only incoming" in 700 300
    equal "only incoming: frames" "$(cat "$T/sent.in")" "$(recorded "$REC")"
    check "only incoming: the ledger says so" jq -es '.[0].sources[0].detail | contains(", only incoming")' \
        "$REC/ledger.jsonl" >"$T/jq.out"
    direction "only outgoing" out 300 700
    equal "only outgoing: frames" "$(cat "$T/sent.out")" "$(recorded "$REC")"
    direction "both, by name" both 1000 0
else
    "$SEALTAP" capture --driver "$DRIVER" --key "$T/key/origin.key" -i vb --own-network direction --direction in \
        -o "$T/refused" >"$T/refused.out" 2>&1
    equal "a direction that the driver cannot tell is refused" 3 $?
    check "a direction that the driver cannot tell is refused: the message says what to do" \
        grep -q "leave --direction out, or use --driver afpacket" "$T/refused.out"
fi

if [ "$DRIVER" = afpacket ]; then
    ip link set dev lo up && wait_link lo
    "$SEALTAP" capture --key "$T/key/origin.key" -i lo --own-network direction --direction out -o "$T/lo-out" \
        >"$T/refused.out" 2>&1
    equal "loopback has no outgoing frames of its own" 3 $?
    REC=$T/lo-in
    start_capture -i lo --own-network lo --direction in -o "$REC"
    SENT=$("$T/send_frames" -i lo -c 200 -s 60-1514)
    stop_capture INT
    accounted "loopback, incoming" "$REC" "$SENT"

    # Four lanes of one interface: together they have every frame once, and each flow, both ways, is in one of them.
    REC=$T/fanout
    start_capture -i vb --own-network fanout --rx-threads 4 -o "$REC"
    SENT=$("$T/send_frames" -i va -c 200000 -s 80-1514 -u 500)
    stop_capture INT
    accounted "four RX threads" "$REC" "$SENT"
    equal "four RX threads: lanes, flows in them, flows in more than one" "4 500 0" \
        "$(python3 "$NETNS_DIR/frame_hash.py" "$REC" --lanes | tail -n 1)"
    equal "four RX threads: each lane is one of the interface" "0 0 vb,0 1 vb,0 2 vb,0 3 vb" \
        "$(jq -rs 'map(select(.type == "begin" and .number == 0) | "\(.source) \(.lane) \(.interface)") | sort
            | join(",")' "$REC/ledger.jsonl")"

    REC=$T/fanout-out
    start_capture -i va,vb --own-network fanout --rx-threads 3 --direction out -o "$REC"
    SENT=$("$T/send_frames" -i va -c 50000 -s 80-1514 -u 100)
    stop_capture INT
    equal "two interfaces, three RX threads each, outgoing: frames" "$SENT" "$(recorded "$REC")"
    equal "two interfaces, three RX threads each, outgoing: received, recorded, filtered" "100000 50000 50000" \
        "$(counter "$REC" .received) $(counter "$REC" .recorded) $(counter "$REC" .filtered)"
    check "two interfaces, three RX threads each: verifies" verify "$REC"
fi

if [ "$DRIVER" = pcap ]; then
    # All interfaces in one lane, with the cooked header that tells interface and direction.
    REC=$T/any
    start_capture -i any --own-network any --direction out --filter "not ip6" -o "$REC"
    "$T/send_frames" -i va -c 400 -s 60-1514 >"$T/sent"
    stop_capture INT
    equal "any: exit code" 0 "$RC"
    equal "any, outgoing: received, recorded, filtered" "800 400 400" \
        "$(counter "$REC" .received) $(counter "$REC" .recorded) $(counter "$REC" .filtered)"
    equal "any: driver.received, driver.dropped" "800 0" \
        "$(counter "$REC" .driver.received) $(counter "$REC" .driver.dropped)"
    equal "any: link type" 276 "$(jq -s 'map(select(.type == "begin"))[0].linktype | tonumber' "$REC/ledger.jsonl")"
    check "any: the law" law "$REC"
    check "any: verifies" verify "$REC"
    if command -v tshark >/dev/null; then
        equal "any: tshark finds the interface in the cooked header" "$(cat /sys/class/net/va/ifindex)" \
            "$(zstd -dc "$REC"/segments/0/00000000.pcapng.zst | tshark -r - -T fields -e sll.ifindex 2>/dev/null | sort -u)"
    else
        skip "any: tshark finds the interface in the cooked header: needs tshark"
    fi
fi

REC=$T/snaplen
start_capture -i vb --own-network snaplen --snaplen 96 -o "$REC"
"$T/send_frames" -i va -c 500 -s 200-1514 >"$T/sent.plain"
"$T/send_frames" -i va -c 500 -s 200-1514 -t 8100:9 >"$T/sent.tagged"
stop_capture INT
equal "snaplen: bytes" "frames=1000 bytes=96000" "$(recorded "$REC" | cut -d ' ' -f 1-2)"
equal "snaplen: driver.received" 1000 "$(counter "$REC" .driver.received)"
check "snaplen: verifies" verify "$REC"
finish
