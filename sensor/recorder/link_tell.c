// SPDX-License-Identifier: Apache-2.0
// What the ledger and the operator hear of an interface: one incident and one line for each change, and no flood of
// them.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sensor/recorder/link_private.h"
#include "sensor/recorder/recorder.h"

enum phase { PHASE_DOWN, PHASE_NO_CARRIER, PHASE_UP };

void link_tell(struct link_watch *w, struct link *l, const char *kind, const char *format, ...)
{
	char text[400], before[64] = "";
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (l->untold)
		snprintf(before, sizeof(before), " (%u changes before this were not told)", l->untold);
	l->untold = 0;
	if (l->may_tell > 0)
		l->may_tell--;
	fprintf(stderr, "sealtap: %s: %s%s\n", l->told.name, text, before);
	keeper_incident(w->recorder, kind, "%s: %s%s", l->told.name, text, before);
}

bool link_may_tell(struct link *l, uint64_t now)
{
	while (l->may_tell < LINK_TELL_BURST && now - l->tell_at_ns >= LINK_TELL_NS) {
		l->tell_at_ns += LINK_TELL_NS;
		l->may_tell++;
	}
	if (l->may_tell == LINK_TELL_BURST)
		l->tell_at_ns = now;
	return l->may_tell > 0;
}

static enum phase phase_of(const struct link_state *s)
{
	return !s->up ? PHASE_DOWN : s->carrier ? PHASE_UP : PHASE_NO_CARRIER;
}

static void tell_phase(struct link_watch *w, struct link *l, const struct link_state *s)
{
	enum phase before = phase_of(&l->told), now = phase_of(s);

	if (now == PHASE_DOWN)
		link_tell(w, l, "interface-down", "the interface was taken down; ip link set dev %s up", l->told.name);
	else if (before == PHASE_DOWN)
		link_tell(w, l, "interface-up", "the interface was brought up, %s",
		        now == PHASE_UP ? "with a carrier" : "without a carrier so far");
	else if (now == PHASE_NO_CARRIER)
		link_tell(w, l, "carrier-lost",
		        "the carrier is lost, the interface is up: look at the cable, or its other end");
	else
		link_tell(w, l, "carrier-back", "the carrier is back (change %u since the interface was made)",
		        s->carrier_changes);
}

static void tell_mtu(struct link_watch *w, struct link *l, uint32_t mtu)
{
	const unsigned head = 14 + 2 * 4; // MAC addresses, EtherType, two tags

	if (l->frame_max && mtu + head > l->frame_max)
		link_tell(w, l, "mtu-changed",
		        "MTU %u -> %u: frames longer than %u bytes do not fit and will be dropped, counted in "
		        "driver.dropped; ip link set dev %s mtu %u",
		        l->told.mtu, mtu, l->frame_max, l->told.name, l->frame_max - head);
	else
		link_tell(w, l, "mtu-changed", "MTU %u -> %u", l->told.mtu, mtu);
}

void link_removed(struct link_watch *w, struct link *l)
{
	if (l->gone)
		return;
	l->gone = true;
	link_tell(w, l, "interface-removed",
	        "the interface was removed: its lanes end here; should it come back, start a new recording for it");
}

void link_observe(struct link_watch *w, struct link *l, const struct link_state *s, uint64_t now)
{
	struct link_state *told = &l->told;
	bool renamed = strcmp(s->name, told->name) != 0, phase = phase_of(s) != phase_of(told);
	bool mtu = s->mtu != told->mtu, lost = w->promiscuous && told->promiscuity > 0 && s->promiscuity == 0;

	if (!link_may_tell(l, now)) {
		l->untold += renamed || phase || mtu || lost;
		return;
	}
	if (renamed) {
		char before[IFNAMSIZ];

		memcpy(before, told->name, sizeof(before));
		memcpy(told->name, s->name, sizeof(told->name));
		link_tell(w, l, "interface-renamed", "the interface was called %s; its lanes keep that name", before);
	}
	if (phase)
		tell_phase(w, l, s);
	if (mtu)
		tell_mtu(w, l, s->mtu);
	if (lost)
		link_tell(w, l, "promiscuous-lost",
		        "the interface is no longer promiscuous: frames for others do not come; ip link set dev %s "
		        "promisc on",
		        told->name);
	*told = *s;
	if (l->untold) { // it changed and changed back meanwhile
		static const char *const kind[] = {"interface-down", "carrier-lost", "carrier-back"};
		static const char *const is[] = {"down", "up without a carrier", "up with a carrier"};

		link_tell(w, l, kind[phase_of(s)], "the interface is %s", is[phase_of(s)]);
	}
}

void link_tell_offloads(struct link_watch *w, struct link *l, uint32_t offloads)
{
	char list[300] = "", off[300] = "";
	size_t used = 0, off_used = 0;

	for (unsigned i = 0; i < OFFLOADS; i++) {
		bool on = offloads >> i & 1;

		if (on == (l->offloads >> i & 1))
			continue;
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s %s", used ? ", " : "",
		        link_offload_names[i], on ? "on" : "off");
		if (on)
			off_used += (size_t)snprintf(
			        off + off_used, sizeof(off) - off_used, " %s off", link_offload_names[i]);
	}
	link_tell(w, l, "offload-changed", "%s%s%s%s", list,
	        off_used ? ": frames may no longer be recorded as they came; ethtool -K " : "",
	        off_used ? l->told.name : "", off);
}

void link_tell_queues(struct link_watch *w, struct link *l, uint32_t queues, bool combined)
{
	if (l->sources && queues > l->sources)
		link_tell(w, l, "queues-changed",
		        "receive queues %u -> %u: frames of queues from %u on go past the recorder; ethtool -L %s %s "
		        "%u, or start a new recording",
		        l->queues, queues, l->sources, l->told.name, combined ? "combined" : "rx", l->sources);
	else
		link_tell(w, l, "queues-changed", "receive queues %u -> %u", l->queues, queues);
}
