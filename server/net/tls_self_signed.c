/* tls_self_signed.c: a key and a certificate for trying the server out on loopback. */
#include "server/net/tls.h"
#include "storage/base/err.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VALID_DAYS = 3650 };

static int put_extension(X509 *cert, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (e == NULL)
		return ERR_IO;
	int ok = X509_add_ext(cert, e, -1);
	X509_EXTENSION_free(e);
	return ok == 1 ? OK : ERR_IO;
}

static int put_names(X509 *cert, const char *const *names, size_t count)
{
	struct buf list = { 0 };
	unsigned char address[sizeof(struct in6_addr)];

	for (size_t i = 0; i < count; i++) {
		bool is_address = inet_pton(AF_INET, names[i], address) == 1 ||
				  inet_pton(AF_INET6, names[i], address) == 1;

		buf_printf(&list, "%s%s:%s", i == 0 ? "" : ",", is_address ? "IP" : "DNS",
			   names[i]);
	}
	int rc = put_extension(cert, NID_subject_alt_name, list.at);
	buf_free(&list);
	return rc;
}

/* As `openssl req -x509` makes it: its own CA, so that a client can be told to trust it. */
static int fill(X509 *cert, EVP_PKEY *key, const char *const *names, size_t count)
{
	X509_NAME *subject = X509_get_subject_name(cert);
	uint64_t serial;

	if (RAND_bytes((unsigned char *)&serial, sizeof(serial)) != 1 ||
	    X509_set_version(cert, X509_VERSION_3) != 1 ||
	    ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1) != 1 ||
	    X509_gmtime_adj(X509_getm_notBefore(cert), -24L * 3600) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(cert), VALID_DAYS * 24L * 3600) == NULL ||
	    X509_set_pubkey(cert, key) != 1 ||
	    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
				       (const unsigned char *)names[0], -1, -1, 0) != 1 ||
	    X509_set_issuer_name(cert, subject) != 1)
		return ERR_IO;
	if (put_extension(cert, NID_basic_constraints, "critical,CA:TRUE") < 0 ||
	    put_extension(cert, NID_key_usage, "critical,digitalSignature,keyCertSign") < 0 ||
	    put_extension(cert, NID_ext_key_usage, "serverAuth") < 0 ||
	    put_extension(cert, NID_subject_key_identifier, "hash") < 0 ||
	    put_names(cert, names, count) < 0)
		return ERR_IO;
	return X509_sign(cert, key, EVP_sha256()) > 0 ? OK : ERR_IO;
}

/* Through a file beside it, so that a half-written one is never seen. */
static int write_pem(const char *file, EVP_PKEY *key, X509 *cert, mode_t mode)
{
	char aside[PATH_MAX];

	int n = snprintf(aside, sizeof(aside), "%s.new", file);
	if (n < 0 || (size_t)n >= sizeof(aside))
		return ERR_IO;
	int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0)
		return ERR_IO;
	FILE *f = fdopen(fd, "w");
	if (f == NULL) {
		close(fd);
		return ERR_IO;
	}
	int ok = key != NULL ? PEM_write_PKCS8PrivateKey(f, key, NULL, NULL, 0, NULL, NULL)
			     : PEM_write_X509(f, cert);
	ok &= fsync(fd) == 0;
	ok &= fclose(f) == 0;
	return ok == 1 && rename(aside, file) == 0 ? OK : ERR_IO;
}

int tls_make_self_signed(const char *cert_file, const char *key_file, const char *const *names,
			 size_t count)
{
	if (access(cert_file, F_OK) == 0)
		return OK;

	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	int rc = key != NULL && cert != NULL && count > 0 ? fill(cert, key, names, count) : ERR_IO;
	if (rc == OK)
		rc = write_pem(key_file, key, NULL, 0600);
	if (rc == OK)
		rc = write_pem(cert_file, NULL, cert, 0644); /* last: it says all is there */
	X509_free(cert);
	EVP_PKEY_free(key);
	return rc;
}
