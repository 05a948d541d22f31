/* lmtp.c: the session: reads commands and messages from its connection, answers in order.
 *
 *	COMMAND --RCPT--> LOOKING_UP --account row--> COMMAND
 *	   |---DATA--> IN_DATA ----- . -----> DELIVERING --all answered--> COMMAND
 *	   '---BDAT--> IN_CHUNK --(LAST)--^
 *
 * While LOOKING_UP and DELIVERING the socket is not read, so pipelined commands wait their turn.
 * A session whose connection is gone lingers until its account row has come. */
#include "server/lmtp/lmtp.h"

#include "server/auth/account_name.h"
#include "server/lmtp/lmtp_delivery.h"
#include "server/lmtp/lmtp_parse.h"
#include "server/session/front.h"
#include "storage/base/clock.h"
#include "storage/base/limits.h"
#include "storage/base/logfmt.h"

#include <assert.h>
#include <glib.h>
#include <stdlib.h>
#include <time.h>

#define LMTP_MAGIC    0x1a3d9c01u
#define SESSION_MAGIC 0x1a3d9c02u

enum { CANDIDATES_MAX = 4, VERBS = LMTP_UNKNOWN + 1 };

struct lmtp {
	uint32_t magic;
	char *hostname;
	uint64_t message_bytes;
	bool whole_address;
	struct tls *tls;

	struct counter *commands[VERBS];
	struct counter *delivered, *refused, *deferred;
	struct counter *bytes;
	struct gauge *sessions;
	struct histogram *delivery_time; /* from the end of the message to the last answer */
};

enum session_state { COMMAND, LOOKING_UP, IN_DATA, IN_CHUNK, DELIVERING };

/* Whose mail is it? The accounts that may be meant, the most exact first. */
struct candidates {
	struct buf names[CANDIDATES_MAX]; /* normalised, with a NUL behind */
	bool with_folder[CANDIDATES_MAX]; /* user+folder was taken apart for it */
	size_t count;
	size_t at; /* the one that is looked up */
	struct buf address;
	struct buf folder; /* with a NUL behind */
};

struct lmtp_session {
	uint32_t magic;
	struct lmtp *lmtp;
	struct conn *conn; /* NULL: gone */
	session_id id;
	struct front_client client;
	struct read_call read;
	Tm__ReadAccount read_account;
	enum session_state state;
	unsigned bad;  /* commands in a row that were none */
	bool greeted;  /* LHLO was said */
	bool skipping; /* the rest of a line that is too long */
	bool blocked;  /* the delivery's window is full */
	bool eof;      /* the client says no more */
	bool stopping; /* the server does */
	bool start_tls;
	struct buf name; /* what the client calls itself */

	/* One transaction. */
	bool in_mail;
	bool utf8;
	struct buf sender;
	struct lmtp_recipient **recipients;
	size_t recipient_count, recipient_capacity;
	struct candidates lookup;
	struct lmtp_delivery *delivery; /* NULL: the message has not begun */
	struct lmtp_data data;
	struct buf text; /* unstuffed, on its way */
	bool by_chunks;
	uint64_t chunk_left;
	bool chunk_last;
	bool chunk_refused; /* its bytes are thrown away */
	uint64_t ended_ns;
	unsigned messages; /* of this session, for Received's id */
};

static void run(struct lmtp_session *s);

/* ---- the process-wide part ---- */

static const char *const verb_names[VERBS] = {
	[LMTP_LHLO] = "LHLO", [LMTP_MAIL] = "MAIL",         [LMTP_RCPT] = "RCPT",
	[LMTP_DATA] = "DATA", [LMTP_BDAT] = "BDAT",         [LMTP_RSET] = "RSET",
	[LMTP_NOOP] = "NOOP", [LMTP_VRFY] = "VRFY",         [LMTP_QUIT] = "QUIT",
	[LMTP_HELO] = "HELO", [LMTP_STARTTLS] = "STARTTLS", [LMTP_UNKNOWN] = "unknown",
};

static struct counter *outcome_counter(struct metrics *m, const char *label)
{
	return metrics_counter(m, "tidemark_lmtp_deliveries_total", label,
			       "Recipients for whom a message was taken, refused, or put off.");
}

static void register_metrics(struct lmtp *lm, struct metrics *m)
{
	for (int i = 0; i < VERBS; i++) {
		struct buf label = { 0 };
		metrics_label(&label, "command", span_str(verb_names[i]));
		buf_putc(&label, '\0');
		lm->commands[i] = metrics_counter(m, "tidemark_lmtp_commands_total", label.at,
						  "LMTP commands.");
		buf_free(&label);
	}
	lm->delivered = outcome_counter(m, "outcome=\"delivered\"");
	lm->refused = outcome_counter(m, "outcome=\"refused\"");
	lm->deferred = outcome_counter(m, "outcome=\"deferred\"");
	lm->bytes = metrics_counter(m, "tidemark_lmtp_message_bytes_total", NULL,
				    "Bytes of messages that came by LMTP.");
	lm->sessions = metrics_gauge(m, "tidemark_lmtp_sessions", NULL, "LMTP connections.");
	lm->delivery_time = metrics_histogram(m, "tidemark_lmtp_delivery_seconds", NULL,
					      "From the end of a message to its last answer.");
}

struct lmtp *lmtp_create(const struct lmtp_options *o)
{
	struct lmtp *lm = calloc(1, sizeof(*lm));

	if (lm == NULL)
		abort();
	*lm = (struct lmtp){ .magic = LMTP_MAGIC,
			     .hostname = strdup(o->hostname),
			     .message_bytes = o->message_bytes,
			     .whole_address = o->whole_address,
			     .tls = o->tls };
	if (lm->hostname == NULL)
		abort();
	register_metrics(lm, o->metrics);
	return lm;
}

void lmtp_free(struct lmtp **l)
{
	if (*l == NULL)
		return;
	free((*l)->hostname);
	free(*l);
	*l = NULL;
}

/* ---- replies ---- */

static struct lmtp_session *session_of(struct conn *c)
{
	struct lmtp_session *s = conn_data(c);

	assert(s != NULL && s->magic == SESSION_MAGIC && s->conn == c);
	return s;
}

/* "250 2.0.0 ok" and CRLF. */
static void reply(struct lmtp_session *s, const char *text)
{
	struct buf *out = conn_out(s->conn);

	buf_puts(out, text);
	buf_puts(out, "\r\n");
}

static void bye(struct lmtp_session *s, const char *text)
{
	reply(s, text);
	conn_close(s->conn);
}

/* A command that was none; too many in a row are no accident. */
static void reply_bad(struct lmtp_session *s, const char *text)
{
	reply(s, text);
	if (++s->bad >= LMTP_BAD_COMMANDS_MAX)
		bye(s, "421 4.7.0 too many errors");
}

/* ---- the transaction ---- */

static void candidates_free(struct candidates *c)
{
	for (size_t i = 0; i < CANDIDATES_MAX; i++)
		buf_free(&c->names[i]);
	buf_free(&c->address);
	buf_free(&c->folder);
	*c = (struct candidates){ 0 };
}

static void reset(struct lmtp_session *s)
{
	lmtp_delivery_drop(&s->delivery);
	for (size_t i = 0; i < s->recipient_count; i++)
		lmtp_recipient_free(s->recipients[i]);
	free(s->recipients);
	s->recipients = NULL;
	s->recipient_count = s->recipient_capacity = 0;
	candidates_free(&s->lookup);
	buf_free(&s->sender);
	buf_free(&s->text);
	s->in_mail = false;
	s->utf8 = false;
	s->blocked = false;
	s->by_chunks = false;
	s->chunk_left = 0;
}

static void session_free(struct lmtp_session *s)
{
	reset(s);
	front_client_done(&s->client);
	buf_free(&s->name);
	s->magic = 0;
	free(s);
}

static bool waits(const struct lmtp_session *s)
{
	return s->state == LOOKING_UP || s->state == DELIVERING || s->blocked;
}

static void begin_wait(struct lmtp_session *s)
{
	conn_pause_reading(s->conn);
	conn_set_deadline(s->conn, 0);
}

static void end_wait(struct lmtp_session *s)
{
	conn_resume_reading(s->conn);
	conn_set_deadline(s->conn, (uint64_t)LMTP_IDLE_MAX_SECONDS * 1000);
	run(s);
}

/* ---- RCPT: whose mail is it? ---- */

static void add_candidate(struct candidates *c, struct span name, bool with_folder)
{
	struct buf *to = &c->names[c->count];

	assert(c->count < CANDIDATES_MAX);
	if (account_name_normalise(name, to) < 0)
		return; /* no account can be called so */
	buf_putc(to, '\0');
	c->with_folder[c->count++] = with_folder;
}

static void add_candidates(struct candidates *c, struct span local, struct span domain,
			   bool with_folder, bool whole_only)
{
	struct buf whole = { 0 };

	if (domain.bytes != 0) {
		buf_put_span(&whole, local);
		buf_putc(&whole, '@');
		buf_put_span(&whole, domain);
		add_candidate(c, buf_span(&whole), with_folder);
		buf_free(&whole);
	}
	if (domain.bytes == 0 || !whole_only)
		add_candidate(c, local, with_folder);
}

/* A folder that can not be one is left away: then it is INBOX. */
static void set_folder(struct candidates *c, struct span folder)
{
	if (folder.bytes == 0 || folder.bytes > MAILBOX_NAME_MAX_BYTES ||
	    span_is(folder, "INBOX") || !g_utf8_validate(folder.at, (gssize)folder.bytes, NULL))
		return;
	char *nfc = g_utf8_normalize(folder.at, (gssize)folder.bytes, G_NORMALIZE_NFC);
	buf_puts(&c->folder, nfc);
	buf_putc(&c->folder, '\0');
	g_free(nfc);
}

/* joe+lists@example.org: the accounts joe+lists@example.org, joe+lists, joe@example.org, joe. */
static void find_candidates(struct candidates *c, const struct lmtp_address *a, bool whole_only)
{
	struct buf local = { 0 };

	lmtp_put_local(&local, a);
	buf_put_span(&c->address, a->whole);
	add_candidates(c, buf_span(&local), a->domain, false, whole_only);
	const char *plus = local.bytes == 0 ? NULL : memchr(local.at, '+', local.bytes);
	if (plus != NULL) {
		size_t n = (size_t)(plus - local.at);
		set_folder(c, span_of(plus + 1, local.bytes - n - 1));
		add_candidates(c, span_of(local.at, n), a->domain, true, whole_only);
	}
	buf_free(&local);
}

static void look_up(struct lmtp_session *s)
{
	struct candidates *c = &s->lookup;

	tm__read__init(&s->read.read);
	tm__read_account__init(&s->read_account);
	s->read.read.account = c->names[c->at].at;
	s->read.read.what_case = TM__READ__WHAT_ACCOUNT_ROW;
	s->read.read.account_row = &s->read_account;
	front_read(&s->client, &s->read);
}

static void add_recipient(struct lmtp_session *s)
{
	struct candidates *c = &s->lookup;
	bool folder = c->with_folder[c->at] && c->folder.bytes != 0;

	if (s->recipient_count == s->recipient_capacity) {
		size_t capacity = s->recipient_capacity == 0 ? 4 : 2 * s->recipient_capacity;
		s->recipients = realloc(s->recipients, capacity * sizeof(struct lmtp_recipient *));
		if (s->recipients == NULL)
			abort();
		s->recipient_capacity = capacity;
	}
	s->recipients[s->recipient_count++] = lmtp_recipient_new(
		buf_span(&c->address), c->names[c->at].at, folder ? c->folder.at : NULL);
}

static void looked_up(struct lmtp_session *s, const char *answer)
{
	candidates_free(&s->lookup);
	s->state = COMMAND;
	reply(s, answer);
	end_wait(s);
}

static void on_account(struct lmtp_session *s, const Tm__ReadFrame *f)
{
	struct candidates *c = &s->lookup;

	if (f->outcome == TM__OUTCOME__DONE && f->account != NULL) {
		if (f->account->disabled) {
			looked_up(s, "550 5.2.1 this account is disabled");
			return;
		}
		add_recipient(s);
		looked_up(s, "250 2.1.5 ok");
	} else if (f->outcome != TM__OUTCOME__NO_ACCOUNT) {
		looked_up(s, "451 4.3.0 can not look that account up now");
	} else if (++c->at < c->count) {
		look_up(s);
	} else {
		looked_up(s, "550 5.1.1 no such account");
	}
}

static void on_read_frame(struct front_client *k, struct read_call *call, const Tm__ReadFrame *f)
{
	struct lmtp_session *s =
		(struct lmtp_session *)((char *)k - offsetof(struct lmtp_session, client));
	(void)call;

	assert(s->magic == SESSION_MAGIC && s->state == LOOKING_UP);
	if (!f->end) /* an account row is one frame */
		return;
	if (s->conn == NULL)
		session_free(s);
	else if (!conn_is_closing(s->conn))
		on_account(s, f);
}

static void run_rcpt(struct lmtp_session *s, const struct lmtp_command *c)
{
	if (!s->in_mail) {
		reply(s, "503 5.5.1 MAIL first");
	} else if (s->delivery != NULL) {
		reply(s, "503 5.5.1 the message has begun");
	} else if (s->recipient_count >= LMTP_RECIPIENTS_MAX) {
		reply(s, "452 4.5.3 too many recipients");
	} else if (!s->utf8 && lmtp_has_8bit(c->address.whole)) {
		reply(s, "553 5.6.7 MAIL did not say SMTPUTF8");
	} else {
		find_candidates(&s->lookup, &c->address, s->lmtp->whole_address);
		if (s->lookup.count == 0) {
			candidates_free(&s->lookup);
			reply(s, "550 5.1.1 no such account");
			return;
		}
		s->state = LOOKING_UP;
		begin_wait(s);
		look_up(s);
	}
}

/* ---- DATA, BDAT: the message ---- */

static void put_date(struct buf *out)
{
	char text[64];
	time_t now = (time_t)clock_real_seconds();
	struct tm tm;

	(void)gmtime_r(&now, &tm);
	(void)strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	buf_puts(out, text);
}

/* RFC 5321, 4.4. With several recipients nothing that names one of them, so that they share it. */
static void put_head(struct lmtp_session *s, struct buf *out)
{
	char address[CONN_ADDRESS_BYTES];
	const char *peer = conn_peer_address(s->conn, address);
	const char *only =
		s->recipient_count == 1 ? lmtp_recipient_address(s->recipients[0]) : NULL;

	buf_puts(out, "Return-Path: <");
	buf_put_span(out, buf_span(&s->sender));
	buf_puts(out, ">\r\n");
	if (only != NULL)
		buf_printf(out, "Delivered-To: %s\r\n", only);
	buf_puts(out, "Received: from ");
	buf_put_span(out, buf_span(&s->name));
	buf_printf(out, strchr(peer, ':') != NULL ? " ([IPv6:%s])\r\n\t" : " ([%s])\r\n\t", peer);
	buf_printf(out, "by %s (Tidemark) with %sLMTP%s id %llx.%x", s->lmtp->hostname,
		   s->utf8 ? "UTF8" : "", conn_is_tls(s->conn) ? "S" : "",
		   (unsigned long long)s->id.v, ++s->messages);
	if (only != NULL)
		buf_printf(out, "\r\n\tfor <%s>", only);
	buf_puts(out, ";\r\n\t");
	put_date(out);
	buf_puts(out, "\r\n");
}

static void on_ready(void *data)
{
	struct lmtp_session *s = data;

	assert(s->magic == SESSION_MAGIC && s->blocked);
	s->blocked = false;
	end_wait(s);
}

/* An outcome as a reply, and what is counted: 2, 4 or 5. */
static int outcome_reply(Tm__Outcome outcome, const char **ret)
{
	switch (outcome) {
	case TM__OUTCOME__DONE: *ret = "250 2.0.0"; return 2;
	case TM__OUTCOME__NO_ACCOUNT: *ret = "550 5.1.1"; return 5;
	case TM__OUTCOME__TOO_BIG: *ret = "552 5.3.4"; return 5;
	case TM__OUTCOME__OVER_QUOTA: *ret = "552 5.2.2"; return 5;
	case TM__OUTCOME__NO_MAILBOX: /* INBOX is always there */
	case TM__OUTCOME__NAME_EXISTS:
	case TM__OUTCOME__HAS_CHILDREN:
	case TM__OUTCOME__CANNOT:
	case TM__OUTCOME__LIMIT:
	case TM__OUTCOME__GONE:
	case TM__OUTCOME__CHUNKS_MISSING: /* the client sends it all again */
	case TM__OUTCOME__TOO_MANY:
	case TM__OUTCOME__UNAVAILABLE:
	case TM__OUTCOME__UNKNOWN_FATE: /* twice is better than never */
	case TM__OUTCOME__WITHDRAWN:
	case TM__OUTCOME__USE_ATTR:
	case _TM__OUTCOME_IS_INT_SIZE: break;
	}
	*ret = "451 4.3.0";
	return 4;
}

static const char *outcome_text(Tm__Outcome outcome, int kind)
{
	if (outcome == TM__OUTCOME__NO_ACCOUNT)
		return "no such account";
	if (outcome == TM__OUTCOME__TOO_BIG)
		return "the message is too big";
	if (outcome == TM__OUTCOME__OVER_QUOTA)
		return "the mailbox is full";
	return kind == 2 ? "delivered" : "can not deliver now";
}

static void on_answer(void *data, const struct lmtp_recipient *r, Tm__Outcome outcome)
{
	struct lmtp_session *s = data;
	const char *code;
	int kind = outcome_reply(outcome, &code);

	counter_add(kind == 2   ? s->lmtp->delivered
		    : kind == 5 ? s->lmtp->refused
				: s->lmtp->deferred,
		    1);
	log_info(kind == 2 ? "delivered" : "not delivered", LOG_SESSION(s->id),
		 LOG_STR("account", lmtp_recipient_account(r)),
		 LOG_STR("recipient", lmtp_recipient_address(r)),
		 LOG_SPAN("sender", buf_span(&s->sender)), LOG_STR("reply", code), LOG_END);
	if (!conn_is_closing(s->conn))
		buf_printf(conn_out(s->conn), "%s <%s> %s\r\n", code, lmtp_recipient_address(r),
			   outcome_text(outcome, kind));
}

static void on_done(void *data)
{
	struct lmtp_session *s = data;

	assert(s->magic == SESSION_MAGIC && s->state == DELIVERING);
	s->delivery = NULL;
	histogram_record_ns(s->lmtp->delivery_time, clock_boot_ns() - s->ended_ns);
	reset(s);
	s->state = COMMAND;
	if (!conn_is_closing(s->conn))
		end_wait(s);
}

static void begin_message(struct lmtp_session *s)
{
	struct buf head = { 0 };

	put_head(s, &head);
	const struct lmtp_delivery_options o = {
		.front = s->client.front,
		.recipients = s->recipients,
		.count = s->recipient_count,
		.head = buf_span(&head),
		.max_bytes = s->lmtp->message_bytes,
		.owner = { s, on_ready, on_answer, on_done },
	};
	s->delivery = lmtp_delivery_begin(&o);
	s->recipients = NULL;
	s->recipient_count = s->recipient_capacity = 0;
	s->data = (struct lmtp_data){ 0 };
	buf_free(&head);
}

static void put_text(struct lmtp_session *s)
{
	if (!lmtp_delivery_put(s->delivery, buf_span(&s->text)))
		s->blocked = true;
	buf_reset(&s->text);
}

static void end_message(struct lmtp_session *s)
{
	counter_add(s->lmtp->bytes, lmtp_delivery_bytes(s->delivery));
	buf_free(&s->text);
	s->blocked = false;
	s->state = DELIVERING;
	s->ended_ns = clock_boot_ns();
	begin_wait(s);
	lmtp_delivery_finish(s->delivery);
}

static size_t take_data(struct lmtp_session *s, struct span in)
{
	bool end = false;
	size_t used = lmtp_data_feed(&s->data, in, &s->text, &end);

	put_text(s);
	if (end)
		end_message(s);
	else if (s->blocked)
		begin_wait(s);
	return used;
}

static void end_chunk(struct lmtp_session *s)
{
	if (s->chunk_refused) {
		reply(s, "503 5.5.1 no message can come now");
		s->state = COMMAND;
	} else if (s->chunk_last) {
		end_message(s);
	} else {
		reply(s, lmtp_delivery_is_too_big(s->delivery) ? "552 5.3.4 the message is too big"
							       : "250 2.0.0 chunk taken");
		s->state = COMMAND;
	}
}

static size_t take_chunk(struct lmtp_session *s, struct span in)
{
	size_t n = in.bytes < s->chunk_left ? in.bytes : (size_t)s->chunk_left;

	s->chunk_left -= n;
	if (!s->chunk_refused) {
		lmtp_put_text(&s->text, span_of(in.at, n));
		put_text(s);
	}
	if (s->chunk_left == 0)
		end_chunk(s);
	if (s->blocked)
		begin_wait(s);
	return n;
}

static void run_data(struct lmtp_session *s)
{
	if (!s->in_mail) {
		reply(s, "503 5.5.1 MAIL first");
	} else if (s->by_chunks) {
		reply(s, "503 5.5.1 the message comes by BDAT");
	} else if (s->recipient_count == 0) {
		reply(s, "503 5.5.1 no recipient was accepted");
	} else {
		begin_message(s);
		s->state = IN_DATA;
		reply(s, "354 end the message with a dot on a line of its own");
	}
}

static void run_bdat(struct lmtp_session *s, const struct lmtp_command *c)
{
	s->chunk_left = c->size;
	s->chunk_last = c->last;
	s->chunk_refused = !s->in_mail || (s->delivery == NULL && s->recipient_count == 0);
	if (!s->chunk_refused && s->delivery == NULL) {
		begin_message(s);
		s->by_chunks = true;
	}
	s->state = IN_CHUNK;
	if (s->chunk_left == 0)
		end_chunk(s);
}

/* ---- the other commands ---- */

static void run_lhlo(struct lmtp_session *s, const struct lmtp_command *c)
{
	struct buf *out = conn_out(s->conn);

	reset(s);
	s->greeted = true;
	buf_reset(&s->name);
	buf_put_span(&s->name, c->name);
	buf_printf(out, "250-%s\r\n", s->lmtp->hostname);
	buf_puts(out, "250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n"
		      "250-SMTPUTF8\r\n250-CHUNKING\r\n");
	if (s->lmtp->tls != NULL && !conn_is_tls(s->conn))
		buf_puts(out, "250-STARTTLS\r\n");
	buf_printf(out, "250 SIZE %llu\r\n", (unsigned long long)s->lmtp->message_bytes);
}

static void run_mail(struct lmtp_session *s, const struct lmtp_command *c)
{
	if (!s->greeted) {
		reply(s, "503 5.5.1 LHLO first");
	} else if (s->in_mail) {
		reply(s, "503 5.5.1 one message at a time");
	} else if (c->has_size && c->size > s->lmtp->message_bytes) {
		reply(s, "552 5.3.4 the message is too big");
	} else {
		s->in_mail = true;
		s->utf8 = c->utf8;
		buf_reset(&s->sender);
		buf_put_span(&s->sender, c->address.whole);
		reply(s, "250 2.1.0 ok");
	}
}

static void run_starttls(struct lmtp_session *s)
{
	if (s->lmtp->tls == NULL || conn_is_tls(s->conn)) {
		reply(s, "503 5.5.1 no TLS here");
		return;
	}
	reply(s, "220 2.0.0 go ahead");
	s->start_tls = true; /* once the command is consumed */
}

static void reply_fault(struct lmtp_session *s, const struct lmtp_command *c)
{
	switch (c->fault) {
	case LMTP_FINE: return;
	case LMTP_BAD_SYNTAX: reply_bad(s, "501 5.5.4 that is not how it is written"); return;
	case LMTP_BAD_ADDRESS:
		reply_bad(s, c->verb == LMTP_MAIL ? "501 5.1.7 not an address in <>"
						  : "501 5.1.3 not an address in <>");
		return;
	case LMTP_BAD_PARAMETER: reply_bad(s, "501 5.5.4 a parameter is wrong"); return;
	case LMTP_UNKNOWN_PARAMETER: reply_bad(s, "555 5.5.4 a parameter is unknown"); return;
	case LMTP_NEEDS_UTF8: reply_bad(s, "553 5.6.7 SMTPUTF8 was not said"); return;
	}
}

static void run_command(struct lmtp_session *s, const struct lmtp_command *c)
{
	switch (c->verb) {
	case LMTP_LHLO: run_lhlo(s, c); return;
	case LMTP_MAIL: run_mail(s, c); return;
	case LMTP_RCPT: run_rcpt(s, c); return;
	case LMTP_DATA: run_data(s); return;
	case LMTP_BDAT: run_bdat(s, c); return;
	case LMTP_RSET:
		reset(s);
		reply(s, "250 2.0.0 ok");
		return;
	case LMTP_NOOP: reply(s, "250 2.0.0 ok"); return;
	case LMTP_VRFY: reply(s, "252 2.5.2 send it and see"); return;
	case LMTP_QUIT: bye(s, "221 2.0.0 bye"); return;
	case LMTP_STARTTLS: run_starttls(s); return;
	case LMTP_HELO:
	case LMTP_UNKNOWN: return; /* answered before */
	}
}

static void take_command(struct lmtp_session *s, struct span line)
{
	struct lmtp_command c;

	lmtp_parse_command(line, &c);
	counter_add(s->lmtp->commands[c.verb], 1);
	if (c.verb == LMTP_HELO) {
		reply_bad(s, "500 5.5.1 this is LMTP: say LHLO");
	} else if (c.verb == LMTP_UNKNOWN) {
		reply_bad(s, "500 5.5.1 no such command");
	} else if (c.fault != LMTP_FINE) {
		reply_fault(s, &c);
	} else {
		s->bad = 0;
		run_command(s, &c);
	}
}

/* ---- bytes ---- */

static size_t skip_line(struct lmtp_session *s, struct span in)
{
	const char *lf = memchr(in.at, '\n', in.bytes);

	if (lf == NULL)
		return in.bytes;
	s->skipping = false;
	reply_bad(s, "500 5.5.6 the line is too long");
	return (size_t)(lf - in.at) + 1;
}

/* How much was taken; 0: it needs more. */
static size_t take_line(struct lmtp_session *s, struct span in)
{
	struct span line = { 0 };
	size_t used = 0;

	if (s->skipping)
		return skip_line(s, in);
	switch (lmtp_take_line(in, &line, &used)) {
	case LMTP_LINE_OK: take_command(s, line); break;
	case LMTP_LINE_MORE: return 0;
	case LMTP_LINE_TOO_LONG: s->skipping = true; break;
	case LMTP_LINE_BARE_LF: reply_bad(s, "500 5.5.2 lines end with CR LF"); break;
	}
	return used;
}

static size_t take(struct lmtp_session *s, struct span in)
{
	switch (s->state) {
	case COMMAND: return take_line(s, in);
	case IN_DATA: return take_data(s, in);
	case IN_CHUNK: return take_chunk(s, in);
	case LOOKING_UP:
	case DELIVERING: return 0;
	}
	return 0;
}

static void say_stopping(struct lmtp_session *s)
{
	bye(s, "421 4.3.2 the server stops");
}

/* Take all that is there and may be taken now. */
static void run(struct lmtp_session *s)
{
	struct conn *c = s->conn;

	while (!conn_is_closing(c) && !waits(s) && !conn_is_full(c)) {
		struct span in = conn_input(c);
		if (s->stopping && s->state == COMMAND) {
			say_stopping(s);
			return;
		}
		size_t used = in.bytes == 0 ? 0 : take(s, in);
		if (used == 0)
			break;
		conn_consume(c, used);
		if (s->start_tls) {
			s->start_tls = false;
			conn_start_tls(c, s->lmtp->tls);
			return;
		}
	}
	if (s->eof && !conn_is_closing(c) && !waits(s) && !conn_is_full(c))
		conn_close(c);
}

/* ---- the connection ---- */

static void on_stop(struct front_client *k)
{
	struct lmtp_session *s =
		(struct lmtp_session *)((char *)k - offsetof(struct lmtp_session, client));

	s->stopping = true;
	if (s->conn == NULL || conn_is_closing(s->conn) || s->state == DELIVERING)
		return; /* after the answers */
	say_stopping(s);
}

static void ignore_op(struct front_client *k, struct op_call *c, const Tm__OpResult *result)
{
	(void)k;
	(void)c;
	(void)result;
}

static const struct front_client_ops session_ops = {
	.op_done = ignore_op,
	.read_frame = on_read_frame,
	.stop = on_stop,
};

static void on_open(struct conn *c)
{
	struct lmtp *lm = conn_data(c);
	struct lmtp_session *s = calloc(1, sizeof(*s));
	struct front *front = front_of(conn_loop(c));

	assert(lm->magic == LMTP_MAGIC);
	if (s == NULL)
		abort();
	*s = (struct lmtp_session){ .magic = SESSION_MAGIC, .lmtp = lm, .conn = c };
	s->id = front_draw_session_id(front);
	conn_set_data(c, s);
	conn_set_deadline(c, (uint64_t)LMTP_IDLE_MAX_SECONDS * 1000);
	gauge_add(lm->sessions, 1);
	if (!front_is_stopping(front))
		buf_printf(conn_out(c), "220 %s LMTP Tidemark\r\n", lm->hostname);
	front_client_init(&s->client, front, &session_ops, (client_id){ { 0 } });
}

static void on_input(struct conn *c)
{
	conn_set_deadline(c, (uint64_t)LMTP_IDLE_MAX_SECONDS * 1000);
	run(session_of(c));
}

static void on_eof(struct conn *c)
{
	struct lmtp_session *s = session_of(c);

	s->eof = true;
	run(s);
}

static void on_tls(struct conn *c)
{
	struct lmtp_session *s = session_of(c);

	reset(s);
	s->greeted = false; /* RFC 3207, 4.2: as if it had just come */
	buf_reset(&s->name);
}

static void on_drained(struct conn *c)
{
	run(session_of(c));
}

static void on_deadline(struct conn *c)
{
	bye(session_of(c), "421 4.4.2 nothing came for too long");
}

static void on_closed(struct conn *c, enum conn_end why)
{
	struct lmtp_session *s = session_of(c);
	(void)why;

	gauge_add(s->lmtp->sessions, -1);
	s->conn = NULL;
	lmtp_delivery_drop(&s->delivery);
	if (front_client_is_busy(&s->client))
		front_read_cancel(&s->client, &s->read);
	else
		session_free(s);
}

const struct conn_handler lmtp_handler = {
	.on_open = on_open,
	.on_input = on_input,
	.on_eof = on_eof,
	.on_tls = on_tls,
	.on_drained = on_drained,
	.on_deadline = on_deadline,
	.on_closed = on_closed,
};
