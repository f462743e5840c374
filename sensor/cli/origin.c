// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/origin.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sensor/cli/cli.h"
#include "sensor/evidence/digest.h"
#include "sensor/evidence/keys.h"

static int make_file(const char *dir, const char *name, mode_t mode, int *ret_fd, struct error *e)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return error_set(e, -ENAMETOOLONG, "the name of the directory is too long");
	*ret_fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (*ret_fd < 0 && errno == EEXIST)
		return error_set(e, -EEXIST, "%s exists already; keys are never written over", path);
	if (*ret_fd < 0)
		return error_set(e, -errno, "cannot create %s: %s", path, strerror(errno));
	return 0;
}

int origin_make(const char *dir, char *ret_fingerprint, size_t size, struct error *e)
{
	char pem[PUBLIC_KEY_PEM_LEN + 1], path[PATH_MAX], hex[HEX_LEN(ED25519_KEY_LEN)];
	uint8_t public_key[ED25519_KEY_LEN];
	struct secret_key *key = NULL;
	int key_fd = -1, pub_fd = -1, r = cli_make_dirs(dir);

	if (r < 0)
		return error_set(e, r, "cannot make the directory %s: %s", dir, strerror(-r));
	snprintf(path, sizeof(path), "%s/origin.pub", dir);
	if (access(path, F_OK) == 0)
		return error_set(e, -EEXIST, "%s exists already; keys are never written over", path);
	r = make_file(dir, "origin.key", 0600, &key_fd, e);
	if (r == 0)
		r = make_file(dir, "origin.pub", 0644, &pub_fd, e);
	if (r == 0 && secret_key_generate(&key) < 0)
		r = error_set(e, -EIO, "cannot make a key");
	if (r == 0) {
		secret_key_public(key, public_key);
		public_key_pem(public_key, pem);
		if (secret_key_write_fd(key, key_fd) < 0 || fsync(key_fd) < 0 ||
		        write(pub_fd, pem, PUBLIC_KEY_PEM_LEN) != PUBLIC_KEY_PEM_LEN || fsync(pub_fd) < 0)
			r = error_set(e, -EIO, "cannot write the key files in %s", dir);
	}
	if (r == 0) {
		hex_encode(public_key, ED25519_KEY_LEN, hex);
		snprintf(ret_fingerprint, size, "%s", hex);
	}
	secret_key_free(key);
	if (key_fd >= 0)
		close(key_fd);
	if (pub_fd >= 0)
		close(pub_fd);
	return r;
}

int origin_open(const char *path, int *ret_fd, struct error *e)
{
	char dir[PATH_MAX - 32], file[PATH_MAX], fingerprint[HEX_LEN(ED25519_KEY_LEN)];
	struct stat st;
	int fd;

	if (!path) {
		if (cli_data_dir(dir, sizeof(dir)) < 0)
			return error_set(e, -ENOENT, "no place for keys: set SEALTAP_HOME or give --key");
		snprintf(file, sizeof(file), "%s/origin.key", dir);
		path = file;
		if (access(file, F_OK) < 0 && errno == ENOENT) {
			int r = origin_make(dir, fingerprint, sizeof(fingerprint), e);

			if (r < 0)
				return r;
			fprintf(stderr,
			        "sealtap: this machine had no origin key; made %s\n"
			        "sealtap: give %s/origin.pub to whoever shall check its recordings\n",
			        file, dir);
		}
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return error_set(e, -errno, "cannot open the key %s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return error_set(e, -EKEYREJECTED, "%s is not a regular file", path);
	}
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		fprintf(stderr, "sealtap: warning: others can read the key %s; `chmod 600` it\n", path);
	*ret_fd = fd;
	return 0;
}
