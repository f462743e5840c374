// SPDX-License-Identifier: Apache-2.0
// What drivers on packet sockets share: afpacket's own sockets and those inside libpcap. Recorder process; opening
// before the sandbox, cutting in any thread.
#pragma once

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#include "sealtap/error.h"

// Bound to nothing: no frame enters.
int packet_socket_open(const char *interface, int *ret_fd, struct error *e);
int packet_socket_bind(int fd, int ifindex, uint16_t protocol);
int packet_socket_filter(int fd, struct sock_filter *code, unsigned short len);
// From now on the filter refuses every frame; those that are past it still arrive. System call: setsockopt.
int packet_socket_refuse(int fd);

// A socket in a fanout group, or in libpcap's hands, cannot be bound anew, hence the fence: a socket that receives
// nothing. _wait binds it to something else (system call: bind), which takes its hook out and waits for every frame
// that is on its way through any packet socket (synchronize_net in packet_do_bind). Once per fence.
int packet_fence_open(const char *interface, int *ret_fd, struct error *e);
void packet_fence_wait(int fd);

// "driver e1000e, gro on, lro off, tso on, rxvlan on": what stands between the wire and the frames.
void packet_socket_offloads(int fd, const char *interface, char *out, size_t size);
