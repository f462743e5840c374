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
#include "sensor/cli/flow_join.h"
#include "sensor/cli/flow_reading.h"
#include "sensor/cli/flow_stored.h"
#include "sensor/cli/packet_output.h"
#include "sensor/evidence/reader/recording_dir.h"

// What the searching process says, one after the other; the last one is FOUND_END. Any bytes are valid.
// FOUND_NOTHING takes back what was said before.
enum found_kind { FOUND_FLOW, FOUND_FRAGMENTS, FOUND_NOTHING, FOUND_END };

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
		struct {
			int32_t code; // an enum cli_exit
			uint8_t by_records;
		} end;
	};
};

// --- the process that searches

struct search {
	const struct flow_filter *filter; // what was asked for
	struct flow_filter any_time;      // the same without times: parts of a flow may lie outside of them
	struct flow_reading reading;
	struct flow_join *join;
	bool by_records; // that the recording keeps
};

static void say(struct search *s, const struct found *found)
{
	if (fwrite(found, sizeof(*found), 1, stdout) != 1 && s->reading.error == 0)
		s->reading.error = -EPIPE;
}

static void take_joined(void *user, const struct flow_key *key, const struct flow_span *span)
{
	struct search *s = user;
	struct found found = {.kind = FOUND_FLOW};

	if (span->end_ns < s->filter->from_ns || span->start_ns > s->filter->to_ns)
		return;
	found.flow = (struct found_flow){.key = *key,
	        .start_ns = span->start_ns,
	        .end_ns = span->end_ns,
	        .packets = span->packets,
	        .chosen = span->chosen,
	        .open = span->open};
	say(s, &found);
}

static int take_stored(void *user, const struct flow_record *r)
{
	struct search *s = user;
	int error = flow_join_record(s->join, r, flow_filter_matches(&s->any_time, r));

	return error < 0 ? error : s->reading.error;
}

static void take_record(void *user, const struct flow_record *r)
{
	struct search *s = user;
	int error = take_stored(s, r);

	if (error < 0 && s->reading.error == 0)
		s->reading.error = error;
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

static int join_anew(struct search *s)
{
	flow_join_free(s->join);
	s->join = NULL;
	return flow_join_new(s->reading.config.seed, take_joined, s, &s->join);
}

// Whether the recording keeps a record of every flow: it is closed, all of it was inspected while it was made, and all
// that was found is in files that the ledger vouches for.
static bool keeps_all(const struct search *s, const struct flow_stored *stored)
{
	const struct segment_list *list = s->reading.list;

	return list->closed && stored->files > 0 && stored->files == list->flows_count && stored->retired == 0 &&
	       stored->unsealed == 0 && stored->lost == 0 && stored->not_understood == 0 &&
	       stored->inspected == stored->frames;
}

// By the records that the recording keeps. 1; 0 when they are not all, or a negative errno.
static int search_stored(struct search *s, const struct recording_dir *dir)
{
	const size_t findings = s->reading.report->finding_count;
	struct flow_stored stored;
	int r;

	if (!s->reading.list->closed || s->reading.list->flows_count == 0)
		return 0;
	r = flow_stored_run(dir, s->reading.list, s->reading.report, take_stored, s, &stored);
	if (r < 0)
		return r;
	s->by_records = keeps_all(s, &stored) && s->reading.report->finding_count == findings;
	if (s->by_records)
		return 1;
	say(s, &(struct found){.kind = FOUND_NOTHING});
	return join_anew(s);
}

static int search_opened(struct search *s, const struct recording_dir *dir, bool reanalyse)
{
	int r = join_anew(s);

	if (r == 0 && !reanalyse)
		r = search_stored(s, dir);
	if (r == 0)
		r = flow_reading_run(&s->reading, dir);
	if (r >= 0)
		flow_join_end(s->join);
	return r < 0 ? r : s->reading.error;
}

static int search_recording(struct search *s, const struct packet_output *o, bool reanalyse)
{
	struct error e = {0};
	struct recording_dir dir;
	int r, code = segments_on_open(&o->segments_on, o->verb, o->recording, &dir);

	if (code != CLI_OK)
		return code;
	r = flow_reading_open(&s->reading, &dir, s->filter, &e);
	if (r < 0)
		return cli_fail(r == -EINVAL ? CLI_USAGE : CLI_UNREADABLE, o->verb, "%s", e.text);
	r = search_opened(s, &dir, reanalyse);
	code = packet_findings_print(o->verb, s->reading.report);
	if (r == -EPIPE)
		return CLI_UNREADABLE; // nobody is there any more
	return r < 0 ? cli_fail(CLI_UNREADABLE, o->verb, "cannot go on: %s", strerror(-r)) : code;
}

static int search_main(const struct packet_output *o, const struct flow_filter *filter, bool reanalyse)
{
	struct search s = {.filter = filter, .any_time = *filter};
	struct found end = {.kind = FOUND_END};

	s.reading.config = (struct flow_meter_config){
	        FLOW_READING_TIMEOUTS, .record = take_record, .fragments_before = take_fragments, .user = &s};
	s.reading.config.active_ns = 0; // a flow is one, however long it lasts
	s.any_time.from_ns = 0;
	s.any_time.to_ns = UINT64_MAX;
	signal(SIGPIPE, SIG_IGN);
	end.end.code = search_recording(&s, o, reanalyse);
	end.end.by_records = s.by_records;
	say(&s, &end);
	flow_join_free(s.join);
	flow_reading_release(&s.reading);
	return fflush(stdout) == 0 ? end.end.code : CLI_UNREADABLE;
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
		if (found.kind == FOUND_END) {
			s->by_records = found.end.by_records != 0;
			return found.end.code >= CLI_OK && found.end.code <= CLI_UNREADABLE ? found.end.code : -1;
		}
		if (found.kind == FOUND_NOTHING)
			r = selection_forget(s);
		else if (found.kind == FOUND_FLOW)
			r = take_flow(s, &found.flow);
		else
			r = take_fragments_found(s, &found.fragments);
		if (r == -ENOBUFS)
			return cli_fail(CLI_UNREADABLE, verb,
			        "more than %u flows match; narrow it by --from and --to, or --host", FLOW_SET_MAX);
		if (r < 0)
			return cli_fail(CLI_UNREADABLE, verb, "out of memory");
	}
	return -1;
}

int flow_search(const struct packet_output *output, bool reanalyse, struct selection *selection)
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
		_exit(search_main(output, &selection->flows, reanalyse));
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
