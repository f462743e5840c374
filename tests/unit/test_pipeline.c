// SPDX-License-Identifier: Apache-2.0
// The real recorder's threads in the world of pipeline_world.h, with pools so small that blocks, result slots and
// segments run out all the time. Also: a disk that fills up, a disk that does not sync, a keeper that goes away. No
// privileges.
#include <poll.h>
#include <unistd.h>

#include "sensor/evidence/digest.h"
#include "tests/unit/pipeline_world.h"

// After a test that failed too.
static int teardown(void **state)
{
	atomic_store(&disks.fallocates_left, 0);
	atomic_store(&disks.syncs_left, 0);
	atomic_store(&disks.only_second, false);
	atomic_store(&disks.second_stands, false);
	clean();
	return 0;
}

static void every_packet_is_there_in_order(void **state)
{
	static const struct shape shapes[] = {
	        {1, 1, 1, 4, 1u << 20, 10},
	        {1, 1, 2, 4, 1u << 18, 10},
	        {1, 1, 4, 4, 1u << 30, 1000},
	        {1, 2, 3, 8, 1u << 20, 10},
	        {3, 1, 4, 12, 1u << 19, 50},
	        {2, 2, 1, 8, 1u << 20, 20},
	        {2, 1, 1, 4, 1u << 18, 10, .disks = 2},
	        {4, 1, 3, 16, 1u << 19, 10, .disks = 3},
	        {3, 2, 2, 24, 1u << 20, 10, .disks = 2},
	};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		uint64_t lanes = shapes[i].interfaces * shapes[i].queues * (shapes[i].disks ? 1 : LANES_EACH);
		int stop;

		plan = (struct memory_plan){.packets = 3000};
		assert_int_equal(run(&shapes[i], 0, NULL, &stop), 0);
		assert_null(told.wrong);
		assert_int_equal(stop, STOP_NONE);
		assert_int_equal(told.lane_count, lanes);
		assert_int_equal(read_back(false), lanes * plan.packets);
		for (uint32_t id = 0; id < lanes; id++)
			assert_int_equal(told_end(id)->received, plan.packets);
		clean();
	}
}

// A live source does not wait: what met an empty pool is counted, and the rest is in order.
static void a_live_source_loses_and_counts(void **state)
{
	const struct shape shape = {2, 1, 2, 4, 1u << 20, 10};
	uint64_t received = 0, pool = 0;
	int stop;

	plan = (struct memory_plan){.packets = 20000, .live = true};
	assert_int_equal(run(&shape, 0, NULL, &stop), 0);
	assert_null(told.wrong);
	for (uint32_t id = 0; id < told.lane_count; id++) {
		received += told_end(id)->received;
		pool += told.lane[id].losses[DROP_POOL];
	}
	assert_int_equal(received, 2 * LANES_EACH * plan.packets);
	assert_true(pool > 0);
	assert_int_equal(read_back(true), received - pool);
	clean();
}

static void a_stop_keeps_all_that_was_received(void **state)
{
	const struct shape shape = {1, 2, 2, 8, 1u << 20, 10};
	uint64_t stop_at = 5000;
	int stop;

	plan = (struct memory_plan){0};
	assert_int_equal(run(&shape, 0, &stop_at, &stop), 0);
	assert_int_equal(stop, STOP_SIGNAL);
	assert_null(told.wrong);
	assert_true(read_back(false) >= stop_at);
	clean();
}

// Whichever allocation is the first to fail: all that began is sealed, no hole, the loss is counted and stated.
static void a_full_disk_ends_every_segment(void **state)
{
	static const struct shape shapes[] = {{1, 1, 2, 64, 1u << 18, 10}, {2, 1, 3, 12, 1u << 30, 10},
	        {1, 2, 4, 16, 1u << 20, 10}, {2, 1, 1, 4, 1u << 18, 10}};

	for (long nth = 2; nth < 22; nth++) {
		uint64_t disk = 0;
		int stop;

		plan = (struct memory_plan){0};
		atomic_store(&disks.fallocates_left, nth);
		assert_int_equal(run(&shapes[nth % 4], 0, NULL, &stop), 0);
		atomic_store(&disks.fallocates_left, 0);
		assert_int_equal(stop, STOP_DISK_FULL);
		assert_null(told.wrong);
		assert_string_equal(told.incident, "disk-full");
		assert_int_equal(told.incidents, 1);
		read_back(false);
		for (uint32_t id = 0; id < told.lane_count; id++)
			disk += told.lane[id].losses[DROP_DISK];
		assert_true(disk > 0);
		clean();
	}
}

// Under a retention policy the segment sealed first goes, and no packet is lost.
static void a_full_disk_makes_room_under_a_policy(void **state)
{
	static const struct shape shapes[] = {{1, 1, 2, 64, 1u << 18, 10, true}, {2, 1, 3, 24, 1u << 19, 10, true},
	        {1, 2, 1, 16, 1u << 18, 10, true}};

	for (long nth = 10; nth < 19; nth++) {
		uint64_t recorded = 0;
		int stop;

		plan = (struct memory_plan){.packets = 10000};
		atomic_store(&disks.fallocates_left, nth);
		assert_int_equal(run(&shapes[nth % 3], 0, NULL, &stop), 0);
		atomic_store(&disks.fallocates_left, 0);
		assert_int_not_equal(stop, STOP_DISK_FULL);
		assert_null(told.wrong);
		assert_int_equal(told.incidents, 0);
		assert_true(told.retired > 2 && told.sealed > told.retired);
		for (uint32_t id = 0; id < told.lane_count; id++) {
			assert_int_equal(told.lane[id].losses[DROP_DISK], 0);
			recorded += told_end(id)->recorded;
		}
		assert_int_equal(recorded, told.lane_count * plan.packets);
		clean();
	}
}

// What could not be synced is not claimed, nothing hangs, and the reason is told once.
static void a_disk_that_does_not_sync_ends_the_run(void **state)
{
	static const struct shape shapes[] = {{1, 1, 2, 64, 1u << 18, 10}, {2, 1, 3, 12, 1u << 20, 10}};

	for (long nth = 1; nth < 9; nth++) {
		int stop;

		plan = (struct memory_plan){0};
		atomic_store(&disks.syncs_left, nth);
		assert_int_equal(run(&shapes[nth % 2], 0, NULL, &stop), 0);
		atomic_store(&disks.syncs_left, 0);
		assert_int_equal(stop, STOP_DISK_ERROR);
		assert_null(told.wrong);
		assert_string_equal(told.incident, "disk-error");
		assert_int_equal(told.incidents, 1);
		for (uint32_t id = 0; id < told.lane_count; id++)
			read_lane_back(id, false);
		clean();
	}
}

// Its lanes lose what comes from then on, and everything is sealed; the others lose nothing.
static void a_full_disk_is_in_the_way_of_its_lanes_only(void **state)
{
	static const struct shape shapes[] = {
	        {2, 1, 1, 8, 1u << 18, 10, .disks = 2}, {4, 1, 2, 16, 1u << 20, 10, .disks = 2}};

	for (long nth = 2; nth < 12; nth++) {
		int stop;

		plan = (struct memory_plan){.packets = 16000};
		atomic_store(&disks.only_second, true);
		atomic_store(&disks.fallocates_left, nth);
		assert_int_equal(run(&shapes[nth % 2], 0, NULL, &stop), 0);
		atomic_store(&disks.fallocates_left, 0);
		assert_int_equal(stop, STOP_NONE);
		assert_null(told.wrong);
		assert_string_equal(told.incident, "disk-full");
		assert_int_equal(told.incidents, 1);
		read_back(false);
		for (uint32_t id = 0; id < told.lane_count; id++) {
			assert_int_equal(told_end(id)->received, plan.packets);
			if (id % 2 == 0)
				assert_int_equal(told_end(id)->recorded, plan.packets);
		}
		assert_true(told_end(1)->dropped[DROP_DISK] > 0);
		clean();
	}
}

static void a_disk_that_does_not_sync_is_in_the_way_of_its_lanes_only(void **state)
{
	static const struct shape shape = {4, 1, 2, 16, 1u << 18, 10, .disks = 2};

	for (long nth = 1; nth < 6; nth++) {
		int stop;

		plan = (struct memory_plan){.packets = 4000};
		atomic_store(&disks.only_second, true);
		atomic_store(&disks.syncs_left, nth);
		assert_int_equal(run(&shape, 0, NULL, &stop), 0);
		atomic_store(&disks.syncs_left, 0);
		assert_int_equal(stop, STOP_NONE);
		assert_null(told.wrong);
		assert_string_equal(told.incident, "disk-error");
		assert_int_equal(told.incidents, 1);
		for (uint32_t id = 0; id < told.lane_count; id += 2) {
			assert_int_equal(told.lane[id].sealed, told.lane[id].begun);
			assert_int_equal(told_end(id)->recorded, plan.packets);
		}
		clean();
	}
}

// It stands until the other lanes are through: they wait neither for its syncs nor, at the one sealer, for a segment of
// its lanes to begin.
static void release_second(struct recorder *r, void *context)
{
	struct wire_lane lane;
	bool through = true;

	for (uint32_t i = 0; i < 4; i += 2)
		through = through && writer_lane(place_of(r, i)->writer, i, &lane) &&
		          lane.counters.recorded == plan.packets;
	if (through)
		atomic_store(&disks.second_stands, false);
	poll(NULL, 0, 1);
}

static void a_disk_that_stands_still_is_in_the_way_of_its_lanes_only(void **state)
{
	static const struct shape shape = {4, 1, 1, 64, 1u << 18, 10, .disks = 2, .tick = release_second};
	int stop;

	plan = (struct memory_plan){.packets = 20000};
	atomic_store(&disks.only_second, true);
	atomic_store(&disks.second_stands, true);
	assert_int_equal(run(&shape, 0, NULL, &stop), 0);
	assert_int_equal(stop, STOP_NONE);
	assert_null(told.wrong);
	assert_int_equal(read_back(false), 4 * plan.packets);
	clean();
}

static void a_keeper_that_goes_away_ends_the_run(void **state)
{
	static const struct shape shapes[] = {{1, 1, 2, 4, 1u << 18, 10}, {3, 1, 4, 12, 1u << 20, 10}};

	for (unsigned after = 1; after < 40; after += 3) {
		int stop;

		plan = (struct memory_plan){0};
		assert_true(run(&shapes[after % 2], after, NULL, &stop) < 0);
		assert_int_equal(stop, STOP_FAILED);
		assert_null(told.wrong);
		clean();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_teardown(every_packet_is_there_in_order, teardown),
	        cmocka_unit_test_teardown(a_live_source_loses_and_counts, teardown),
	        cmocka_unit_test_teardown(a_stop_keeps_all_that_was_received, teardown),
	        cmocka_unit_test_teardown(a_full_disk_ends_every_segment, teardown),
	        cmocka_unit_test_teardown(a_full_disk_makes_room_under_a_policy, teardown),
	        cmocka_unit_test_teardown(a_disk_that_does_not_sync_ends_the_run, teardown),
	        cmocka_unit_test_teardown(a_full_disk_is_in_the_way_of_its_lanes_only, teardown),
	        cmocka_unit_test_teardown(a_disk_that_does_not_sync_is_in_the_way_of_its_lanes_only, teardown),
	        cmocka_unit_test_teardown(a_disk_that_stands_still_is_in_the_way_of_its_lanes_only, teardown),
	        cmocka_unit_test_teardown(a_keeper_that_goes_away_ends_the_run, teardown),
	};

	alarm(280); // a hang is a failure
	return digest_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
