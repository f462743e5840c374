// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/reader/trust_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sensor/evidence/digest.h"
#include "sensor/evidence/keys.h"

static int read_key(const char *path, uint8_t out[ED25519_KEY_LEN])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int r;

	if (fd < 0)
		return -errno;
	r = public_key_read_fd(fd, path, out, NULL);
	close(fd);
	return r;
}

int trust_store_has(const char *data_dir, const uint8_t key[ED25519_KEY_LEN])
{
	char path[4096], hex[HEX_LEN(ED25519_KEY_LEN)];
	uint8_t stored[ED25519_KEY_LEN];
	int r;

	hex_encode(key, ED25519_KEY_LEN, hex);
	if (snprintf(path, sizeof(path), "%s/" TRUST_DIR "/%s.pub", data_dir, hex) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	r = read_key(path, stored);
	if (r < 0)
		return r;
	return memcmp(stored, key, ED25519_KEY_LEN) == 0 ? 0 : -EKEYREJECTED;
}

int trust_store_own(const char *data_dir, uint8_t out[ED25519_KEY_LEN])
{
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/" TRUST_OWN_KEY, data_dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return read_key(path, out);
}
