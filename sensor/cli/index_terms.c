// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/index_terms.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzers/packet_keys.h"

#define WORDS_MAX 64u
#define WORD_MAX 63u

struct words {
	char word[WORDS_MAX][WORD_MAX + 1];
	unsigned count, at;
};

struct ends {
	uint8_t ip_version[2];
	uint8_t host[2][FLOW_ADDR_LEN];
	uint16_t port[2];
	unsigned hosts, ports;
};

// False when there is a word that does not fit. Signs that are not part of names and numbers stay in their words, which
// then are none that is known.
static bool split(const char *text, struct words *w)
{
	*w = (struct words){.count = 0};
	for (;;) {
		size_t len;

		text += strspn(text, " \t\n");
		len = strcspn(text, " \t\n");
		if (len == 0)
			return true;
		if (len > WORD_MAX || w->count == WORDS_MAX)
			return false;
		memcpy(w->word[w->count], text, len);
		w->word[w->count++][len] = '\0';
		text += len;
	}
}

static bool take(struct words *w, const char *word)
{
	if (w->at == w->count || strcmp(w->word[w->at], word) != 0)
		return false;
	w->at++;
	return true;
}

static bool take_any(struct words *w, const char *const *list)
{
	for (; *list; list++)
		if (take(w, *list))
			return true;
	return false;
}

static bool take_host(struct words *w, struct ends *ends)
{
	uint8_t addr[FLOW_ADDR_LEN] = {0};
	const char *word = w->at < w->count ? w->word[w->at] : "";
	uint8_t version;

	if (inet_pton(AF_INET, word, addr) == 1)
		version = 4;
	else if (inet_pton(AF_INET6, word, addr) == 1)
		version = 6;
	else
		return false; // a name, which can be several addresses
	w->at++;
	if (ends->hosts < 2) {
		memcpy(ends->host[ends->hosts], addr, sizeof(addr));
		ends->ip_version[ends->hosts] = version;
	}
	ends->hosts++;
	return true;
}

static bool take_port(struct words *w, struct ends *ends)
{
	const char *word = w->at < w->count ? w->word[w->at] : "";
	size_t digits = strspn(word, "0123456789");
	unsigned long port = strtoul(word, NULL, 10);

	if (digits == 0 || digits > 5 || word[digits] != '\0' || port > UINT16_MAX)
		return false; // a service, which can be several ports
	w->at++;
	if (ends->ports < 2)
		ends->port[ends->ports] = (uint16_t)port;
	ends->ports++;
	return true;
}

// [tcp|udp|sctp|ip|ip6] [src|dst] host ADDRESS, the same with port NUMBER, or a protocol alone.
static bool take_term(struct words *w, struct ends *ends)
{
	static const char *const protocols[] = {"tcp", "udp", "sctp", "ip", "ip6", NULL};
	static const char *const directions[] = {"src", "dst", NULL};
	bool protocol = take_any(w, protocols), direction = take_any(w, directions);

	if (take(w, "host"))
		return take_host(w, ends);
	if (take(w, "port"))
		return take_port(w, ends);
	return protocol && !direction;
}

static void add(struct index_terms *terms, uint64_t key)
{
	if (terms->count < INDEX_TERMS_MAX)
		terms->key[terms->count++] = key;
}

void index_terms_of_expression(const char *expression, struct index_terms *ret_terms)
{
	static const char *const and[] = {"and", "&&", NULL};
	struct ends ends = {.hosts = 0};
	struct words w;

	ret_terms->count = 0;
	if (!split(expression, &w) || w.count == 0)
		return;
	do {
		if (!take_term(&w, &ends))
			return;
	} while (take_any(&w, and));
	if (w.at != w.count)
		return;
	for (unsigned i = 0; i < ends.hosts && i < 2; i++)
		add(ret_terms, key_of_host(ends.ip_version[i], ends.host[i]));
	for (unsigned i = 0; i < ends.ports && i < 2; i++)
		add(ret_terms, key_of_port(ends.port[i]));
	if (ends.hosts == 2 && ends.ports == 2 && ends.ip_version[0] == ends.ip_version[1] &&
	        memcmp(ends.host[0], ends.host[1], FLOW_ADDR_LEN) != 0 && ends.port[0] != ends.port[1])
		add(ret_terms, key_of_conversation(
		                       ends.ip_version[0], ends.host[0], ends.host[1], ends.port[0], ends.port[1]));
}
