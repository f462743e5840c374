// SPDX-License-Identifier: Apache-2.0
#include "analyzers/decode.h"

#include <string.h>

#include "analyzers/decode_state.h"

bool decode_take(struct decode_state *s, size_t len, struct cursor *ret_header)
{
	const uint8_t *at;

	if (++s->headers > DECODE_HEADERS_MAX)
		return false;
	at = cursor_bytes(&s->at, len);
	if (!at)
		return false;
	s->wire_left = s->wire_left > len ? s->wire_left - (uint32_t)len : 0;
	*ret_header = cursor_over(at, len, true);
	return true;
}

unsigned decode_peek_nibble(const struct decode_state *s)
{
	return cursor_left(&s->at) > 0 ? *s->at.at >> 4 : 0;
}

// From one header to the next. Ends: every step takes at least one counted header or is the last.
static enum decode_step run(struct decode_state *s, enum decode_step step, uint16_t ethertype)
{
	while (step >= STEP_ETHERTYPE) {
		switch (step) {
		case STEP_ETHERNET:
			step = decode_ethernet(s, &ethertype);
			break;
		case STEP_ETHERTYPE:
			step = decode_ethertype(s, &ethertype);
			break;
		case STEP_PPP:
			step = decode_ppp(s, &ethertype);
			break;
		default:
			step = decode_ip(s, &ethertype);
		}
	}
	return step;
}

void decode_packet(
        uint32_t linktype, const uint8_t *data, uint32_t caplen, uint32_t origlen, struct decoded *ret_decoded)
{
	struct decode_state s = {.out = ret_decoded,
	        .at = cursor_over(data, caplen, true),
	        .wire_left = origlen > caplen ? origlen : caplen};
	uint16_t ethertype = 0;
	enum decode_step step;

	ret_decoded->count = 0;
	ret_decoded->inner_malformed = false;
	s.level_bytes = s.wire_left;
	step = decode_link(&s, linktype, &ethertype);
	if (step == STEP_NOT_IP && ethertype == UINT16_MAX) {
		ret_decoded->end = DECODE_LINK_UNKNOWN;
		return;
	}
	step = run(&s, step, ethertype);
	if (ret_decoded->count > 0) {
		ret_decoded->end = DECODE_IP;
		ret_decoded->inner_malformed = step == STEP_MALFORMED;
	} else {
		ret_decoded->end = step == STEP_MALFORMED ? DECODE_MALFORMED : DECODE_NOT_IP;
	}
}
