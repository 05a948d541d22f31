#include "server/secret.h"

#include "storage/base/err.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

enum { SECRET_BYTES = 32, PATH_MAX_BYTES = 4096 };

static int make(const char *path, uint8_t ret[32])
{
	if (getrandom(ret, SECRET_BYTES, 0) != SECRET_BYTES)
		return ERR_IO;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return ERR_IO;
	int rc = write(fd, ret, SECRET_BYTES) == SECRET_BYTES && fsync(fd) == 0 ? OK : ERR_IO;
	return close(fd) == 0 ? rc : ERR_IO;
}

int secret_load(const char *dir, uint8_t ret[32])
{
	char path[PATH_MAX_BYTES];
	int n = snprintf(path, sizeof(path), "%s/secret", dir);

	if (n < 0 || (size_t)n >= sizeof(path))
		return ERR_IO;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return make(path, ret);
	ssize_t bytes = read(fd, ret, SECRET_BYTES);
	close(fd);
	return bytes == SECRET_BYTES ? OK : ERR_CORRUPT;
}
