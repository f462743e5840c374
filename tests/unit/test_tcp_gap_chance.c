// SPDX-License-Identifier: Apache-2.0
// Payload that was acknowledged and not seen, in connections made by chance, whose loss a map with a bit for every byte
// tells.
#include <stdlib.h>
#include <string.h>

#include "tests/unit/tcp_talk.h"

#define BYTES 40000u

struct map {
	uint8_t seen[BYTES];
	uint32_t acked;
};

static void count(const struct map *m, uint64_t *ret_missed, uint32_t *ret_gaps)
{
	*ret_missed = *ret_gaps = 0;
	for (uint32_t i = 0; i < m->acked; i++) {
		*ret_missed += !m->seen[i];
		*ret_gaps += !m->seen[i] && (i == 0 || m->seen[i - 1]);
	}
}

static uint32_t chance(uint32_t below)
{
	return (uint32_t)random() % below;
}

// A transfer of which some segments are not seen, some twice, some late, cut otherwise when they come again; so are
// acknowledgements.
static void transfer(struct map *m)
{
	struct talk t = talk_new((uint32_t)random() * 2u);
	const uint32_t loss = chance(12), disorder = chance(6);
	uint64_t missed;
	uint32_t at = 0, gaps;

	memset(m, 0, sizeof(*m));
	open_it(&t);
	while (at < BYTES) {
		uint32_t len = 1 + chance(1400), from = at;

		len = len < BYTES - at ? len : BYTES - at;
		at += len;
		if (chance(20) < disorder) { // something older
			from = chance(at);
			len = 1 + chance(at - from);
			len = len < 3000 ? len : 3000;
		}
		if (chance(40) >= loss) {
			memset(m->seen + from, 1, len);
			S(ACK, from, len, 0);
		}
		if (chance(3) == 0) {
			const uint32_t ack = at < 3000 ? 0 : at - chance(3000);

			m->acked = ack > m->acked ? ack : m->acked;
			C(ACK, 0, 0, ack);
		}
	}
	S(ACK | FIN, BYTES, 0, 0);
	m->acked = BYTES;
	C(ACK, 0, 0, BYTES + 1);
	count(m, &missed, &gaps);
	expect(&t, missed, BYTES, gaps);
	// All of it once more: nothing is missing.
	for (at = 0; at < BYTES; at += 1000)
		S(ACK, at, 1000, 0);
	expect(&t, 0, BYTES, 0);
	talk_free(&t);
}

static void by_chance(void **state)
{
	struct map *m = malloc(sizeof(*m));

	assert_non_null(m);
	srandom(7);
	for (unsigned i = 0; i < 2000; i++)
		transfer(m);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(by_chance)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
