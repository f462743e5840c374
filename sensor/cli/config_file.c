// SPDX-License-Identifier: Apache-2.0
// Configuration by libyaml: one mapping of option names to scalars, so that libyaml's line numbers reach the operator.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "sensor/cli/run_options.h"

#define SCALARS_MAX 256 // a configuration has some dozen

// Values live as long as the process: options keep pointers to them.
struct kept {
	struct kept *next;
	char text[];
};

static char *keep(const char *text)
{
	static struct kept *all;
	size_t size = strlen(text) + 1;
	struct kept *kept = malloc(sizeof(*kept) + size);

	if (!kept)
		return NULL;
	memcpy(kept->text, text, size);
	kept->next = all;
	all = kept;
	return kept->text;
}

static int set_pair(struct run_options *o, const yaml_event_t *value, char *name, const char *path, struct error *e)
{
	struct error inner;
	char *copy = keep((const char *)value->data.scalar.value);
	int r = copy ? 0 : -ENOMEM;
	bool *flag = run_options_flag(o, name);

	if (r == 0 && flag) {
		if (strcmp(copy, "true") != 0 && strcmp(copy, "false") != 0)
			r = error_set(&inner, -EINVAL, "%s: \"%s\" is neither true nor false", name, copy);
		else
			*flag = copy[0] == 't';
	} else if (r == 0) {
		r = run_options_set(o, name, copy, &inner);
	}
	if (r < 0)
		return error_set(e, r, "%s, line %zu: %s", path, value->start_mark.line + 1,
		        r == -ENOMEM ? "out of memory" : inner.text);
	return 0;
}

int run_options_read(struct run_options *o, const char *path, struct error *e)
{
	FILE *file = fopen(path, "r");
	yaml_parser_t parser;
	yaml_event_t event;
	char *name = NULL;
	int depth = 0, r = 0;
	bool end = false;

	if (!file)
		return error_set(e, -errno, "cannot open the configuration %s: %s", path, strerror(errno));
	if (!yaml_parser_initialize(&parser)) {
		fclose(file);
		return error_set(e, -ENOMEM, "out of memory");
	}
	yaml_parser_set_input_file(&parser, file);
	for (int n = 0; r == 0 && !end; n++) {
		size_t line;

		if (!yaml_parser_parse(&parser, &event)) {
			r = error_set(e, -EINVAL, "%s, line %zu: %s", path, parser.problem_mark.line + 1,
			        parser.problem ? parser.problem : "not YAML");
			break;
		}
		line = event.start_mark.line + 1;
		switch (event.type) {
		case YAML_MAPPING_START_EVENT:
			if (depth++ > 0)
				r = error_set(e, -EINVAL, "%s, line %zu: a single value is expected here", path, line);
			break;
		case YAML_SCALAR_EVENT:
			if (depth != 1 || n > SCALARS_MAX) {
				r = error_set(e, -EINVAL, "%s, line %zu: expected lines of the form option: value",
				        path, line);
			} else if (!name) {
				name = strdup((const char *)event.data.scalar.value);
				r = name ? 0 : error_set(e, -ENOMEM, "out of memory");
			} else {
				r = set_pair(o, &event, name, path, e);
				free(name);
				name = NULL;
			}
			break;
		case YAML_SEQUENCE_START_EVENT:
		case YAML_ALIAS_EVENT:
			r = error_set(e, -EINVAL, "%s, line %zu: a single value is expected here", path, line);
			break;
		case YAML_STREAM_END_EVENT:
			end = true;
			break;
		default:
			break;
		}
		yaml_event_delete(&event);
	}
	free(name);
	yaml_parser_delete(&parser);
	fclose(file);
	return r;
}
