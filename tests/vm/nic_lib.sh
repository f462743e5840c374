# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests that take whole network cards, so they run only in the machine of scripts/vm-test: an e1000e and a virtio-net
# card on one wire, as scripts/vm-test places them. Sourced after tests/netns/lib.sh.
E1000E=0000:00:05.0
VIRTIO=0000:00:06.0

# No namespace of its own: a card that changes its driver comes back in the first one.
nic_enter() {
    # shellcheck disable=SC2034 # netns_enter asks for it
    NETNS_ENTERED=1
    netns_enter "$@"
    [ -e /run/vm-job ] || skip_all "takes whole network cards: only in the machine of scripts/vm-test"
    need_sealtap
    need_tools ip ethtool python3 jq zstd cc
    build_sender || { fail "the sender compiles"; finish; }
    [ -e "/sys/bus/pci/devices/$E1000E/net" ] || skip_all "no e1000e at $E1000E"
    [ -e "/sys/bus/pci/devices/$VIRTIO/driver" ] || skip_all "no virtio-net card at $VIRTIO"
}

kernel_driver() { basename "$(readlink "/sys/bus/pci/devices/$1/driver")" 2>/dev/null; }

# iface_of ADDRESS: the interface that the kernel's driver made of a card
iface_of() { find -H "/sys/bus/pci/devices/$1/" -path '*/net/*' -maxdepth 3 -mindepth 2 -printf '%f\n' 2>/dev/null | head -n 1; }

# give ADDRESS DRIVER: a card to a driver of the kernel, virtio-pci and e1000e included.
give() {
    local device=/sys/bus/pci/devices/$1
    [ ! -e "$device/driver" ] || echo "$1" >"$device/driver/unbind"
    echo "$2" >"$device/driver_override"
    echo "$1" >/sys/bus/pci/drivers_probe
    [ "$(kernel_driver "$1")" = "$2" ]
}

# to_kernel ADDRESS DRIVER [MTU]: as an interface, quiet and with its carrier.
to_kernel() {
    local iface offload until=$((SECONDS + DEADLINE))
    [ "$(kernel_driver "$1")" = "$2" ] || give "$1" "$2" || return
    until iface=$(iface_of "$1") && [ -n "$iface" ]; do
        [ "$SECONDS" -lt "$until" ] || return
    done
    ip link set dev "$iface" down
    # Not all cards have all of these, and one that is refused shall not keep the others.
    for offload in gro gso tso lro rx tx; do
        ethtool -K "$iface" "$offload" off >/dev/null 2>&1
    done
    ip link set dev "$iface" arp off mtu "${3:-1500}" up && wait_link "$iface"
}

# both_cards MTU: as interfaces
both_cards() { to_kernel "$E1000E" e1000e "$1" && to_kernel "$VIRTIO" virtio-pci "$1"; }

detail() { jq -r 'select(.type == "open") | .sources[0].detail' "$1/ledger.jsonl"; }

# refused NAME PATTERN CAPTURE-ARGS...: with a message that has the regular expression
refused() {
    local name=$1 pattern=$2
    shift 2
    timeout "$DEADLINE" "$SEALTAP" capture --key "$T/key/origin.key" --own-network no -o "$T/refused" "$@" \
        >"$T/refused.out" 2>&1
    equal "$name: exit code" 3 $?
    if grep -qE -- "$pattern" "$T/refused.out"; then
        pass "$name: the message says what to do"
    else
        fail "$name: the message says what to do ($pattern)"
        sed 's/^/    /' "$T/refused.out"
    fi
    check "$name: no recording is left" test ! -e "$T/refused"
}
