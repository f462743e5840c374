// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/flow_search.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/flow_reading.h"
#include "sensor/cli/packet_output.h"
#include "sensor/evidence/reader/recording_dir.h"

// What the searching process says, one after the other; the last one is FOUND_END. Any bytes are valid.
enum found_kind { FOUND_FLOW, FOUND_FRAGMENTS, FOUND_END };

struct found_flow {
	struct flow_key key;
	uint64_t start_ns, end_ns, packets;
	uint8_t chosen, open;
};

// A first fragment that others came before.
struct found_fragments {
	uint64_t first_ns, since_ns;
	struct flow_tunnel tunnel;
	uint8_t src[FLOW_ADDR_LEN], dest[FLOW_ADDR_LEN];
	uint32_t fragment_id;
	uint16_t src_port, dest_port, vlan[FLOW_VLANS_MAX];
	uint8_t vlan_count, ip_version, proto, icmp_type, icmp_code, has_ports;
};

struct found {
	uint32_t kind;
	union {
		struct found_flow flow;
		struct found_fragments fragments;
		int32_t code; // an enum cli_exit
	};
};

// --- the process that searches

struct search {
	const struct flow_filter *filter;
	struct flow_reading reading;
};

static void say(struct search *s, const struct found *found)
{
	if (fwrite(found, sizeof(*found), 1, stdout) != 1 && s->reading.error == 0)
		s->reading.error = -EPIPE;
}

static void take_record(void *user, const struct flow_record *r)
{
	struct search *s = user;
	const bool chosen = flow_filter_matches(s->filter, r);
	struct found found = {.kind = FOUND_FLOW};

	// The next flow of the same ports may be chosen, and begins before this one's last packet, or at its time.
	if (!chosen && (r->reason != FLOW_REASON_TCP_REUSE || r->end_ns < s->reading.now_ns))
		return;
	found.flow = (struct found_flow){.start_ns = r->start_ns,
	        .end_ns = r->end_ns,
	        .packets = r->pkts[0] + r->pkts[1],
	        .chosen = chosen,
	        .open = r->reason == FLOW_REASON_SHUTDOWN};
	flow_key_of_record(r, &found.flow.key);
	say(s, &found);
}

static void take_fragments(void *user, const struct decoded_flow *first, uint64_t first_ns, uint64_t since_ns)
{
	struct search *s = user;
	struct found found = {.kind = FOUND_FRAGMENTS};

	if (!flow_filter_matches_packet(s->filter, first))
		return;
	found.fragments = (struct found_fragments){.first_ns = first_ns,
	        .since_ns = since_ns,
	        .tunnel = first->tunnel,
	        .fragment_id = first->fragment_id,
	        .src_port = first->src_port,
	        .dest_port = first->dest_port,
	        .vlan = {first->vlan[0], first->vlan[1]},
	        .vlan_count = first->vlan_count,
	        .ip_version = first->ip_version,
	        .proto = first->proto,
	        .icmp_type = first->icmp_type,
	        .icmp_code = first->icmp_code,
	        .has_ports = first->has_ports};
	memcpy(found.fragments.src, first->src, FLOW_ADDR_LEN);
	memcpy(found.fragments.dest, first->dest, FLOW_ADDR_LEN);
	say(s, &found);
}

static int search_recording(struct search *s, const struct packet_output *o)
{
	struct error e = {0};
	struct recording_dir dir;
	int code, r = recording_open(o->recording, o->segments_on.dir, o->segments_on.count, &dir);

	if (r < 0)
		return cli_fail(CLI_UNREADABLE, o->verb,
		        "cannot open the recording %s: %s; a recording is a directory with a ledger.jsonl",
		        o->recording, strerror(-r));
	r = flow_reading_open(&s->reading, &dir, s->filter, &e);
	if (r < 0)
		return cli_fail(r == -EINVAL ? CLI_USAGE : CLI_UNREADABLE, o->verb, "%s", e.text);
	r = flow_reading_run(&s->reading, &dir);
	code = packet_findings_print(o->verb, s->reading.report);
	if (r == -EPIPE)
		return CLI_UNREADABLE; // nobody is there any more
	return r < 0 ? cli_fail(CLI_UNREADABLE, o->verb, "cannot go on: %s", strerror(-r)) : code;
}

static int search_main(const struct packet_output *o, const struct flow_filter *filter)
{
	struct search s = {.filter = filter};
	struct found end = {.kind = FOUND_END};

	s.reading.config = (struct flow_meter_config){
	        FLOW_READING_TIMEOUTS, .record = take_record, .fragments_before = take_fragments, .user = &s};
	s.reading.config.active_ns = 0; // a flow is one, however long it lasts
	signal(SIGPIPE, SIG_IGN);
	end.code = search_recording(&s, o);
	say(&s, &end);
	flow_reading_release(&s.reading);
	return fflush(stdout) == 0 ? end.code : CLI_UNREADABLE;
}

// --- the process that asked

static int take_flow(struct selection *s, const struct found_flow *f)
{
	return flow_set_add(s->set, &f->key,
	        &(struct flow_span){.start_ns = f->start_ns,
	                .end_ns = f->end_ns,
	                .packets = f->packets,
	                .chosen = f->chosen != 0,
	                .open = f->open != 0});
}

static int take_fragments_found(struct selection *s, const struct found_fragments *f)
{
	struct foretold_fragment told = {.first_ns = f->first_ns,
	        .since_ns = f->since_ns,
	        .first = {.src_port = f->src_port,
	                .dest_port = f->dest_port,
	                .vlan = {f->vlan[0], f->vlan[1]},
	                .vlan_count = f->vlan_count,
	                .ip_version = f->ip_version,
	                .proto = f->proto,
	                .icmp_type = f->icmp_type,
	                .icmp_code = f->icmp_code,
	                .has_ports = f->has_ports != 0,
	                .fragment = true,
	                .fragment_first = true,
	                .fragment_id = f->fragment_id,
	                .tunnel = f->tunnel}};
	int r;

	memcpy(told.first.src, f->src, FLOW_ADDR_LEN);
	memcpy(told.first.dest, f->dest, FLOW_ADDR_LEN);
	r = packet_flows_foretell(s->packet_flows, &told);
	return r == -ENOBUFS ? 0 : r; // the others are left out, and counted
}

// Until it says that it is done. An enum cli_exit.
static int listen_to(FILE *in, const char *verb, struct selection *s)
{
	struct found found;
	int r;

	while (fread(&found, sizeof(found), 1, in) == 1) {
		if (found.kind == FOUND_END)
			return found.code >= CLI_OK && found.code <= CLI_UNREADABLE ? found.code : -1;
		r = found.kind == FOUND_FLOW ? take_flow(s, &found.flow) : take_fragments_found(s, &found.fragments);
		if (r == -ENOBUFS)
			return cli_fail(CLI_UNREADABLE, verb,
			        "more than %u flows match; narrow it by --from and --to, or --host", FLOW_SET_MAX);
		if (r < 0)
			return cli_fail(CLI_UNREADABLE, verb, "out of memory");
	}
	return -1;
}

int flow_search(const struct packet_output *output, struct selection *selection)
{
	const char *verb = output->verb;
	int ends[2], status, code = -1;
	FILE *in;
	pid_t pid;

	if (pipe(ends) < 0)
		return cli_fail(CLI_UNREADABLE, verb, "cannot start a process: %s", strerror(errno));
	fflush(stdout);
	pid = fork();
	// It keeps nothing of what this process has open, above all not the output.
	if (pid == 0) {
		if (dup2(ends[1], STDOUT_FILENO) < 0 || close_range(STDERR_FILENO + 1, UINT_MAX, 0) < 0)
			_exit(cli_fail(CLI_UNREADABLE, verb, "cannot start a process: %s", strerror(errno)));
		_exit(search_main(output, &selection->flows));
	}
	close(ends[1]);
	in = fdopen(ends[0], "r");
	if (pid > 0 && in)
		code = listen_to(in, verb, selection);
	if (in)
		fclose(in);
	else
		close(ends[0]);
	if (pid < 0)
		return cli_fail(CLI_UNREADABLE, verb, "cannot start a process: %s", strerror(errno));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (code < 0)
		return cli_fail(CLI_UNREADABLE, verb, "looking for the flows ended early (%s %d)",
		        WIFSIGNALED(status) ? "signal" : "status",
		        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return code;
}
