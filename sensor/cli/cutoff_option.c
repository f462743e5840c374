// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/cutoff_option.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sensor/cli/app_names.h"
#include "sensor/cli/quantity.h"

int cutoff_option_set(struct cutoff_option *o, const char *value, struct error *e)
{
	size_t len = strcspn(value, ":");
	char size[32];

	o->apps = value[len] == ':' ? value + len + 1 : NULL;
	if (len >= 2 && value[len - 1] == 'B' && (value[len - 2] < '0' || value[len - 2] > '9'))
		len--;
	if (len >= sizeof(size))
		len = 0;
	memcpy(size, value, len);
	size[len] = '\0';
	if (quantity_size(size, &o->bytes) < 0 || o->bytes == 0)
		return error_set(e, -EINVAL, "cutoff: \"%s\" is not a size such as 64K, 10M, 1G", value);
	return 0;
}

static int check_apps(const char *apps, struct dpi *dpi, struct error *e)
{
	char near[APP_NAMES_NEAR_LEN], text[64];
	const char *name;
	struct app_set set;
	size_t len = app_set_read(&set, dpi, apps, &name);

	if (len == 0)
		return 0;
	if (set.count == APP_SET_MAX)
		return error_set(e, -EINVAL, "cutoff: at most %u applications", APP_SET_MAX);
	if (name[0] == '\0' || name[0] == ',')
		return error_set(e, -EINVAL,
		        "cutoff: \"%s\": name applications with commas between, such as 10M:YouTube,BitTorrent", apps);
	snprintf(text, sizeof(text), "%.*s", (int)len, name);
	app_names_known(dpi, text, near);
	return error_set(e, -EINVAL, "cutoff: %s knows no application \"%s\"%s%s", dpi_library(), text,
	        near[0] ? "; it knows " : "", near);
}

int cutoff_option_job(const struct cutoff_option *o, struct job *job, struct error *e)
{
	struct dpi *dpi;
	int r;

	job->cutoff_bytes = o->bytes;
	if (!o->apps)
		return 0;
	if (!job->flows)
		return error_set(e, -EINVAL,
		        "cutoff: what application a flow is only inspection tells: leave out "
		        "--no-flows, or the name");
	if (!dpi_library())
		return error_set(e, -EINVAL, "built without nDPI: a cutoff can be for every flow only, such as 10M");
	if (strlen(o->apps) >= sizeof(job->cutoff_apps))
		return error_set(e, -EINVAL, "cutoff: more than %zu characters of names", sizeof(job->cutoff_apps) - 1);
	r = dpi_new(&(struct dpi_config){.states_max = 1}, &dpi);
	if (r < 0)
		return error_set(e, r, "%s does not begin: %s", dpi_library(), strerror(-r));
	r = check_apps(o->apps, dpi, e);
	dpi_free(dpi);
	snprintf(job->cutoff_apps, sizeof(job->cutoff_apps), "%s", o->apps);
	return r;
}
