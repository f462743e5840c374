// SPDX-License-Identifier: Apache-2.0
#include "sensor/filter/filter.h"

#include <pcap/pcap.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define FILTER_LINKTYPES 64u

struct filter {
	char *expression;
	pthread_mutex_t mutex; // preparing only
	unsigned count;
	uint16_t linktype[FILTER_LINKTYPES];
	struct bpf_program program[FILTER_LINKTYPES];
};

// LINKTYPE_ values of files and libpcap's DLT_ values differ for the raw IP family.
static int dlt_of(uint16_t linktype)
{
	return linktype == 101 ? DLT_RAW : linktype;
}

static int compile(const char *expression, uint16_t linktype, struct bpf_program *program, struct error *e)
{
	pcap_t *dead = pcap_open_dead(dlt_of(linktype), 262144);
	int r = 0;

	if (!dead)
		return error_set(e, -ENOMEM, "out of memory");
	if (pcap_compile(dead, program, expression, 1, PCAP_NETMASK_UNKNOWN) < 0)
		r = error_set(e, -EINVAL, "filter \"%s\": %s (link type %u)", expression, pcap_geterr(dead), linktype);
	pcap_close(dead);
	return r;
}

int filter_new(const char *expression, struct filter **ret_filter, struct error *e)
{
	struct filter *f;
	int r;

	*ret_filter = NULL;
	if (expression[0] == '\0')
		return 0;
	f = calloc(1, sizeof(*f));
	if (f)
		f->expression = strdup(expression);
	if (!f || !f->expression) {
		filter_free(f);
		return error_set(e, -ENOMEM, "out of memory");
	}
	pthread_mutex_init(&f->mutex, NULL);
	r = filter_prepare(f, DLT_EN10MB, e); // most are this; and a mistake shows before anything is opened
	if (r < 0) {
		filter_free(f);
		return r;
	}
	*ret_filter = f;
	return 0;
}

void filter_free(struct filter *f)
{
	if (!f)
		return;
	for (unsigned i = 0; i < f->count; i++)
		pcap_freecode(&f->program[i]);
	free(f->expression);
	free(f);
}

int filter_prepare(struct filter *f, uint16_t linktype, struct error *e)
{
	int r = 0;

	pthread_mutex_lock(&f->mutex);
	for (unsigned i = 0; i < f->count; i++)
		if (f->linktype[i] == linktype)
			goto out;
	if (f->count == FILTER_LINKTYPES) {
		r = error_set(e, -ENOBUFS, "more than %u link types under one filter", FILTER_LINKTYPES);
		goto out;
	}
	r = compile(f->expression, linktype, &f->program[f->count], e);
	if (r == 0)
		f->linktype[f->count++] = linktype;
out:
	pthread_mutex_unlock(&f->mutex);
	return r;
}

bool filter_accepts(const struct filter *f, uint16_t linktype, const uint8_t *data, uint32_t caplen, uint32_t origlen)
{
	for (unsigned i = 0; i < f->count; i++)
		if (f->linktype[i] == linktype)
			return bpf_filter(f->program[i].bf_insns, data, origlen, caplen) != 0;
	return false;
}
