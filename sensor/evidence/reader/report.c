// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/reader/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/evidence/digest.h"
#include "sensor/evidence/ledger_line.h"

#define TEXT_SAFE_MAX 400

struct verify_report *report_new(void)
{
	return calloc(1, sizeof(struct verify_report));
}

void verify_report_free(struct verify_report *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->finding_count; i++) {
		free(r->findings[i].where);
		free(r->findings[i].expected);
		free(r->findings[i].actual);
	}
	for (size_t i = 0; i < r->source_count; i++) {
		free(r->sources[i].kind);
		free(r->sources[i].name);
	}
	for (size_t i = 0; i < r->input_count; i++) {
		free(r->inputs[i].path);
		free(r->inputs[i].note);
	}
	free(r->findings);
	free(r->sources);
	free(r->inputs);
	free(r->sensor);
	free(r->authority_kind);
	free(r->authority_reference);
	free(r->authority_operator);
	free(r->mode);
	free(r->build);
	free(r->close_reason);
	free(r->filter);
	free(r->cutoff_apps);
	free(r);
}

// Length of a UTF-8 sequence that may stand on a terminal as it is: 0 for what is malformed, and for controls, marks
// that change the direction of writing, and invisible characters.
static size_t printable_sequence(const unsigned char *at, size_t len)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t need = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf5 ? 4 : 0;
	uint32_t code;

	if (need == 1)
		return at[0] >= 0x20 && at[0] <= 0x7e;
	if (need == 0 || need > len)
		return 0;
	code = at[0] & (0x7fu >> need);
	for (size_t i = 1; i < need; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (at[i] & 0x3f);
	}
	if (code < least[need] || code < 0xa1 || code == 0xad || code == 0xfeff || code > 0xdffff)
		return 0;
	if ((code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
	        (code >= 0x2060 && code <= 0x206f) || (code >= 0xd800 && code <= 0xf8ff) ||
	        (code >= 0xfff0 && code <= 0xfffb))
		return 0;
	return need;
}

char *text_safe(const char *text)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = strlen(text), out = 0;
	char *copy = malloc(TEXT_SAFE_MAX + 8);

	if (!copy)
		return NULL;
	for (size_t i = 0; i < len;) {
		size_t n = printable_sequence((const unsigned char *)text + i, len - i);

		if (out >= TEXT_SAFE_MAX - 4) {
			memcpy(copy + out, "...", 3);
			out += 3;
			break;
		}
		if (n > 0) {
			memcpy(copy + out, text + i, n);
			out += n;
			i += n;
		} else {
			unsigned char c = (unsigned char)text[i++];

			copy[out++] = '\\';
			copy[out++] = 'x';
			copy[out++] = digits[c >> 4];
			copy[out++] = digits[c & 15];
		}
	}
	copy[out] = '\0';
	return copy;
}

void report_add(struct verify_report *r, enum verdict v, const char *code, const char *where, const char *expected,
        const char *actual)
{
	struct finding *f;

	r->by_verdict[v]++;
	r->finding_total++;
	if (r->finding_count == FINDINGS_KEPT_MAX)
		return;
	f = realloc(r->findings, (r->finding_count + 1) * sizeof(*f));
	if (!f)
		return;
	r->findings = f;
	f += r->finding_count;
	*f = (struct finding){
	        .verdict = v, .where = text_safe(where), .expected = text_safe(expected), .actual = text_safe(actual)};
	snprintf(f->code, sizeof(f->code), "%s", code);
	if (!f->where || !f->expected || !f->actual) {
		free(f->where);
		free(f->expected);
		free(f->actual);
		return;
	}
	r->finding_count++;
}

static bool same_finding(const struct finding *a, const struct finding *b)
{
	return strcmp(a->code, b->code) == 0 && strcmp(a->where, b->where) == 0 && strcmp(a->actual, b->actual) == 0;
}

void report_join(struct verify_report *r, const struct verify_report *from)
{
	for (size_t i = 0; i < from->finding_count; i++) {
		const struct finding *f = &from->findings[i];
		bool known = false;

		for (size_t k = 0; k < r->finding_count && !known; k++)
			known = same_finding(&r->findings[k], f);
		if (!known)
			report_add(r, f->verdict, f->code, f->where, f->expected, f->actual);
	}
}

const char *note(struct note *n, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(n->text, sizeof(n->text), format, args);
	va_end(args);
	return n->text;
}

const char *note_hex(struct note *n, const uint8_t *bytes, size_t len)
{
	hex_encode(bytes, len, n->text);
	return n->text;
}

const char *note_time(struct note *n, uint64_t ns)
{
	time_print(ns, n->text);
	return n->text;
}

enum verdict verify_report_verdict(const struct verify_report *r)
{
	if (r->by_verdict[VERDICT_INVALID] > 0)
		return VERDICT_INVALID;
	if (r->by_verdict[VERDICT_UNREADABLE] > 0)
		return VERDICT_UNREADABLE;
	// Success is what was proven, not the absence of findings.
	if (r->by_verdict[VERDICT_INCOMPLETE] > 0 || !r->closed || !r->signatures_hold ||
	        r->authenticated != AUTHENTICATED_YES)
		return VERDICT_INCOMPLETE;
	return VERDICT_VALID;
}

const char *verdict_word(enum verdict v)
{
	switch (v) {
	case VERDICT_VALID:
		return "valid";
	case VERDICT_INVALID:
		return "invalid";
	case VERDICT_INCOMPLETE:
		return "incomplete";
	case VERDICT_UNREADABLE:
		break;
	}
	return "not-verified";
}

const char *authenticated_word(enum authenticated a)
{
	return a == AUTHENTICATED_YES ? "yes" : a == AUTHENTICATED_SELF ? "self" : "no";
}

const char *complete_word(enum complete c)
{
	return c == COMPLETE_YES ? "yes" : c == COMPLETE_NO ? "no" : "unknown";
}

enum verdict errno_verdict(int r)
{
	switch (-r) {
	case ENOENT:
	case ELOOP:
	case EXDEV:
	case ENOTDIR:
	case EISDIR:
	case EMEDIUMTYPE:
	case EFBIG:
		return VERDICT_INVALID;
	default:
		return VERDICT_UNREADABLE;
	}
}

void report_errno(struct verify_report *report, const char *where, int r)
{
	if (r == -ENOENT)
		report_add(report, VERDICT_INVALID, "missing-file", where, "a regular file", "nothing of this name");
	else if (r == -EFBIG)
		report_add(report, VERDICT_INVALID, "file-too-long", where, "a small file",
		        "more bytes than any such file has");
	else if (errno_verdict(r) == VERDICT_INVALID)
		report_add(report, VERDICT_INVALID, "not-a-regular-file", where,
		        "a regular file, reached without links", "a link or another kind of file");
	else
		report_add(report, VERDICT_UNREADABLE, "unreadable", where, "a readable file", strerror(-r));
}
