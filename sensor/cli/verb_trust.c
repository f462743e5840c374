// SPDX-License-Identifier: Apache-2.0
// `sealtap trust`: the only way into the store of origin keys that this user trusts. DATA_DIR/trusted/<hex>.pub.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sensor/cli/cli.h"
#include "sensor/evidence/digest.h"
#include "sensor/evidence/keys.h"
#include "sensor/evidence/reader/trust_store.h"
#include "sensor/evidence/write_all.h"

#define HEX_KEY HEX_LEN(ED25519_KEY_LEN)
#define PATH_ROOM 4096

static const char usage[] =
        "usage: sealtap trust add PUB          trust the origin key in this PEM file\n"
        "       sealtap trust list             the keys that you trust\n"
        "       sealtap trust remove PUB|HEX   trust it no longer\n"
        "\n"
        "  --json   the answer as JSON on standard output\n"
        "\n"
        "A recording by a trusted key verifies as authenticated. Compare the fingerprint with the sensor's\n"
        "operator by a way that you trust before you add a key.\n"
        "\n"
        "exit: 0 done   1 the key is no good, or not in the store   2 wrong command line   3 cannot read or write\n";

struct store {
	char dir[PATH_ROOM];
	bool json;
};

static int print_key(const struct store *store, const char *action, const char *hex)
{
	if (store->json)
		printf("{\"action\":\"%s\",\"key\":\"%s\"}\n", action, hex);
	else
		printf("%s %s\n", action, hex);
	return fflush(stdout) == 0 ? CLI_OK : cli_fail(CLI_UNREADABLE, "trust", "cannot write: %s", strerror(errno));
}

static int read_key_file(const char *path, uint8_t out[ED25519_KEY_LEN])
{
	struct error e = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int r;

	if (fd < 0)
		return cli_fail(CLI_UNREADABLE, "trust", "cannot open %s: %s", path, strerror(errno));
	r = public_key_read_fd(fd, path, out, &e);
	close(fd);
	if (r < 0)
		return cli_fail(r == -EKEYREJECTED ? CLI_INVALID : CLI_UNREADABLE, "trust", "%s", e.text);
	return CLI_OK;
}

// A key by its file or by its 64 hexadecimal digits.
static int read_key(const char *text, uint8_t out[ED25519_KEY_LEN])
{
	if (strlen(text) == HEX_KEY - 1 && hex_decode(text, HEX_KEY - 1, out) == 0)
		return CLI_OK;
	return read_key_file(text, out);
}

static int key_path(const struct store *store, const char *hex, const char *suffix, char out[PATH_ROOM])
{
	if (snprintf(out, PATH_ROOM, "%s/%s%s", store->dir, hex, suffix) >= PATH_ROOM)
		return cli_fail(CLI_UNREADABLE, "trust", "the name of the trust store is too long: %s", store->dir);
	return CLI_OK;
}

// A reader sees the whole key or none: written beside, then renamed.
static int store_key(const struct store *store, const char *hex, const uint8_t key[ED25519_KEY_LEN])
{
	char pem[PUBLIC_KEY_PEM_LEN + 1], path[PATH_ROOM], new_path[PATH_ROOM];
	int fd, r;

	r = cli_make_dirs(store->dir);
	if (r < 0)
		return cli_fail(CLI_UNREADABLE, "trust", "cannot make %s: %s", store->dir, strerror(-r));
	if (key_path(store, hex, ".pub", path) != CLI_OK || key_path(store, hex, ".new", new_path) != CLI_OK)
		return CLI_UNREADABLE;
	public_key_pem(key, pem);
	fd = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	r = fd < 0 ? -errno : write_all(fd, pem, PUBLIC_KEY_PEM_LEN);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	if (r == 0 && rename(new_path, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(new_path);
		return cli_fail(CLI_UNREADABLE, "trust", "cannot write %s: %s", path, strerror(-r));
	}
	return CLI_OK;
}

static int trust_add(const struct store *store, const char *path)
{
	uint8_t key[ED25519_KEY_LEN];
	char hex[HEX_KEY];
	int code = read_key_file(path, key);

	if (code != CLI_OK)
		return code;
	hex_encode(key, sizeof(key), hex);
	code = store_key(store, hex, key);
	return code == CLI_OK ? print_key(store, "trusted", hex) : code;
}

static int trust_remove(const struct store *store, const char *name)
{
	uint8_t key[ED25519_KEY_LEN];
	char hex[HEX_KEY], path[PATH_ROOM];
	int code = read_key(name, key);

	if (code != CLI_OK)
		return code;
	hex_encode(key, sizeof(key), hex);
	code = key_path(store, hex, ".pub", path);
	if (code != CLI_OK)
		return code;
	if (unlink(path) == 0)
		return print_key(store, "removed", hex);
	if (errno == ENOENT || errno == ENOTDIR)
		return print_key(store, "not-in-store", hex);
	return cli_fail(CLI_UNREADABLE, "trust", "cannot remove %s: %s", path, strerror(errno));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int print_list(const struct store *store, char **names, size_t count)
{
	json_t *list = json_array();

	qsort(names, count, sizeof(*names), by_name);
	for (size_t i = 0; i < count; i++) {
		if (store->json)
			json_array_append_new(list, json_pack("{s:s}", "key", names[i]));
		else
			printf("%s\n", names[i]);
	}
	if (store->json) {
		json_t *all = json_pack("{s:o}", "trusted", list);

		json_dumpf(all, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(all);
	} else {
		json_decref(list);
		if (count == 0)
			fprintf(stderr, "no key is trusted; sealtap trust add origin.pub\n");
	}
	return fflush(stdout) == 0 ? CLI_OK : cli_fail(CLI_UNREADABLE, "trust", "cannot write: %s", strerror(errno));
}

static int trust_list(const struct store *store)
{
	DIR *dir = opendir(store->dir);
	char **names = NULL;
	size_t count = 0;
	struct dirent *e;
	int code = CLI_OK;

	if (!dir && errno != ENOENT)
		return cli_fail(CLI_UNREADABLE, "trust", "cannot read %s: %s", store->dir, strerror(errno));
	while (dir && (e = readdir(dir))) {
		uint8_t key[ED25519_KEY_LEN];
		char **more;

		if (strlen(e->d_name) != HEX_KEY - 1 + 4 || strcmp(e->d_name + HEX_KEY - 1, ".pub") != 0 ||
		        hex_decode(e->d_name, HEX_KEY - 1, key) < 0)
			continue;
		more = realloc(names, (count + 1) * sizeof(*more));
		if (!more) {
			code = cli_fail(CLI_UNREADABLE, "trust", "no memory");
			break;
		}
		names = more;
		names[count] = strndup(e->d_name, HEX_KEY - 1);
		if (names[count])
			count++;
	}
	if (dir)
		closedir(dir);
	if (code == CLI_OK)
		code = print_list(store, names, count);
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
	return code;
}

int verb_trust(int argc, char **argv)
{
	static const struct option options[] = {
	        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
	struct store store = {.json = false};
	size_t len;
	int c, r;

	optind = 0;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			return CLI_OK;
		}
		if (c != 'j')
			return CLI_USAGE;
		store.json = true;
	}
	r = cli_data_dir(store.dir, sizeof(store.dir));
	len = strlen(store.dir);
	if (r < 0 || len + sizeof("/" TRUST_DIR) > sizeof(store.dir))
		return cli_fail(
		        CLI_UNREADABLE, "trust", "there is no place for a trust store; set HOME or SEALTAP_HOME");
	memcpy(store.dir + len, "/" TRUST_DIR, sizeof("/" TRUST_DIR));
	if (argc - optind == 2 && strcmp(argv[optind], "add") == 0)
		return trust_add(&store, argv[optind + 1]);
	if (argc - optind == 2 && strcmp(argv[optind], "remove") == 0)
		return trust_remove(&store, argv[optind + 1]);
	if (argc - optind == 1 && strcmp(argv[optind], "list") == 0)
		return trust_list(&store);
	return cli_fail(CLI_USAGE, "trust", "add PUB, list, or remove PUB|HEX (--help tells more)");
}
