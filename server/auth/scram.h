/* scram.h: SCRAM verifiers (RFC 5802 3, RFC 7677), the only form in which passwords are kept.
 * The functions here compute for milliseconds: they run in a thread pool, not on a loop. */
#ifndef SERVER_AUTH_SCRAM_H
#define SERVER_AUTH_SCRAM_H

#include "proto/row.pb-c.h"
#include "storage/base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum scram_hash { SCRAM_SHA_1, SCRAM_SHA_256, SCRAM_HASHES };
enum { SCRAM_KEY_MAX_BYTES = 32, SCRAM_SALT_BYTES = 16 };

/* "SCRAM-SHA-1", "SCRAM-SHA-256": the mechanism, and Verifier.mechanism. */
const char *scram_mechanism(enum scram_hash h);
size_t scram_key_bytes(enum scram_hash h);

/* A verifier in memory of its own. */
struct scram_verifier {
	enum scram_hash hash;
	uint32_t iterations;
	size_t salt_bytes;
	uint8_t salt[64];
	uint8_t stored_key[SCRAM_KEY_MAX_BYTES];
	uint8_t server_key[SCRAM_KEY_MAX_BYTES];
};

/* What an account is created or changed with: one verifier per hash. */
struct scram_verifiers {
	struct scram_verifier at[SCRAM_HASHES];
};

/* From a password (UTF-8; SASLprep is done here), with fresh random salts. ERR_BAD_INPUT: empty,
 * longer than PASSWORD_MAX_BYTES, not UTF-8 or with characters that SASLprep forbids. */
int scram_make_verifiers(struct span password, uint32_t iterations, struct scram_verifiers *ret);
/* One of them, with a given salt (test vectors). */
int scram_make_verifier(enum scram_hash h, struct span password, struct span salt,
			uint32_t iterations, struct scram_verifier *ret);

/* Is it this password? Constant time in the comparison. */
bool scram_check_password(const struct scram_verifier *v, struct span password);

/* From a row: ERR_NOT_FOUND if it has none for this hash, ERR_CORRUPT if it is broken. */
int scram_from_row(const Tm__AccountRow *row, enum scram_hash h, struct scram_verifier *ret);
/* Into messages that point into `v`, which must live as long; `at` has SCRAM_HASHES elements. */
void scram_to_messages(struct scram_verifiers *v, Tm__Verifier *at, Tm__Verifier **pointers);

/* The verifier of an account that does not exist: always the same salt for a name
 * (HMAC(secret, name)), and keys that nothing fits. */
void scram_unknown(enum scram_hash h, struct span secret, struct span name, uint32_t iterations,
		   struct scram_verifier *ret);

#endif
