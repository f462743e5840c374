#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Counts what reaches the network stack by an interface: `passed_by.py IFACE` says "counting" and, when its standard
# input ends, the number. By a packet socket that keeps a byte of each frame; the kernel counts those it has no room for.
import ctypes
import socket
import struct
import sys

SO_ATTACH_FILTER, SOL_PACKET, PACKET_STATISTICS, PACKET_IGNORE_OUTGOING, ETH_P_ALL = 26, 263, 6, 23, 3

keep_a_byte = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 1))  # BPF_RET | BPF_K
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
s.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(keep_a_byte)))
s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
s.bind((sys.argv[1], ETH_P_ALL))
print("counting", flush=True)
sys.stdin.read()
print(struct.unpack("=II", s.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[0])
