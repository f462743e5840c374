// SPDX-License-Identifier: Apache-2.0
// Loads the XDP program of bpf/ and attaches it by a BPF link: native mode first, then generic. Recorder process, at
// open and at close only. Must not displace a program that is there, and must not leave one behind.
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/xdp_take.h"
#include "xdp_take.skel.h"
#include "xdp_take_tags.skel.h"

#include "sensor/sources/xdp.h"

// linux/bpf.h of 6.3: the program is made for one device, and may ask its driver about a frame.
#define PROG_DEV_BOUND_ONLY (1u << 6)

#define NAMED_BYTES (SHUNT_FLOWS * sizeof(__u64))

static void describe_program(uint32_t id, char *name, size_t size)
{
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	snprintf(name, size, "?");
	if (fd < 0)
		return;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.name[0])
		snprintf(name, size, "%s", info.name);
	close(fd);
}

// The id of the BPF link that holds a program on the interface, 0 when it is held without one.
static uint32_t link_on(int ifindex)
{
	for (uint32_t id = 0; bpf_link_get_next_id(id, &id) == 0;) {
		struct bpf_link_info info = {0};
		uint32_t len = sizeof(info);
		int fd = bpf_link_get_fd_by_id(id);
		bool found;

		if (fd < 0)
			continue;
		found = bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.type == BPF_LINK_TYPE_XDP &&
		        info.xdp.ifindex == (uint32_t)ifindex;
		close(fd);
		if (found)
			return id;
	}
	return 0;
}

// -EBUSY with what is there and how to remove it; 0 when there is none.
static int refuse_other(const struct xdp_interface *i, struct error *e)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	const char *mode = "generic", *off = "xdpgeneric";
	char name[BPF_OBJ_NAME_LEN + 1];
	uint32_t id, link;

	if (bpf_xdp_query(i->index, 0, &opts) < 0)
		return 0; // attaching will say why
	id = opts.skb_prog_id;
	if (opts.drv_prog_id || opts.hw_prog_id) {
		id = opts.drv_prog_id ? opts.drv_prog_id : opts.hw_prog_id;
		mode = opts.drv_prog_id ? "native" : "offloaded";
		off = opts.drv_prog_id ? "xdpdrv" : "xdpoffload";
	} else if (!id) {
		id = opts.prog_id;
	}
	if (!id)
		return 0;
	describe_program(id, name, sizeof(name));
	link = link_on(i->index);
	if (link)
		return error_set(e, -EBUSY,
		        "interface %s already has an XDP program: %s (id %u, %s mode, held by BPF link %u); end the "
		        "process that put it there, or: bpftool link detach id %u. Or use --driver afpacket",
		        i->name, name, id, mode, link, link);
	return error_set(e, -EBUSY,
	        "interface %s already has an XDP program: %s (id %u, %s mode); remove it: ip link set dev %s %s off. "
	        "Or use --driver afpacket",
	        i->name, name, id, mode, i->name, off);
}

static int attach(struct xdp_program *p, int program_fd, const struct xdp_interface *i, uint32_t mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = mode);
	int fd = bpf_link_create(program_fd, i->index, BPF_XDP, &opts);

	if (fd < 0)
		return fd;
	p->link_fd = fd;
	p->native = mode == XDP_FLAGS_DRV_MODE;
	return 0;
}

// The kernel reserves whole maps when it loads.
static void size_maps(struct bpf_map *flows, struct bpf_map *named, const struct source_live_config *c)
{
	if (!c->cutoff_bytes)
		bpf_map__set_max_entries(flows, 1);
	if (!c->cutoff_told)
		bpf_map__set_max_entries(named, 1);
}

static int map_named(struct xdp_program *p, const struct bpf_map *named, const struct source_live_config *c)
{
	void *at;

	if (!c->cutoff_told)
		return 0;
	at = mmap(NULL, NAMED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(named), 0);
	if (at == MAP_FAILED)
		return -errno;
	p->named = at;
	return 0;
}

// The program that asks for tags: Linux 6.8 and a driver with native mode. Any failure means the plain one.
static int attach_with_tags(
        struct xdp_program *p, const struct xdp_interface *i, __u32 flags, const struct source_live_config *c)
{
	int r = -ENOMEM;

	p->with_tags = xdp_take_tags__open();
	if (p->with_tags) {
		p->with_tags->rodata->cutoff_bytes = c->cutoff_bytes;
		p->with_tags->rodata->only_named = c->cutoff_told;
		p->with_tags->rodata->has_frags = flags != 0;
		size_maps(p->with_tags->maps.flows, p->with_tags->maps.named, c);
		bpf_program__set_ifindex(p->with_tags->progs.xdp_take, (uint32_t)i->index);
		bpf_program__set_flags(p->with_tags->progs.xdp_take, PROG_DEV_BOUND_ONLY | flags);
		r = xdp_take_tags__load(p->with_tags);
	}
	if (r == 0)
		r = map_named(p, p->with_tags->maps.named, c);
	if (r == 0)
		p->with_tags->bss->wants_nic_time = c->nic_time;
	if (r == 0)
		r = attach(p, bpf_program__fd(p->with_tags->progs.xdp_take), i, XDP_FLAGS_DRV_MODE);
	if (r < 0) {
		xdp_program_detach(p);
		return r;
	}
	p->sockets_fd = bpf_map__fd(p->with_tags->maps.sockets);
	p->taking = &p->with_tags->bss->taking;
	p->slots = p->with_tags->bss->slots;
	return 0;
}

static int attach_plain(struct xdp_program *p, const struct xdp_interface *i, __u32 flags,
        const struct source_live_config *c, struct error *e)
{
	// A tap has native mode, but in many kernels no metadata area there, so a frame could not carry its time.
	bool try_native = strcmp(i->kind, "tun") != 0;
	int fd, r;

	p->plain = xdp_take__open();
	r = p->plain ? 0 : -errno;
	if (r == 0) {
		p->plain->rodata->cutoff_bytes = c->cutoff_bytes;
		p->plain->rodata->only_named = c->cutoff_told;
		p->plain->rodata->has_frags = flags != 0;
		size_maps(p->plain->maps.flows, p->plain->maps.named, c);
		bpf_program__set_flags(p->plain->progs.xdp_take, flags);
		r = xdp_take__load(p->plain);
	}
	if (r == 0)
		r = map_named(p, p->plain->maps.named, c);
	if (r < 0) {
		return error_set(e, r, "interface %s: the kernel does not load the XDP program: %s; %s", i->name,
		        strerror(-r),
		        r == -EPERM ? "capture needs CAP_BPF and CAP_NET_ADMIN: run as root (sudo)"
		        : flags     ? "frames of this MTU need Linux 5.18 or newer; use --driver afpacket"
		                    : "it needs Linux 5.10 or newer; use --driver afpacket");
	}
	fd = bpf_program__fd(p->plain->progs.xdp_take);
	p->sockets_fd = bpf_map__fd(p->plain->maps.sockets);
	p->taking = &p->plain->bss->taking;
	p->slots = p->plain->bss->slots;
	r = try_native ? attach(p, fd, i, XDP_FLAGS_DRV_MODE) : -EOPNOTSUPP;
	if (r == 0)
		return 0;
	p->native_error = try_native ? -r : 0;
	if (r != -EBUSY && r != -EEXIST && r != -EPERM)
		r = attach(p, fd, i, XDP_FLAGS_SKB_MODE);
	if ((r == -EBUSY || r == -EEXIST) && refuse_other(i, e) < 0)
		return r;
	if (r < 0)
		error_set(e, r, "interface %s: the XDP program does not attach: %s; %s", i->name, strerror(-r),
		        r == -EPERM ? "capture needs CAP_NET_ADMIN: run as root (sudo)" : "use --driver afpacket");
	return r;
}

int xdp_program_attach(struct xdp_program *p, const struct xdp_interface *i, bool frags,
        const struct source_live_config *config, struct error *e)
{
	__u32 flags = frags ? BPF_F_XDP_HAS_FRAGS : 0;
	int r = refuse_other(i, e);

	if (r < 0)
		return r;
	// What other drivers answer when asked for a tag is not known: there tags must stay in the frame.
	p->tags = strcmp(i->kind, "veth") == 0;
	if (p->tags || config->nic_time) {
		r = attach_with_tags(p, i, flags, config);
		if (r == 0)
			return 0;
		p->tags = false;
		if (config->nic_time)
			return error_set(e, -ENOTSUP,
			        "interface %s: the program cannot ask driver %s for the NIC's time: %s; it needs Linux "
			        "6.8 and native mode: use --time kernel, or --driver afpacket",
			        i->name, i->driver, strerror(-r));
	}
	return attach_plain(p, i, flags, config, e);
}

void xdp_program_detach(struct xdp_program *p)
{
	if (p->link_fd >= 0)
		close(p->link_fd);
	p->link_fd = -1;
	if (p->named)
		munmap((void *)p->named, NAMED_BYTES);
	p->named = NULL;
	xdp_take__destroy(p->plain);
	xdp_take_tags__destroy(p->with_tags);
	p->plain = NULL;
	p->with_tags = NULL;
}
