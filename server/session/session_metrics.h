/* session_metrics.h: what IMAP sessions count. One per process. */
#ifndef SERVER_SESSION_SESSION_METRICS_H
#define SERVER_SESSION_SESSION_METRICS_H

#include "server/imap/command.h"
#include "server/imap/response.h"
#include "storage/base/metrics.h"

#include <stdint.h>

struct session_metrics {
	struct counter *commands[CMD_COUNT][3]; /* by kind and RESPONSE_OK, _NO, _BAD */
	struct histogram *latency[CMD_COUNT];   /* from the complete command to its tag */
	struct counter *byes;
	struct gauge *sessions;
	struct gauge *selected;
	struct gauge *idling;
};

/* Registers everything; `m` NULL counts nothing. Never NULL; session_metrics_free(). Thread: main.
 */
struct session_metrics *session_metrics_create(struct metrics *m);
/* Accepts NULL, leaves NULL. */
void session_metrics_free(struct session_metrics **m);

/* All accept NULL. Thread: any. */
void session_metrics_command(struct session_metrics *m, enum command_kind kind,
			     enum response_status status, uint64_t ns);
void session_metrics_bye(struct session_metrics *m);
void session_metrics_sessions(struct session_metrics *m, int more);
void session_metrics_selected(struct session_metrics *m, int more);
void session_metrics_idling(struct session_metrics *m, int more);

#endif
