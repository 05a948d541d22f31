#include "server/auth/scram.h"

#include "storage/base/buf.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <assert.h>
#include <gsasl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>

static const struct {
	const char *mechanism;
	size_t key_bytes;
} hashes[] = {
	[SCRAM_SHA_1] = { "SCRAM-SHA-1", 20 },
	[SCRAM_SHA_256] = { "SCRAM-SHA-256", 32 },
};

static const EVP_MD *md_of(enum scram_hash h)
{
	return h == SCRAM_SHA_1 ? EVP_sha1() : EVP_sha256();
}

const char *scram_mechanism(enum scram_hash h)
{
	return hashes[h].mechanism;
}

size_t scram_key_bytes(enum scram_hash h)
{
	return hashes[h].key_bytes;
}

/* SASLprep (RFC 4013) into a NUL-terminated string of gsasl's. Characters that Unicode 3.2 did not
 * have are allowed: people use them in passwords, and they are the same bytes everywhere. (GNU
 * SASL 2.2's flag GSASL_ALLOW_UNASSIGNED means the opposite of its name.) */
static int prepare(struct span password, char **ret)
{
	char *text = NULL;
	char *prepared = NULL;

	if (password.bytes == 0 || password.bytes > PASSWORD_MAX_BYTES ||
	    memchr(password.at, '\0', password.bytes) != NULL)
		return ERR_BAD_INPUT;
	text = strndup(password.at, password.bytes);
	if (text == NULL)
		abort();
	int rc = gsasl_saslprep(text, 0, &prepared, NULL);
	OPENSSL_cleanse(text, password.bytes);
	free(text);
	if (rc == GSASL_OK && prepared[0] != '\0') {
		*ret = prepared;
		return OK;
	}
	if (rc == GSASL_OK)
		gsasl_free(prepared);
	return ERR_BAD_INPUT;
}

static void wipe_prepared(char *prepared)
{
	OPENSSL_cleanse(prepared, strlen(prepared));
	gsasl_free(prepared);
}

static void hmac(enum scram_hash h, const uint8_t *key, const char *text, uint8_t *out)
{
	const unsigned char *p = HMAC(md_of(h), key, (int)scram_key_bytes(h),
				      (const unsigned char *)text, strlen(text), out, NULL);
	assert(p != NULL);
}

/* RFC 5802, 3: StoredKey and ServerKey of a prepared password, with v's salt and iterations. */
static void derive(struct scram_verifier *v, const char *prepared)
{
	uint8_t salted[SCRAM_KEY_MAX_BYTES];
	uint8_t client_key[SCRAM_KEY_MAX_BYTES];
	size_t n = scram_key_bytes(v->hash);

	int ok = PKCS5_PBKDF2_HMAC(prepared, (int)strlen(prepared), v->salt, (int)v->salt_bytes,
				   (int)v->iterations, md_of(v->hash), (int)n, salted);
	assert(ok == 1);
	hmac(v->hash, salted, "Client Key", client_key);
	ok = EVP_Digest(client_key, n, v->stored_key, NULL, md_of(v->hash), NULL);
	assert(ok == 1);
	hmac(v->hash, salted, "Server Key", v->server_key);
	OPENSSL_cleanse(salted, sizeof(salted));
	OPENSSL_cleanse(client_key, sizeof(client_key));
}

int scram_make_verifier(enum scram_hash h, struct span password, struct span salt,
			uint32_t iterations, struct scram_verifier *ret)
{
	struct scram_verifier v = { .hash = h, .iterations = iterations, .salt_bytes = salt.bytes };
	char *prepared = NULL;

	assert(salt.bytes <= sizeof(v.salt) && iterations > 0 && iterations < INT32_MAX);
	int rc = prepare(password, &prepared);
	if (rc < 0)
		return rc;
	memcpy(v.salt, salt.at, salt.bytes);
	derive(&v, prepared);
	wipe_prepared(prepared);
	*ret = v;
	return OK;
}

int scram_make_verifiers(struct span password, uint32_t iterations, struct scram_verifiers *ret)
{
	int rc = OK;

	for (enum scram_hash h = 0; rc == OK && h < SCRAM_HASHES; h++) {
		uint8_t salt[SCRAM_SALT_BYTES];
		if (RAND_bytes(salt, sizeof(salt)) != 1)
			abort(); /* without randomness nothing here is safe */
		rc = scram_make_verifier(h, password, span_of(salt, sizeof(salt)), iterations,
					 &ret->at[h]);
	}
	return rc;
}

bool scram_check_password(const struct scram_verifier *v, struct span password)
{
	struct scram_verifier given = *v;
	char *prepared = NULL;

	if (prepare(password, &prepared) < 0)
		return false;
	derive(&given, prepared);
	wipe_prepared(prepared);
	bool same = CRYPTO_memcmp(given.stored_key, v->stored_key, scram_key_bytes(v->hash)) == 0;
	OPENSSL_cleanse(&given, sizeof(given));
	return same;
}

int scram_from_row(const Tm__AccountRow *row, enum scram_hash h, struct scram_verifier *ret)
{
	const Tm__Verifier *m = NULL;
	size_t n = scram_key_bytes(h);

	for (size_t i = 0; m == NULL && i < row->n_verifiers; i++)
		if (strcmp(row->verifiers[i]->mechanism, scram_mechanism(h)) == 0)
			m = row->verifiers[i];
	if (m == NULL)
		return ERR_NOT_FOUND;
	if (m->stored_key.len != n || m->server_key.len != n || m->salt.len == 0 ||
	    m->salt.len > sizeof(ret->salt) || m->iterations == 0 ||
	    m->iterations > SCRAM_ITERATIONS_MAX)
		return ERR_CORRUPT;

	*ret = (struct scram_verifier){ .hash = h,
					.iterations = m->iterations,
					.salt_bytes = m->salt.len };
	memcpy(ret->salt, m->salt.data, m->salt.len);
	memcpy(ret->stored_key, m->stored_key.data, n);
	memcpy(ret->server_key, m->server_key.data, n);
	return OK;
}

void scram_to_messages(struct scram_verifiers *v, Tm__Verifier *at, Tm__Verifier **pointers)
{
	for (enum scram_hash h = 0; h < SCRAM_HASHES; h++) {
		size_t n = scram_key_bytes(h);
		tm__verifier__init(&at[h]);
		at[h].mechanism = (char *)(uintptr_t)scram_mechanism(h);
		at[h].salt = (ProtobufCBinaryData){ v->at[h].salt_bytes, v->at[h].salt };
		at[h].iterations = v->at[h].iterations;
		at[h].stored_key = (ProtobufCBinaryData){ n, v->at[h].stored_key };
		at[h].server_key = (ProtobufCBinaryData){ n, v->at[h].server_key };
		pointers[h] = &at[h];
	}
}

void scram_unknown(enum scram_hash h, struct span secret, struct span name, uint32_t iterations,
		   struct scram_verifier *ret)
{
	uint8_t mac[SCRAM_KEY_MAX_BYTES];
	struct buf text = { 0 };

	*ret = (struct scram_verifier){ .hash = h,
					.iterations = iterations,
					.salt_bytes = SCRAM_SALT_BYTES };
	buf_puts(&text, scram_mechanism(h)); /* an account has another salt for each hash, too */
	buf_put_span(&text, name);
	const unsigned char *p = HMAC(EVP_sha256(), secret.at, (int)secret.bytes,
				      (const unsigned char *)text.at, text.bytes, mac, NULL);
	assert(p != NULL);
	memcpy(ret->salt, mac, SCRAM_SALT_BYTES);
	if (RAND_bytes(ret->stored_key, sizeof(ret->stored_key)) != 1 ||
	    RAND_bytes(ret->server_key, sizeof(ret->server_key)) != 1)
		abort();
	buf_free(&text);
}
