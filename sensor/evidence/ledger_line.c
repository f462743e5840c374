// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/ledger_line.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/evidence/digest.h"

#define PRINT_FLAGS (JSON_COMPACT | JSON_ENSURE_ASCII)

char *ledger_line_print(const json_t *object, size_t max, size_t *ret_len)
{
	size_t len = json_dumpb(object, NULL, 0, PRINT_FLAGS);
	char *line;

	if (len < LEDGER_LINE_MIN || len > max)
		return NULL;
	line = malloc(len + 2);
	if (!line)
		return NULL;
	json_dumpb(object, line, len, PRINT_FLAGS);
	line[len] = '\n';
	line[len + 1] = '\0';
	*ret_len = len + 1;
	return line;
}

int ledger_line_parse(const char *line, size_t len, size_t max, json_t **ret_object)
{
	json_t *object;
	char *again;
	size_t again_len;
	int same;

	if (len < LEDGER_LINE_MIN || len > max)
		return -EBADMSG;
	for (size_t i = 0; i < len; i++)
		if (line[i] < 0x20 || line[i] > 0x7e)
			return -EBADMSG;
	object = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	if (!object)
		return -EBADMSG;
	if (!json_is_object(object)) {
		json_decref(object);
		return -EBADMSG;
	}
	again = ledger_line_print(object, max, &again_len);
	same = again && again_len == len + 1 && memcmp(again, line, len) == 0;
	free(again);
	if (!same) {
		json_decref(object);
		return -EBADMSG;
	}
	*ret_object = object;
	return 0;
}

void time_print(uint64_t ns, char out[TIME_TEXT_MAX])
{
	snprintf(out, TIME_TEXT_MAX, "%" PRIu64 ".%09" PRIu64, ns / 1000000000, ns % 1000000000);
}

int u64_parse(const char *text, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
		return -EBADMSG;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EBADMSG;
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *text - '0', &value))
			return -EBADMSG;
	}
	*ret_value = value;
	return 0;
}

int time_parse(const char *text, uint64_t *ret_ns)
{
	char sec_text[12];
	const char *dot = strchr(text, '.');
	uint64_t sec, ns = 0;

	if (!dot || dot - text >= (int)sizeof(sec_text) || strlen(dot) != 10)
		return -EBADMSG;
	memcpy(sec_text, text, (size_t)(dot - text));
	sec_text[dot - text] = '\0';
	if (u64_parse(sec_text, &sec) < 0)
		return -EBADMSG;
	for (const char *digit = dot + 1; *digit; digit++) {
		if (*digit < '0' || *digit > '9')
			return -EBADMSG;
		ns = ns * 10 + (uint64_t)(*digit - '0');
	}
	if (__builtin_mul_overflow(sec, 1000000000ULL, &sec) || __builtin_add_overflow(sec, ns, ret_ns))
		return -EBADMSG;
	return 0;
}

// Length of the UTF-8 sequence at bytes, 0 when there is none (RFC 3629: no overlong forms, no surrogates).
static size_t utf8_sequence(const unsigned char *bytes, size_t len)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t need;
	uint32_t code;

	if (bytes[0] < 0x80)
		return bytes[0] != 0 && bytes[0] != 0x7f;
	if (bytes[0] >= 0xc2 && bytes[0] <= 0xdf)
		need = 2, code = bytes[0] & 0x1f;
	else if (bytes[0] >= 0xe0 && bytes[0] <= 0xef)
		need = 3, code = bytes[0] & 0x0f;
	else if (bytes[0] >= 0xf0 && bytes[0] <= 0xf4)
		need = 4, code = bytes[0] & 0x07;
	else
		return 0;
	if (need > len)
		return 0;
	for (size_t i = 1; i < need; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (bytes[i] & 0x3f);
	}
	if (code < least[need] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return need;
}

json_t *json_text(const char *bytes, size_t len)
{
	static const char replacement[] = "\xef\xbf\xbd";
	char *clean = malloc(3 * len + 1);
	size_t out = 0;
	json_t *text;

	if (!clean)
		return NULL;
	for (size_t i = 0; i < len;) {
		size_t n = utf8_sequence((const unsigned char *)bytes + i, len - i);

		if (n == 0) {
			memcpy(clean + out, replacement, 3);
			out += 3;
			i++;
		} else {
			memcpy(clean + out, bytes + i, n);
			out += n;
			i += n;
		}
	}
	text = json_stringn(clean, out);
	free(clean);
	return text;
}

bool text_plain(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t len = strlen(text);
	bool more = false;

	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_sequence(at + i, len - i);
		if (n == 0 || at[i] < 0x20 || (at[i] == 0xc2 && at[i + 1] < 0xa0))
			return false;
		more |= at[i] != ' ';
	}
	return more;
}

json_t *json_hex(const uint8_t *bytes, size_t len)
{
	char text[HEX_LEN(ED25519_SIG_LEN)];

	if (len > ED25519_SIG_LEN)
		return NULL;
	hex_encode(bytes, len, text);
	return json_string(text);
}

json_t *json_u64(uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return json_string(text);
}

json_t *json_time(uint64_t ns)
{
	char text[TIME_TEXT_MAX];

	time_print(ns, text);
	return json_string(text);
}

json_t *json_counters(const struct counters *c)
{
	json_t *dropped = json_object();
	json_t *driver = json_object();
	json_t *all;

	for (int i = 0; i < DROP_CAUSES; i++)
		json_object_set_new(dropped, drop_cause_names[i], json_u64(c->dropped[i]));
	if (c->driver_mask & COUNTERS_DRIVER_RECEIVED)
		json_object_set_new(driver, "received", json_u64(c->driver_received));
	if (c->driver_mask & COUNTERS_DRIVER_DROPPED)
		json_object_set_new(driver, "dropped", json_u64(c->driver_dropped));
	all = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "received", json_u64(c->received), "recorded",
	        json_u64(c->recorded), "filtered", json_u64(c->filtered), "out_of_scope", json_u64(c->out_of_scope),
	        "shunted", json_u64(c->shunted), "dropped", dropped, "driver", driver);
	if (all && (c->driver_mask & COUNTERS_NIC)) {
		json_t *nic = json_object();

		for (int i = 0; i < NIC_COUNTERS; i++)
			json_object_set_new(nic, nic_counter_names[i], json_u64(c->nic[i]));
		json_object_set_new(all, "nic", nic);
	}
	if (all && (c->driver_mask & COUNTERS_XDP)) {
		json_t *xdp = json_object();

		for (int i = 0; i < XSK_COUNTERS; i++)
			json_object_set_new(xdp, xsk_counter_names[i], json_u64(c->xsk[i]));
		json_object_set_new(all, "xdp", xdp);
	}
	return all;
}
