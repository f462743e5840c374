// SPDX-License-Identifier: Apache-2.0
// An outlet between flow files and a sink that plays what collectors do: every record once, in order, whatever breaks;
// an outlet that goes on where another one was; files that are too long, and that hold anything.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
// After the standard headers it needs.
#include <cmocka.h>

#include "analyzers/flow_format.h"
#include "sensor/exporter/outlet.h"
#include "sensor/exporter/spool.h"
#include "sensor/flowlog/flow_writer.h"

#define MANY 1000u
#define DEADLINE_MS 20000
#define FILE_RECORDS 100u
#define NO_BOUND (1ULL << 40)

struct play {
	struct sink sink;
	unsigned opens_after; // so many tries fail first
	unsigned breaks_each; // after so many given since it opened; 0: never
	unsigned keeps;       // settles all but so many of what it was given, until no more come
	unsigned refuses;     // every so many-th record; 0: none
	// What it saw.
	unsigned given, settled_here; // on this connection
	uint32_t first_here;          // number of the first one given
	uint32_t taken[4 * MANY];     // numbers settled
	unsigned taken_count;
	bool freed;
};

static int play_open(struct sink *sink, struct error *e)
{
	struct play *p = (struct play *)sink;

	p->given = p->settled_here = 0;
	if (p->opens_after == 0)
		return 0;
	p->opens_after--;
	return error_set(e, -ECONNREFUSED, "nobody there");
}

static int play_give(
        struct sink *sink, const struct flow_record *records, size_t count, size_t *ret_given, struct error *e)
{
	struct play *p = (struct play *)sink;

	for (*ret_given = 0; *ret_given < count; (*ret_given)++) {
		if (p->breaks_each && p->given == p->breaks_each)
			return error_set(e, -EPIPE, "broken");
		if (p->given == 0)
			p->first_here = records[*ret_given].src_port;
		p->given++;
	}
	return 0;
}

// Records are numbered by their port, and given in order.
static int play_settle(struct sink *sink, struct sink_settled *ret_settled, struct error *e)
{
	struct play *p = (struct play *)sink;

	*ret_settled = (struct sink_settled){0};
	for (; p->settled_here + p->keeps < p->given; p->settled_here++) {
		uint32_t number = p->first_here + p->settled_here;

		if (p->refuses && number % p->refuses == 0) {
			ret_settled->refused++;
			continue;
		}
		assert_true(p->taken_count < sizeof(p->taken) / sizeof(p->taken[0]));
		p->taken[p->taken_count++] = number;
		ret_settled->delivered++;
	}
	return 0;
}

static void play_finish(struct sink *sink)
{
	((struct play *)sink)->keeps = 0;
}

static void play_close(struct sink *sink)
{
}

static void play_free(struct sink *sink)
{
	((struct play *)sink)->freed = true;
}

static const struct sink_ops play_ops = {play_open, play_give, play_settle, play_finish, play_close, play_free};

static int make_flows(void **state)
{
	char template[] = "/tmp/sealtap-outlet.XXXXXX";

	assert_non_null(mkdtemp(template));
	*state = strdup(template);
	return 0;
}

static int remove_flows(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", (char *)*state);
	free(*state);
	return system(command);
}

static int flows_dir(void **state)
{
	int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static json_t *record_json(uint32_t number)
{
	struct flow_record r = {.start_ns = 1700000000000000000,
	        .end_ns = 1700000001000000000,
	        .age_s = 1,
	        .pkts = {1},
	        .bytes = {60},
	        .ip_bytes = {46},
	        .src = {10, 0, 0, 1},
	        .dest = {10, 0, 0, 2},
	        .src_port = (uint16_t)number,
	        .dest_port = 53,
	        .ip_version = 4,
	        .proto = 17,
	        .groups = FLOW_GROUP_PORTS | FLOW_GROUP_COMMUNITY_ID,
	        .recording = "00",
	        .sensor = "s"};

	snprintf(r.community_id, sizeof(r.community_id), "1:wCb3OG7yAFWelaUydu0D+125CLM=");
	return flow_json(&r);
}

// Records `from` to `to`, FILE_RECORDS in each file, a frame for every ten, with lines between them about other things.
static void write_records(int dir_fd, uint32_t first_file, uint32_t from, uint32_t to)
{
	const struct flow_writer_counts none = {0};
	json_t *other = json_pack("{s:s, s:[]}", "event_type", "inspection", "order");
	struct flow_writer *w;
	struct wire_flows sealed;

	assert_int_equal(flow_writer_new(dir_fd, first_file, &w), 0);
	for (uint32_t i = from; i < to; i++) {
		json_t *line = record_json(i);

		assert_int_equal(flow_writer_line(w, line, &none), 0);
		assert_int_equal(flow_writer_line(w, other, &none), 0);
		json_decref(line);
		if (i % 10 == 9)
			assert_int_equal(flow_writer_flush(w), 0);
		if (i % FILE_RECORDS == FILE_RECORDS - 1)
			assert_int_equal(flow_writer_seal(w, &sealed), 1);
	}
	flow_writer_flush(w);
	json_decref(other);
	flow_writer_free(w);
}

static struct outlet *begin(struct play *p, int dir_fd, struct export_slot *slot, uint64_t behind_max)
{
	struct outlet_live live = {.slot = slot, .behind_max = behind_max};
	struct export_progress before;
	struct outlet *o;

	p->sink.ops = &play_ops;
	snprintf(p->sink.name, sizeof(p->sink.name), "play");
	export_state_get(slot, &before);
	assert_int_equal(spool_open(dir_fd, &before.position, &live.spool), 0);
	assert_int_equal(outlet_new(&p->sink, &live, &o), 0);
	return o;
}

static void end(struct outlet *o, int timeout_ms, struct export_progress *ret_progress)
{
	outlet_finish(o, timeout_ms);
	outlet_join(o);
	outlet_progress(o, ret_progress);
	outlet_free(o);
}

static void await_delivered(struct outlet *o, uint64_t count)
{
	struct export_progress p;

	for (int i = 0; i < DEADLINE_MS; i++) {
		outlet_progress(o, &p);
		if (p.delivered >= count)
			return;
		usleep(1000);
	}
	fail_msg("%llu of %llu delivered", (unsigned long long)p.delivered, (unsigned long long)count);
}

static void assert_numbers(const struct play *p, uint32_t from, uint32_t to)
{
	assert_int_equal(p->taken_count, to - from);
	for (uint32_t i = from; i < to; i++)
		assert_int_equal(p->taken[i - from], i);
}

static void each_record_once_in_order(void **state)
{
	struct export_slot slot = {0};
	struct export_progress progress;
	struct play *p = calloc(1, sizeof(*p));
	int dir_fd = flows_dir(state);
	struct outlet *o;

	write_records(dir_fd, 0, 0, MANY);
	o = begin(p, dir_fd, &slot, NO_BOUND);
	await_delivered(o, MANY);
	write_records(dir_fd, MANY / FILE_RECORDS, MANY, 2 * MANY); // while it follows
	end(o, DEADLINE_MS, &progress);
	assert_numbers(p, 0, 2 * MANY);
	assert_int_equal(progress.delivered, 2 * MANY);
	assert_int_equal(progress.waiting + progress.dropped + progress.behind_bytes + progress.breaks, 0);
	assert_true(p->freed);
	free(p);
	close(dir_fd);
}

static void what_breaks_is_given_again(void **state)
{
	struct export_slot slot = {0};
	struct export_progress progress;
	struct play *p = calloc(1, sizeof(*p));
	int dir_fd = flows_dir(state);

	p->opens_after = 2;
	p->breaks_each = 301;
	p->keeps = 5;
	p->refuses = 100;
	write_records(dir_fd, 0, 1, MANY + 1);
	end(begin(p, dir_fd, &slot, NO_BOUND), DEADLINE_MS, &progress);
	assert_int_equal(progress.delivered, MANY - MANY / 100);
	assert_int_equal(progress.refused, MANY / 100);
	assert_int_equal(progress.waiting, 0);
	assert_true(progress.breaks >= 2);
	assert_string_not_equal(progress.error, "");
	assert_int_equal(p->taken_count, MANY - MANY / 100);
	for (unsigned i = 1; i < p->taken_count; i++)
		assert_int_equal(p->taken[i], p->taken[i - 1] + 1 + (p->taken[i - 1] % 100 == 99));
	free(p);
	close(dir_fd);
}

// The second outlet stands for that of an exporter which comes after one that was killed.
static void another_one_goes_on_where_the_first_was(void **state)
{
	struct export_slot slot = {0};
	struct export_progress first, second;
	struct play *p = calloc(1, sizeof(*p));
	int dir_fd = flows_dir(state);
	struct outlet *o;

	p->keeps = 37;
	write_records(dir_fd, 0, 0, MANY);
	o = begin(p, dir_fd, &slot, NO_BOUND);
	await_delivered(o, MANY - p->keeps);
	end(o, 0, &first);
	assert_int_equal(first.delivered, MANY - p->keeps);
	assert_int_equal(first.waiting, p->keeps); // not one that is not accounted for
	p->keeps = 0;
	end(begin(p, dir_fd, &slot, NO_BOUND), DEADLINE_MS, &second);
	assert_int_equal(second.delivered, MANY);
	assert_int_equal(second.waiting, 0);
	assert_numbers(p, 0, MANY);
	free(p);
	close(dir_fd);
}

static void beyond_the_bound_the_oldest_unread_are_dropped(void **state)
{
	struct export_slot slot = {0};
	struct export_progress progress = {0};
	struct play *p = calloc(1, sizeof(*p));
	int dir_fd = flows_dir(state);
	struct outlet *o;
	struct stat st;
	char name[64];

	write_records(dir_fd, 0, 0, MANY);
	snprintf(name, sizeof(name), "%s/00000000.jsonl.zst", (char *)*state);
	assert_int_equal(stat(name, &st), 0);
	p->opens_after = 5; // 3 s: 0.1, 0.2, 0.4 and so on
	o = begin(p, dir_fd, &slot, 3 * (uint64_t)st.st_size);
	for (int i = 0; i < DEADLINE_MS && (progress.behind_bytes == 0 || progress.dropped == 0); i++) {
		outlet_progress(o, &progress);
		usleep(1000);
	}
	end(o, DEADLINE_MS, &progress);
	// Dropped are whole records until at most three files were unread.
	assert_in_range(progress.dropped, MANY - 4 * FILE_RECORDS, MANY - 2 * FILE_RECORDS);
	assert_int_equal(progress.delivered + progress.dropped, MANY);
	assert_int_equal(progress.waiting, 0);
	assert_int_equal(p->taken_count, progress.delivered);
	assert_int_equal(p->taken[p->taken_count - 1], MANY - 1);
	free(p);
	close(dir_fd);
}

static void put_file(int dir_fd, const char *name, const void *bytes, size_t len)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static void what_is_no_flow_file_is_counted_and_left(void **state)
{
	const struct flow_writer_counts none = {0};
	struct export_slot slot = {0};
	struct export_progress progress;
	struct play *p = calloc(1, sizeof(*p));
	int dir_fd = flows_dir(state);
	json_t *line = record_json(7);
	struct flow_writer *w;

	write_records(dir_fd, 0, 0, FILE_RECORDS);
	put_file(dir_fd, "00000001.jsonl.zst", "this is no zstd frame, and never was", 36);
	assert_int_equal(symlinkat("/etc/passwd", dir_fd, "00000002.jsonl.zst"), 0);
	put_file(dir_fd, "core", "x", 1);
	// Lines that say they were records.
	assert_int_equal(flow_writer_new(dir_fd, 3, &w), 0);
	json_object_set_new(line, "src_ip", json_string("not an address"));
	assert_int_equal(flow_writer_line(w, line, &none), 0);
	json_object_set_new(line, "src_ip", json_integer(-1));
	assert_int_equal(flow_writer_line(w, line, &none), 0);
	json_object_clear(line);
	json_object_set_new(line, "event_type", json_string("flow"));
	assert_int_equal(flow_writer_line(w, line, &none), 0);
	assert_int_equal(flow_writer_flush(w), 0);
	flow_writer_free(w);
	json_decref(line);
	write_records(dir_fd, 4, FILE_RECORDS, 2 * FILE_RECORDS);
	end(begin(p, dir_fd, &slot, NO_BOUND), DEADLINE_MS, &progress);
	assert_numbers(p, 0, 2 * FILE_RECORDS);
	assert_int_equal(progress.malformed, 5);
	assert_int_equal(progress.waiting + progress.behind_bytes, 0);
	free(p);
	close(dir_fd);
}

static void a_position_that_is_none_loses_its_file_only(void **state)
{
	struct export_slot slot = {0};
	struct export_progress progress = {.position = {.number = 0, .offset = 5}};
	struct play *p = calloc(1, sizeof(*p));
	int dir_fd = flows_dir(state);

	export_state_put(&slot, &progress);
	write_records(dir_fd, 0, 0, 2 * FILE_RECORDS);
	end(begin(p, dir_fd, &slot, NO_BOUND), DEADLINE_MS, &progress);
	assert_int_equal(progress.malformed, 1);
	assert_numbers(p, FILE_RECORDS, 2 * FILE_RECORDS);
	free(p);
	close(dir_fd);
}

#define IN_FLOWS(test) cmocka_unit_test_setup_teardown(test, make_flows, remove_flows)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        IN_FLOWS(each_record_once_in_order),
	        IN_FLOWS(what_breaks_is_given_again),
	        IN_FLOWS(another_one_goes_on_where_the_first_was),
	        IN_FLOWS(beyond_the_bound_the_oldest_unread_are_dropped),
	        IN_FLOWS(what_is_no_flow_file_is_counted_and_left),
	        IN_FLOWS(a_position_that_is_none_loses_its_file_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
