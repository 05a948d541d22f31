#include "storage/base/err.h"

static const char *const names[] = {
	[0] = "ok",
	[-ERR_NOT_FOUND] = "not-found",
	[-ERR_EXISTS] = "exists",
	[-ERR_CORRUPT] = "corrupt",
	[-ERR_NOT_LEADER] = "not-leader",
	[-ERR_BUSY] = "busy",
	[-ERR_NO_SPACE] = "no-space",
	[-ERR_IO] = "io",
	[-ERR_TOO_BIG] = "too-big",
	[-ERR_BAD_INPUT] = "bad-input",
	[-ERR_NO_MEMORY] = "no-memory",
	[-ERR_TIMED_OUT] = "timed-out",
	[-ERR_DENIED] = "denied",
	[-ERR_CLOSED] = "closed",
	[-ERR_MISSING] = "missing",
	[-ERR_UNSUPPORTED] = "unsupported",
};

const char *err_name(int err)
{
	if (err > 0 || -err >= (int)(sizeof(names) / sizeof(names[0])))
		return "unknown";
	return names[-err];
}
