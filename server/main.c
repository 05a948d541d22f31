/* main.c: tidemarkd: options, signals, the beginning and the end. What is wired to what stands in
 * server.c. */
#include "server/config/config.h"
#include "server/mail/decode.h"
#include "server/server.h"
#include "storage/base/err.h"
#include "storage/base/logfmt.h"
#include "storage/check.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const char usage[] =
	"usage: tidemarkd --config FILE [--check]     run, or only check the configuration\n"
	"       tidemarkd --print-config              print a commented example of it\n"
	"       tidemarkd --check-store DIR           the node is stopped: is its state "
	"consistent?\n"
	"\n"
	"  --accept-loss          serve partitions whose log lost what was acknowledged\n"
	"  --loops N              threads that speak to clients (instead of the configuration's)\n"
	"  --collect-after SECONDS  bodies without a message go after that, not after an hour "
	"(tests)\n"
	"  --route local|remote   remote: treat the own partitions as if another node led them "
	"(tests)\n";

struct options {
	const char *config;
	const char *check_store;
	bool check, print_config, help;
	struct server_options server;
};

static int bad_usage(const char *why)
{
	(void)fprintf(stderr, "tidemarkd: %s\n%s", why, usage);
	return EXIT_FAILURE;
}

static bool take_option(int option, const char *value, struct options *o)
{
	char *end;

	switch (option) {
	case 'c': o->config = value; return true;
	case 'k': o->check = true; return true;
	case 'p': o->print_config = true; return true;
	case 's': o->check_store = value; return true;
	case 'h': o->help = true; return true;
	case 'a': o->server.accept_loss = true; return true;
	case 'l':
		o->server.loops = (unsigned)strtoul(value, &end, 10);
		return *end == '\0' && o->server.loops > 0 && o->server.loops <= 64;
	case 'b':
		o->server.collect_after = (unsigned)strtoul(value, &end, 10);
		return *end == '\0' && o->server.collect_after > 0;
	case 'r':
		o->server.route_remote = strcmp(value, "remote") == 0;
		return o->server.route_remote || strcmp(value, "local") == 0;
	default: return false;
	}
}

static bool parse_options(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 'k' },
		{ "print-config", no_argument, NULL, 'p' },
		{ "check-store", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ "accept-loss", no_argument, NULL, 'a' },
		{ "loops", required_argument, NULL, 'l' },
		{ "collect-after", required_argument, NULL, 'b' },
		{ "route", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
		if (!take_option(option, optarg, o))
			return false;
	return optind == argc;
}

static void print_finding(void *data, const char *text)
{
	(void)data;
	(void)printf("%s\n", text);
}

static int check_store(const char *dir)
{
	struct db_options o = { .dir = dir, .must_exist = true };
	struct db *db = NULL;
	struct buf why = { 0 };
	struct check_result r = { 0 };
	int rc = db_open(&o, &db, &why);

	if (rc != OK)
		(void)fprintf(stderr, "tidemarkd: %s: %s: %.*s\n", dir, err_name(rc),
			      (int)why.bytes, why.at == NULL ? "" : why.at);
	else
		rc = check_db(db, print_finding, NULL, &r);
	if (rc == OK)
		(void)printf("%llu findings: %llu accounts, %llu mailboxes, %llu messages, "
			     "%llu bodies, %llu log entries\n",
			     (unsigned long long)r.findings, (unsigned long long)r.accounts,
			     (unsigned long long)r.mailboxes, (unsigned long long)r.messages,
			     (unsigned long long)r.bodies, (unsigned long long)r.log_entries);
	db_close(&db);
	buf_free(&why);
	return rc == OK && r.findings == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int load(const char *file, struct config *ret)
{
	struct buf errors = { 0 };
	int rc = config_load(file, ret, &errors);

	if (rc != OK)
		(void)fprintf(stderr, "%.*s", (int)errors.bytes, errors.at);
	buf_free(&errors);
	return rc;
}

/* Thousands of connections, and RocksDB's files beside them. */
static void raise_file_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur == l.rlim_max)
		return;
	l.rlim_cur = l.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &l) != 0)
		log_warn("the limit of open files cannot be raised", LOG_END);
}

/* Signals are taken by main alone, one after the other; threads inherit the mask. */
static sigset_t block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	return set;
}

static int run(struct config *config, const struct options *o)
{
	sigset_t signals = block_signals();
	struct server *s = NULL;
	int sig = 0;

	log_set_level((enum log_level)config->log.level);
	raise_file_limit();
	mail_init();
	int rc = server_open(config, &o->server, &s);
	if (rc == OK)
		rc = server_start(s);
	while (rc == OK && sigwait(&signals, &sig) == 0 && sig == SIGHUP)
		server_reload(s, o->config);
	if (rc == OK)
		log_info("stopping", LOG_U64("signal", (uint64_t)sig));
	server_close(&s);
	if (rc == OK)
		log_info("stopped", LOG_END);
	return rc == OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	struct config config;

	if (!parse_options(argc, argv, &o))
		return bad_usage("unknown option or value");
	if (o.help) {
		(void)printf("%s", usage);
		return EXIT_SUCCESS;
	}
	if (o.print_config) {
		struct buf out = { 0 };

		config_print_example(&out);
		(void)fwrite(out.at, 1, out.bytes, stdout);
		buf_free(&out);
		return EXIT_SUCCESS;
	}
	if (o.check_store != NULL)
		return check_store(o.check_store);
	if (o.config == NULL)
		return bad_usage("--config FILE is missing");
	if (load(o.config, &config) != OK)
		return EXIT_FAILURE;
	int status = o.check ? EXIT_SUCCESS : run(&config, &o);
	config_free(&config);
	return status;
}
