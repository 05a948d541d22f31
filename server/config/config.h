/* config.h: what `--config FILE` says. YAML, read as libyaml's events against one table of options
 * (options.c), which also prints the commented example: an option exists in one place only.
 *
 * Thread: main reads it before anything starts. A struct config is plain data and immutable
 * afterwards; a reload makes a second one and takes over what may change (config_reload_check). */
#ifndef SERVER_CONFIG_CONFIG_H
#define SERVER_CONFIG_CONFIG_H

#include "storage/base/arena.h"
#include "storage/base/buf.h"
#include "storage/base/logfmt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_listen {
	const char *address; /* "127.0.0.1", "::1", "0.0.0.0", "::" */
	uint16_t port;       /* 0: any that is free */
};

struct config_listens {
	struct config_listen *at;
	size_t count; /* 0: the service is off */
};

struct config_certificate {
	const char *certificate; /* PEM files */
	const char *key;
};

enum config_reads { CONFIG_READS_LEASE, CONFIG_READS_STRICT };
enum config_tls_version { CONFIG_TLS_1_2, CONFIG_TLS_1_3 };
enum config_recipients { CONFIG_RECIPIENTS_ANY_DOMAIN, CONFIG_RECIPIENTS_WHOLE_ADDRESS };

/* One bit for each mechanism in auth.mechanisms. */
enum config_mechanism {
	CONFIG_MECHANISM_PLAIN = 1,
	CONFIG_MECHANISM_LOGIN = 2,
	CONFIG_MECHANISM_SCRAM_SHA_1 = 4,
	CONFIG_MECHANISM_SCRAM_SHA_256 = 8,
	CONFIG_MECHANISM_SCRAM_SHA_256_PLUS = 16,
	CONFIG_MECHANISM_EXTERNAL = 32,
};

/* Strings live in `arena`; one that is not set is NULL. Durations are in milliseconds. */
struct config {
	struct arena arena;

	const char *data;     /* the data directory */
	const char *hostname; /* in greetings and Received; default: the machine's */
	uint64_t loops;       /* 0: one per core */
	uint64_t readers;     /* 0: one per core */
	uint64_t partitions;  /* when the data directory is made; a power of two is not needed */
	uint64_t reads;       /* enum config_reads */

	struct config_listens imap, imaps, lmtp, admin;

	struct {
		struct config_certificate *certificates;
		size_t certificate_count; /* 0: self-signed ones are made in the data directory */
		const char *client_ca;
		uint64_t min_version; /* enum config_tls_version */
	} tls;

	struct {
		bool plaintext_on_loopback;
		uint64_t mechanisms; /* bits of enum config_mechanism */
		uint64_t iterations; /* of new SCRAM verifiers */
		uint64_t failure_delay_ms;
		uint64_t failure_delay_max_ms;
	} auth;

	struct {
		uint64_t recipients; /* enum config_recipients */
	} delivery;

	struct {
		uint64_t connections;
		uint64_t connections_per_address;
		uint64_t message_bytes;
		uint64_t idle_ms;
		uint64_t login_ms;
	} limits;

	struct {
		uint64_t level; /* enum log_level */
	} log;

	struct {
		uint64_t pages_bytes;
		uint64_t block_cache_bytes;
	} memory;
};

/* Read FILE. On 0 *ret owns its memory: config_free(). ERR_BAD_INPUT: `errors` has one line per
 * mistake, at most CONFIG_ERRORS_MAX: "FILE:LINE:COLUMN: KEY: what is wrong; allowed: ...". */
int config_load(const char *file, struct config *ret, struct buf *errors);
/* The same from memory; `name` stands for the file. */
int config_parse(struct span text, const char *name, struct config *ret, struct buf *errors);
/* Accepts an all-zero one; leaves it so. */
void config_free(struct config *c);

/* Append the commented example: every option with its documentation, type, range and default. It
 * is a valid configuration itself. */
void config_print_example(struct buf *out);

/* A reload (SIGHUP) may change only some options. Append one line for each option that differs
 * between the two and takes effect only after a restart; returns how many. */
size_t config_reload_check(const struct config *now, const struct config *next, struct buf *lines);

/* "lmtp.listen[0]=127.0.0.1:24" and so on, one line per option, for --check. No secrets in it. */
void config_print(const struct config *c, struct buf *out);

#endif
