#include "server/notify.h"

#include "storage/base/logfmt.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void notify(const char *state)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t bytes = path == NULL ? 0 : strlen(path);

	if (bytes == 0 || bytes >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, bytes);
	if (to.sun_path[0] == '@')
		to.sun_path[0] = '\0'; /* an abstract name */

	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes);
	if (fd < 0 || sendto(fd, state, strlen(state), 0, (struct sockaddr *)&to, length) < 0)
		log_warn("systemd cannot be told", LOG_STR("state", state));
	if (fd >= 0)
		close(fd);
}
