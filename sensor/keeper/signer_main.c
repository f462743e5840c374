// SPDX-License-Identifier: Apache-2.0
// sealtap-signer: reads the origin key, says its public half, signs one statement, exits. It lives for one signature
// and links nothing that parses packets. What it signs is built here from fixed parts: never bytes of the asker's
// choice.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sensor/evidence/digest.h"
#include "sensor/evidence/keys.h"
#include "sensor/ipc/roles.h"
#include "sensor/ipc/wire.h"
#include "sensor/sandbox/sandbox.h"

static int serve(struct secret_key *key)
{
	struct wire_origin origin = {0};
	struct wire_signature answer = {0};
	uint8_t message[ORIGIN_MESSAGE_MAX];
	union wire_message m;
	size_t len;
	int r;

	secret_key_public(key, origin.public_key);
	r = wire_send(SIGNER_KEEPER_FD, WIRE_ORIGIN, &origin, sizeof(origin), -1);
	if (r == 0)
		r = wire_expect(SIGNER_KEEPER_FD, WIRE_SIGN, sizeof(m.sign), &m);
	if (r == -EPIPE)
		return 0; // nothing to sign after all
	if (r < 0)
		return r;
	if (m.sign.purpose == WIRE_PURPOSE_EPOCH1)
		len = origin_message_epoch1(m.sign.recording_id, m.sign.subject, message);
	else if (m.sign.purpose == WIRE_PURPOSE_RECOVERY)
		len = origin_message_recovery(m.sign.recording_id, m.sign.subject, message);
	else
		return -EPROTO;
	r = secret_key_sign(key, message, len, answer.signature);
	return r < 0 ? r : wire_send(SIGNER_KEEPER_FD, WIRE_SIGNATURE, &answer, sizeof(answer), -1);
}

int main(void)
{
	struct secret_key *key;
	struct error e = {0};
	int r;

	signal(SIGPIPE, SIG_IGN);
	digest_init(); // OpenSSL reads what it reads before the file system closes
	secret_keys_init();
	if (sandbox_enter(&(struct sandbox){.role = SANDBOX_SIGNER, .uid = UINT32_MAX}, &e) < 0 ||
	        secret_key_read_fd(SIGNER_KEY_FD, "the origin key", &key, &e) < 0) {
		fprintf(stderr, "sealtap-signer: %s\n", e.text);
		return EXIT_FAILURE;
	}
	close(SIGNER_KEY_FD);
	r = serve(key);
	secret_key_free(key);
	if (r < 0)
		fprintf(stderr, "sealtap-signer: %s\n", strerror(-r));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
