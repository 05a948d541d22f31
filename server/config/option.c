#include "server/config/option.h"

#include "storage/base/limits.h"

#include <string.h>

static const char *const reads_choices[] = { "lease", "strict", NULL };
static const char *const tls_choices[] = { "1.2", "1.3", NULL };
static const char *const level_choices[] = { "debug", "info", "warn", "error", NULL };
static const char *const recipient_choices[] = { "any-domain", "whole-address", NULL };
static const char *const mechanism_choices[] = {
	"PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "EXTERNAL", NULL
};

#define AT(field) offsetof(struct config, field)

/* In the order of the example; the options of one group stand together. */
const struct option options[] = {
	{ "data", OPTION_STRING, AT(data), .example = "/var/lib/tidemark", .required = true,
	  .doc = "The directory that holds everything this node keeps. It is made if it is "
		 "missing." },
	{ "hostname", OPTION_STRING, AT(hostname), .example = "mail.example.org",
	  .doc = "What this server calls itself in greetings and in the Received field of "
		 "delivered "
		 "mail. The machine's name if it is not set." },
	{ "loops", OPTION_NUMBER, AT(loops), .max = 1024, .preset = "0",
	  .doc = "Event loops: threads that serve connections and own partitions. 0 means one for "
		 "each core." },
	{ "readers", OPTION_NUMBER, AT(readers), .max = 1024, .preset = "0",
	  .doc = "Threads for reads that need the disk or take long. 0 means one for each core." },
	{ "partitions", OPTION_NUMBER, AT(partitions), .min = 1, .max = 65535, .preset = "256",
	  .doc = "Into how many slices the accounts are divided. Looked at only when the data "
		 "directory is made; it can not be changed afterwards." },
	{ "reads", OPTION_CHOICE, AT(reads), .choices = reads_choices, .preset = "lease",
	  .doc = "How a leader makes sure that it still leads before it answers a read: by the "
		 "lease "
		 "that its followers gave it, or (strict) by asking them each time." },
	{ "imap.listen", OPTION_LISTENS, AT(imap), .max = CONFIG_LIST_MAX, .preset = "\"*:143\"",
	  .doc = "Where IMAP with STARTTLS is served." },
	{ "imaps.listen", OPTION_LISTENS, AT(imaps), .max = CONFIG_LIST_MAX, .preset = "\"*:993\"",
	  .doc = "Where IMAP over TLS is served." },
	{ "lmtp.listen", OPTION_LISTENS, AT(lmtp), .max = CONFIG_LIST_MAX, .preset = "127.0.0.1:24",
	  .doc = "Where mail is delivered by LMTP. There is no authentication: only mail servers "
		 "may "
		 "reach it." },
	{ "lmtp.recipients", OPTION_CHOICE, AT(delivery.recipients), .choices = recipient_choices,
	  .preset = "any-domain",
	  .doc = "Whose mail joe@example.org is: that of the account joe@example.org if it exists, "
		 "else of the account joe (any-domain); or of joe@example.org only "
		 "(whole-address)." },
	{ "admin.listen", OPTION_LISTENS, AT(admin), .max = 1, .preset = "127.0.0.1:1080",
	  .doc = "Where health, metrics and accounts are served by HTTP. There is no "
		 "authentication: keep it on loopback." },
	{ "tls.certificates", OPTION_CERTIFICATES, 0, .max = CONFIG_LIST_MAX, .preset = "[]",
	  .reloadable = true,
	  .doc = "Certificates (the leaf first, then its chain) and keys, in PEM. Clients get the "
		 "one "
		 "that has the name they asked for, else the first. Without any, a self-signed one "
		 "is "
		 "made in the data directory, which is good for trying out only." },
	{ "tls.client_ca", OPTION_STRING, AT(tls.client_ca), .example = "/etc/tidemark/clients.pem",
	  .reloadable = true,
	  .doc = "Who signs the certificates with which clients may log in (SASL EXTERNAL), in "
		 "PEM. "
		 "Clients are asked for a certificate only if this is set." },
	{ "tls.min_version", OPTION_CHOICE, AT(tls.min_version), .choices = tls_choices,
	  .preset = "1.2", .reloadable = true, .doc = "The oldest version of TLS that is spoken." },
	{ "auth.mechanisms", OPTION_SET, AT(auth.mechanisms), .choices = mechanism_choices,
	  .preset = "[PLAIN, LOGIN, SCRAM-SHA-1, SCRAM-SHA-256, SCRAM-SHA-256-PLUS, EXTERNAL]",
	  .reloadable = true, .doc = "The SASL mechanisms that are offered." },
	{ "auth.plaintext_on_loopback", OPTION_BOOL, AT(auth.plaintext_on_loopback),
	  .preset = "false", .reloadable = true,
	  .doc = "Whether passwords may be sent without TLS by clients on this machine. From "
		 "elsewhere "
		 "they never may." },
	{ "auth.iterations", OPTION_NUMBER, AT(auth.iterations), .min = SCRAM_ITERATIONS_MIN,
	  .max = SCRAM_ITERATIONS_MAX, .preset = "4096", .reloadable = true,
	  .doc = "How often a new password is hashed. More makes a stolen disk less useful, and "
		 "each "
		 "login slower, also for the client." },
	{ "auth.failure_delay", OPTION_DURATION, AT(auth.failure_delay_ms), .max = 60000,
	  .preset = "1s", .reloadable = true,
	  .doc = "What the first failed login that counts costs; each further one costs twice as "
		 "much. "
		 "Counted for each account from each address, and more leniently for each "
		 "address." },
	{ "auth.failure_delay_max", OPTION_DURATION, AT(auth.failure_delay_max_ms), .max = 600000,
	  .preset = "15s", .reloadable = true, .doc = "The most that a login is made to wait." },
	{ "limits.connections", OPTION_NUMBER, AT(limits.connections), .min = 1, .max = 10000000,
	  .preset = "20000", .reloadable = true, .doc = "Connections at once, of all services." },
	{ "limits.connections_per_address", OPTION_NUMBER, AT(limits.connections_per_address),
	  .min = 1, .max = 10000000, .preset = "15000", .reloadable = true,
	  .doc = "Connections at once from one address (IPv6: from one /64)." },
	{ "limits.message_size", OPTION_SIZE, AT(limits.message_bytes), .min = 1024,
	  .max = MESSAGE_MAX_BYTES, .preset = "64M", .doc = "The largest message that is taken." },
	{ "limits.login_time", OPTION_DURATION, AT(limits.login_ms), .min = 1000, .max = 3600000,
	  .preset = "60s", .doc = "How long a client may take until it has logged in." },
	{ "limits.idle_time", OPTION_DURATION, AT(limits.idle_ms), .min = 1000, .max = 24 * 3600000,
	  .preset = "31m",
	  .doc = "How long a client that has logged in may say nothing (RFC 3501: at least 30m)." },
	{ "log.level", OPTION_CHOICE, AT(log.level), .choices = level_choices, .preset = "info",
	  .reloadable = true, .doc = "The least important lines that are logged." },
	{ "memory.pages", OPTION_SIZE, AT(memory.pages_bytes), .min = 1024 * 1024,
	  .max = (uint64_t)1 << 44, .preset = "512M",
	  .doc = "For the flags and numbers of mailboxes in use (16 bytes for each message)." },
	{ "memory.block_cache", OPTION_SIZE, AT(memory.block_cache_bytes), .min = 1024 * 1024,
	  .max = (uint64_t)1 << 44, .preset = "256M", .doc = "For RocksDB's block cache." },
};
const size_t option_count = sizeof(options) / sizeof(options[0]);

const struct option *option_find(const char *path)
{
	for (size_t i = 0; i < option_count; i++)
		if (strcmp(options[i].path, path) == 0)
			return &options[i];
	return NULL;
}

/* What follows `group` and a dot in `path`; `path` itself for the empty group; NULL else. */
static const char *below(const char *path, const char *group)
{
	size_t n = strlen(group);

	if (n == 0)
		return path;
	return strncmp(path, group, n) == 0 && path[n] == '.' ? path + n + 1 : NULL;
}

bool option_is_group(const char *path)
{
	for (size_t i = 0; i < option_count; i++)
		if (path[0] != '\0' && below(options[i].path, path) != NULL)
			return true;
	return false;
}

void option_put_keys(const char *group, struct buf *out)
{
	struct span last = { 0 };

	for (size_t i = 0; i < option_count; i++) {
		const char *key = below(options[i].path, group);
		if (key == NULL)
			continue;
		struct span first = span_of(key, strcspn(key, "."));
		if (span_eq(first, last))
			continue;
		if (last.at != NULL)
			buf_puts(out, ", ");
		buf_put_span(out, first);
		last = first;
	}
}
