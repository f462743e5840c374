// SPDX-License-Identifier: Apache-2.0
// Lists of cores, and which core each thread gets on machines of several shapes: the cores that the process may use and
// the nodes of its cards are given by the test.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sensor/ipc/core_list.h"
#include "sensor/recorder/machine.h"
#include "sensor/recorder/recorder.h"

#define RX_MAX 16
#define SEALERS_ALL 256

static const char *allowed, *node_cores[2]; // NULL: this machine has one node
static int interface_node[2];

// Instead of the C library's.
int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	return core_list_parse(allowed, set);
}

// Instead of those of machine.c.
int machine_node(const char *interface)
{
	return node_cores[0] ? interface_node[atoi(interface)] : -1;
}
bool machine_node_cores(int node, cpu_set_t *ret_set)
{
	return node >= 0 && node_cores[node] && core_list_parse(node_cores[node], ret_set) == 0;
}
uint64_t machine_link_mbit(const char *interface)
{
	return 0;
}
void machine_prefer(int node)
{
}

static void lists(void **state)
{
	static const struct {
		const char *text, *again;
	} rows[] = {
	        {"0", "0"},
	        {"2-5,8", "2-5,8"},
	        {"8,2,3,4-5", "2-5,8"},
	        {"7-7", "7"},
	        {"0-1023", "0-1023"},
	        {"1,1,1", "1"},
	};
	static const char *const bad[] = {"", ",", "1,", ",1", "1,,2", "3-2", "-1", "1-", "a", "1 ", " 1", "1024",
	        "0-1024", "99999999999", "1-2-3", "0x1"};
	cpu_set_t set;
	char text[64];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(core_list_parse(rows[i].text, &set), 0);
		core_list_text(&set, text, sizeof(text));
		assert_string_equal(text, rows[i].again);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(core_list_parse(bad[i], &set), -EINVAL);
	assert_int_equal(core_list_parse("1,3,5,7,9", &set), 0);
	core_list_text(&set, text, 6); // whole numbers only
	assert_string_equal(text, "1,3,5");
}

struct machine {
	const char *what, *allowed, *node0, *node1;
	int near[2]; // the interfaces' nodes
	unsigned interfaces, threads;
	const char *rx_cores, *seal_cores;
	unsigned sealers; // asked for; 0: automatic
	const char *text; // expected; CORES_ALL_SOURCES
};

static const struct machine machines[] = {
        {"one core", "0", NULL, NULL, {0}, 1, 1, NULL, NULL, 0, "rx0 (0) on any core of 0, sealer0 on any core of 0"},
        {"two cores: nobody is kept off anything", "0-1", NULL, NULL, {0}, 1, 1, NULL, NULL, 0,
                "rx0 (0) on any core of 0-1, sealer0 on any core of 0-1"},
        {"three", "0-2", NULL, NULL, {0}, 1, 2, NULL, NULL, 0,
                "rx0-1 (0) on any core of 0-2, sealer0-1 on any core of 0-2"},
        {"four: one is kept free for receiving", "0-3", NULL, NULL, {0}, 1, 1, NULL, NULL, 0,
                "rx0 (0) on any core of 0-3, sealer0-2 on cores 0-2"},
        {"many queues do not take the sealers' cores", "0-7", NULL, NULL, {0}, 1, 8, NULL, NULL, 0,
                "rx0-7 (0) on any core of 0-7, sealer0-6 on cores 0-6"},
        {"a mask with holes", "1,3,5,7,9", NULL, NULL, {0}, 1, 1, NULL, NULL, 0,
                "rx0 (0) on any core of 1,3,5,7,9, sealer0-3 on cores 1,3,5,7"},
        {"thirty-two: a core for each of four queues", "0-31", NULL, NULL, {0}, 1, 4, NULL, NULL, 0,
                "rx0-3 (0) on any core of 0-31, sealer0-27 on cores 0-27"},
        {"two nodes: receiving stays near the card", "0-7", "0-3", "4-7", {0}, 1, 1, NULL, NULL, 0,
                "rx0 (0) on cores 0-3, sealer0-6 on cores 0-2,4-7"},
        {"two cards on two nodes", "0-31", "0-15", "16-31", {0, 1}, 2, 1, NULL, NULL, 0,
                "rx0 (0) on cores 0-15, rx1 (1) on cores 16-31, sealer0-29 on cores 0-14,16-30"},
        {"the card's node has no core for us", "0-3", "8-11", "0-3", {0}, 1, 1, NULL, NULL, 0,
                "rx0 (0) on any core of 0-3, sealer0-2 on cores 0-2"},
        {"both lists", "0-7", NULL, NULL, {0}, 1, 2, "2-3", "4-7", 0,
                "rx0 (0) on core 2, rx1 (0) on core 3, sealer0 on core 4, sealer1 on core 5, sealer2 on core 6, "
                "sealer3 on core 7"},
        {"a list for receiving: sealers have the rest", "0-7", NULL, NULL, {0}, 1, 2, "2-3", NULL, 0,
                "rx0 (0) on core 2, rx1 (0) on core 3, sealer0-5 on cores 0-1,4-7"},
        {"a list for sealers: receiving has the rest", "0-7", NULL, NULL, {0}, 1, 1, NULL, "5-7", 0,
                "rx0 (0) on cores 0-4, sealer0 on core 5, sealer1 on core 6, sealer2 on core 7"},
        {"more threads than cores begin anew", "0-7", NULL, NULL, {0}, 1, 3, "6,7", "1", 2,
                "rx0 (0) on core 6, rx1 (0) on core 7, rx2 (0) on core 6, sealer0-1 on core 1"},
        {"all cores for receiving: sealers anywhere", "0-1", NULL, NULL, {0}, 1, 2, "0-1", NULL, 0,
                "rx0 (0) on core 0, rx1 (0) on core 1, sealer0 on any core of 0-1"},
        {"of a list the near core first", "0-7", "0-3", "4-7", {1, 0}, 2, 1, "2,6", "0", 0,
                "rx0 (0) on core 6, rx1 (1) on core 2, sealer0 on core 0"},
        {"as many sealers as were asked for", "0-7", NULL, NULL, {0}, 1, 1, NULL, NULL, 3,
                "rx0 (0) on any core of 0-7, sealer0-2 on cores 0-6"},
        {"no more than 64 by themselves", "0-127", NULL, NULL, {0}, 1, 1, NULL, NULL, 0,
                "rx0 (0) on any core of 0-127, sealer0-63 on cores 0-126"},
};

static void places(void **state)
{
	static struct rx rx[RX_MAX];
	static struct sealer sealer[SEALERS_ALL];
	static uint32_t job_source[RX_MAX];

	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		const struct machine *m = &machines[i];
		struct job *job = job_new(m->interfaces);
		struct recorder r = {.job = job, .rx = rx, .sealer = sealer, .job_source = job_source};
		char text[4096];

		assert_non_null(job);
		allowed = m->allowed;
		node_cores[0] = m->node0;
		node_cores[1] = m->node1;
		memcpy(interface_node, m->near, sizeof(interface_node));
		memset(rx, 0, sizeof(rx));
		memset(sealer, 0, sizeof(sealer));
		job->kind = JOB_CAPTURE;
		job->sealers = m->sealers;
		if (m->rx_cores)
			assert_int_equal(core_list_parse(m->rx_cores, &job->rx_cores), 0);
		if (m->seal_cores)
			assert_int_equal(core_list_parse(m->seal_cores, &job->seal_cores), 0);
		for (unsigned k = 0; k < m->interfaces; k++)
			snprintf(job->source[k].name, sizeof(job->source[k].name), "%u", k);
		r.rx_count = m->interfaces * m->threads;
		for (unsigned k = 0; k < r.rx_count; k++) {
			rx[k].first_source = k;
			job_source[k] = k / m->threads;
		}
		r.sealer_count = cores_sealers(&r);
		cores_plan(&r);
		cores_text(&r, CORES_ALL_SOURCES, text, sizeof(text));
		if (strcmp(text, m->text) != 0)
			fail_msg("%s:\nexpected %s\nactual   %s", m->what, m->text, text);
		free(job);
	}
}

// A buffer of any size holds a text that ends, without a byte written behind it.
static void short_texts(void **state)
{
	cpu_set_t set;
	struct rx rx[2] = {{.first_source = 0}, {.first_source = 1}};
	struct sealer sealer[1] = {0};
	uint32_t job_source[2] = {0, 1};
	struct job *job = job_new(2);
	struct recorder r = {
	        .job = job, .rx = rx, .rx_count = 2, .sealer = sealer, .sealer_count = 1, .job_source = job_source};

	assert_int_equal(core_list_parse("1,3,5,7,9", &set), 0);
	rx[0].placement = rx[1].placement = sealer[0].placement = (struct placement){true, set};
	for (size_t size = 1; size < 120; size++) {
		char text[128];

		memset(text, 'x', sizeof(text));
		cores_text(&r, CORES_ALL_SOURCES, text, size);
		assert_non_null(memchr(text, '\0', size));
		assert_int_equal(text[size], 'x');
	}
	free(job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(lists),
	        cmocka_unit_test(places),
	        cmocka_unit_test(short_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
