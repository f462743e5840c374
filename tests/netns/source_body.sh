# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A live driver alone: every frame comes out as it was sent, the driver's counters add up, tags are restored, directions
# are right, and what happens to the interface is told. Sourced by test_source_<driver>, which sets DRIVER,
# TELLS_DIRECTION (yes: each frame's flags do) and RESTORES_TAGS (yes: a tag comes beside the frame; no: in it already).
# shellcheck source=tests/netns/source_lib.sh
. "$NETNS_DIR/source_lib.sh"

# flags NAME EXPECTED
flags() {
    if [ "$TELLS_DIRECTION" = yes ]; then
        equal "$1" "$2 " "$(flags_lines)"
    else
        equal "$1: not told, so 0" "flags=0 ${2#* } " "$(flags_lines)"
    fi
}

exact "one frame in a block that is not full" -c 1
exact "no frame" -c 0
exact "a hundred thousand frames of all sizes, more than the ring holds" -c 100000 -s 60-1514 -r 50000
exact "frames of 9,014 bytes" -c 2000 -s 9000-9014
exact "802.1Q" -c 3000 -s 60-1514 -t 8100:100
[ "$RESTORES_TAGS" != yes ] || equal "802.1Q: the kernel took the tags out" 3000 "$(value tagged)"
exact "802.1Q, priority tag with TCI 0" -c 300 -s 60-1514 -t 8100:0
exact "QinQ" -c 3000 -s 60-1514 -t 88a8:100 -t 8100:4095
exact "two 802.1Q tags with priority and DEI" -c 300 -s 60-1514 -t 8100:65535 -t 8100:8193
exact "broadcast" -c 100 -d ff:ff:ff:ff:ff:ff
flags "broadcast: in, reception type 3" "flags=13 frames=100"
exact "multicast" -c 100 -d 01:00:5e:00:00:01
flags "multicast: in, reception type 2" "flags=9 frames=100"
exact "promiscuous" -c 100 -d 02:00:00:00:99:99
flags "promiscuous: in, reception type 4" "flags=17 frames=100"
exact "unicast" -c 100 -d "$(ip -j link show dev vb | jq -r '.[0].address')"
flags "unicast: in, reception type 1" "flags=5 frames=100"

start_dump -i va
sent=$("$T/send_frames" -i va -c 100 -s 60-1514)
stop_dump
equal "outgoing: frames" "$sent" "$(frames_line)"
flags "outgoing: direction 2, no reception type" "flags=2 frames=100"

start_dump -i vb -s 96
"$T/send_frames" -i va -c 1000 -s 200 -t 8100:5 >"$T/sent"
stop_dump
if [ "$RESTORES_TAGS" = yes ]; then
    equal "snaplen counts the restored tag, origlen stays whole" "96 196 1000" \
        "$(value caplen_max) $(value origlen_max) $(value tagged)"
else
    equal "snaplen counts the tag, origlen stays whole" "96 200" "$(value caplen_max) $(value origlen_max)"
fi

# A ring of 4 MiB and a slow reader: what the kernel dropped is counted, and the rest is all there.
start_dump -i vb -r 4194304 -w $((5000 * SLOWNESS))
"$T/send_frames" -i va -c 60000 -s 1500 >"$T/sent"
stop_dump
equal "overload: received is delivered plus dropped" "60000 $((60000 - $(value dropped)))" \
    "$(value received) $(value frames)"
check "overload: the kernel did drop" test "$(value dropped)" -gt 0

# Intake is cut while a sender still sends: what the driver counted is what came out, to the frame.
for round in 1 2 3; do
    start_dump -i vb
    before=$(link_counter vb rx packets)
    "$T/send_frames" -i va -c 20000000 -s 60 >"$T/sent" &
    sender=$!
    PIDS+=("$sender")
    await_frames vb $((before + round * 20000))
    stop_dump
    check "interrupt $round: the sender was still sending" kill "$sender"
    wait "$sender"
    check "interrupt $round: frames had come" test "$(value frames)" -ge $((round * 20000))
    equal "interrupt $round in full traffic: nothing is left in the ring" "$(value received)" \
        "$(($(value frames) + $(value dropped)))"
    equal "interrupt $round in full traffic: end" "ENODATA 0" "$(value end) $RC"
done

# Several rings, flows shared out among them: together they hold every frame once.
rings() { printf '%s\n' "${LINES_OUT[@]}" | grep -c '^ring='; }
rings_with_frames() { printf '%s\n' "${LINES_OUT[@]}" | grep '^ring=' | grep -vc ' ring_frames=0$'; }
if [ "$DRIVER" = afpacket ]; then
    for threads in 2 3 7; do
        start_dump -i vb -t "$threads"
        sent=$("$T/send_frames" -i va -c 100000 -s 80-1514 -u 200)
        stop_dump
        equal "$threads rings: frames" "$sent" "$(frames_line)"
        equal "$threads rings: driver counters, end" "100000 0 ENODATA 0" \
            "$(value received) $(value dropped) $(value end) $RC"
        equal "$threads rings: all have frames" "$threads $threads" "$(rings) $(rings_with_frames)"
    done
    start_dump -i vb -t 4
    sent=$("$T/send_frames" -i va -c 1000 -s 80-1514 -u 1)
    stop_dump
    equal "4 rings, one flow: frames" "$sent" "$(frames_line)"
    equal "4 rings, one flow: both its directions in one ring" 1 "$(rings_with_frames)"

    start_dump -i vb -t 8
    python3 - <<'PY'
import socket, struct
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("va", 0))
def send(payload, ident, offset, more):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, more << 13 | offset // 8, 64, 17, 0,
                       bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    total = sum(struct.unpack("!10H", head))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    s.send(bytes.fromhex("0200000000010200000000020800") + head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:] + payload)
for i in range(50):
    udp = struct.pack("!HHHH", 1024 + i, 53, 1608, 0) + bytes(1600)
    send(udp[:800], i, 0, 1)
    send(udp[800:], i, 800, 0)
PY
    stop_dump
    equal "8 rings, 50 datagrams in two fragments: frames, rings, as between two hosts" "100 1" \
        "$(value frames) $(rings_with_frames)"

    for round in 1 2 3; do
        start_dump -i vb -t 3
        before=$(link_counter vb rx packets)
        "$T/send_frames" -i va -c 20000000 -s 70 -u 100 >"$T/sent" &
        sender=$!
        PIDS+=("$sender")
        await_frames vb $((before + round * 20000))
        stop_dump
        check "3 rings, interrupt $round: the sender was still sending" kill "$sender"
        wait "$sender"
        check "3 rings, interrupt $round: frames had come" test "$(value frames)" -ge $((round * 20000))
        equal "3 rings, interrupt $round in full traffic: nothing is left in a ring" "$(value received) ENODATA 0" \
            "$(($(value frames) + $(value dropped))) $(value end) $RC"
    done

    # Started while a sender sends: from the word `capturing` on nothing is missing. The sender's last frames are all
    # there, and no frame is there twice.
    "$T/send_frames" -i va -c 300000 -s 70 -u 100 >"$T/sent" &
    sender=$!
    PIDS+=("$sender")
    before=$(link_counter vb rx packets)
    await_frames vb $((before + 1000))
    start_dump -i vb -t 4
    from=$(link_counter vb rx packets)
    wait "$sender"
    end=$(link_counter vb rx packets)
    stop_dump
    check "4 rings started in full traffic: no frame after the start is missing" \
        test "$(($(value frames) + $(value dropped)))" -ge "$((end - from))"
    check "4 rings started in full traffic: none is there twice" test "$(value received)" -le "$((end - before))"

    start_dump -i vb -t 2
    ip link set dev vb down
    read -t "$DEADLINE" -r line <&7
    equal "2 rings, interface down is told" down "$line"
    ip link set dev vb up && wait_link vb && wait_link va
    sent=$("$T/send_frames" -i va -c 500 -u 50 -s 80)
    stop_dump
    equal "2 rings, interface down and up: capture goes on" "$sent 0" "$(frames_line) $RC"
    equal "2 rings, interface down is told once" 0 "$(printf '%s\n' "${LINES_OUT[@]}" | grep -c '^down')"
fi

start_dump -i vb
ip link set dev vb down
read -t "$DEADLINE" -r line <&7
equal "interface down is told" down "$line"
ip link set dev vb up && wait_link vb && wait_link va
sent=$("$T/send_frames" -i va -c 50)
stop_dump
equal "interface down and up: capture goes on" "$sent 0" "$(frames_line) $RC"
equal "interface down is told once" 0 "$(printf '%s\n' "${LINES_OUT[@]}" | grep -c '^down')"

start_dump -i lo 2>/dev/null
equal "interface that is down is refused with the next step" "refused Network is down: interface lo is down; bring it up: \
ip link set lo up" "$FIRST"
end_dump
ip link set dev lo up
start_dump -i lo
sent=$("$T/send_frames" -i lo -c 50)
stop_dump
equal "loopback: each frame once" "$sent" "$(frames_line)"
if [ "$DRIVER" = afpacket ]; then
    start_dump -i lo -t 3
    sent=$("$T/send_frames" -i lo -c 500 -s 80 -u 50)
    stop_dump
    equal "3 rings on loopback: each frame once" "$sent 500" "$(frames_line) $(value received)"
fi

start_dump -i nosuch0
end_dump
equal "no such interface: it is said" \
    "refused No such device: interface 'nosuch0' does not exist in this network namespace; choose one of" \
    "${FIRST%: *}"
for name in lo va vb; do
    check "no such interface: $name is in the list" grep -qE "choose one of:.* $name(,|$)" <<<"$FIRST"
done

# Large segments that were never cut: the ring's blocks hold them whole.
ip link add name ga type veth peer name gb
ip link set dev ga up && ip link set dev gb up && wait_link ga && wait_link gb
ip link set dev ga mtu 65535
ip link set dev gb mtu 65535
start_dump -i gb
sent=$("$T/send_frames" -i ga -c 500 -s 60000-65000)
stop_dump
equal "frames of 60,000 to 65,000 bytes come whole" "$sent" "$(frames_line)"

start_dump -i gb
"$T/send_frames" -i ga -c 25 >"$T/sent"
ip link del dev gb
end_dump
equal "interface removed: what had come is delivered, then ENODEV" "25 No such device 1" \
    "$(value frames) $(printf '%s\n' "${LINES_OUT[@]}" | sed -n 's/^end=\(.*\) received.*/\1/p') $RC"

if ip tuntap add dev tn0 mode tun 2>/dev/null && ip link set dev tn0 up; then
    start_dump -i tn0
    equal "tun: raw IP" "capturing linktype 101" "${FIRST%%:*}"
    stop_dump
    ip link set dev tn0 down
    # TUNSETLINK: the same device, now calling itself ARPHRD_PPP
    python3 -c 'import fcntl, struct
f = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(f, 0x400454CA, struct.pack("16sH14x", b"tn0", 0x1001))
fcntl.ioctl(f, 0x400454CD, 512)'
    ip link set dev tn0 up
    start_dump -i tn0
    if [ "$DRIVER" = pcap ]; then
        equal "PPP: libpcap takes it cooked, as SLL" "capturing linktype 113" "${FIRST%%:*}"
        stop_dump
    else
        end_dump
        check "a link type that is not known is refused by name" grep -q "ARPHRD 512 (PPP)" <<<"$FIRST"
    fi
else
    skip "tun: this kernel has none"
fi
if [ "$DRIVER" = pcap ]; then
    # All interfaces of the namespace at once: both ends of the pair see each frame, and the cooked header says how.
    start_dump -i any
    equal "any: SLL2" "capturing linktype 276" "${FIRST%%:*}"
    "$T/send_frames" -i va -c 1000 -s 60-1514 >"$T/sent"
    stop_dump
    equal "any: directions from the cooked header" "flags=2 frames=1000 flags=17 frames=1000 " "$(flags_lines)"
    equal "any: driver counters, end" "2000 0 ENODATA 0" "$(value received) $(value dropped) $(value end) $RC"
    start_dump -i vb -t 2
    end_dump
    check "several threads are refused with the next step" grep -q "use --driver afpacket for several" <<<"$FIRST"
fi
if command -v setpriv >/dev/null; then
    FIRST=$(setpriv --bounding-set -net_raw --inh-caps -net_raw "$DUMP" -d "$DRIVER" -i vb)
    check "without CAP_NET_RAW: the error says so" grep -q "CAP_NET_RAW: run as root" <<<"$FIRST"
fi
finish
