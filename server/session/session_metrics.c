#include "server/session/session_metrics.h"

#include <glib.h>

static const char *const outcomes[3] = {
	[RESPONSE_OK] = "ok",
	[RESPONSE_NO] = "no",
	[RESPONSE_BAD] = "bad",
};

static void register_kind(struct session_metrics *s, struct metrics *m, enum command_kind kind)
{
	struct buf labels = { 0 };

	for (unsigned i = 0; i < G_N_ELEMENTS(outcomes); i++) {
		buf_reset(&labels);
		metrics_label(&labels, "command", span_str(command_kind_name(kind)));
		buf_putc(&labels, ',');
		metrics_label(&labels, "outcome", span_str(outcomes[i]));
		buf_putc(&labels, '\0');
		s->commands[kind][i] = metrics_counter(m, "tidemark_imap_commands_total", labels.at,
						       "IMAP commands that were answered.");
	}
	buf_reset(&labels);
	metrics_label(&labels, "command", span_str(command_kind_name(kind)));
	buf_putc(&labels, '\0');
	s->latency[kind] = metrics_histogram(m, "tidemark_imap_command_seconds", labels.at,
					     "From the complete command to its tagged answer.");
	buf_free(&labels);
}

struct session_metrics *session_metrics_create(struct metrics *m)
{
	struct session_metrics *s = g_new0(struct session_metrics, 1);

	for (unsigned kind = 0; kind < CMD_COUNT; kind++)
		register_kind(s, m, (enum command_kind)kind);
	s->byes = metrics_counter(m, "tidemark_imap_byes_total", NULL,
				  "IMAP connections that the server ended.");
	s->sessions = metrics_gauge(m, "tidemark_imap_sessions", NULL, "IMAP sessions now.");
	s->selected = metrics_gauge(m, "tidemark_imap_sessions_selected", NULL,
				    "IMAP sessions that have a mailbox selected.");
	s->idling =
		metrics_gauge(m, "tidemark_imap_sessions_idling", NULL, "IMAP sessions in IDLE.");
	return s;
}

void session_metrics_free(struct session_metrics **m)
{
	g_free(*m);
	*m = NULL;
}

void session_metrics_command(struct session_metrics *m, enum command_kind kind,
			     enum response_status status, uint64_t ns)
{
	if (m == NULL || status > RESPONSE_BAD)
		return;
	counter_add(m->commands[kind][status], 1);
	histogram_record_ns(m->latency[kind], ns);
}

void session_metrics_bye(struct session_metrics *m)
{
	if (m != NULL)
		counter_add(m->byes, 1);
}

void session_metrics_sessions(struct session_metrics *m, int more)
{
	if (m != NULL)
		gauge_add(m->sessions, more);
}

void session_metrics_selected(struct session_metrics *m, int more)
{
	if (m != NULL)
		gauge_add(m->selected, more);
}

void session_metrics_idling(struct session_metrics *m, int more)
{
	if (m != NULL)
		gauge_add(m->idling, more);
}
