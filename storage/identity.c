/* identity.c: DIR/node, four lines of text:
 *	format 1
 *	cluster 1b4e28ba-2fa1-41d2-883f-0016d3cca427
 *	node 1
 *	partitions 256 */
#include "storage/identity.h"

#include "storage/base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { FORMAT = 1, TEXT_MAX_BYTES = 256, RANDOM_BYTES = 16 };

static void random_fill(uint8_t out[static RANDOM_BYTES])
{
	if (getrandom(out, RANDOM_BYTES, 0) != RANDOM_BYTES)
		abort();
}

static void hex_put(char *out, const uint8_t *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		snprintf(out + 2 * i, 3, "%02x", at[i]);
}

/* RFC 4122, version 4. */
static void uuid_draw(char out[static 37])
{
	uint8_t r[RANDOM_BYTES];
	char hex[33];

	random_fill(r);
	r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
	r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
	hex_put(hex, r, sizeof(r));
	snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

static int file_read(const char *path, char text[static TEXT_MAX_BYTES])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
	ssize_t n = read(fd, text, TEXT_MAX_BYTES - 1);
	close(fd);
	if (n < 0)
		return ERR_IO;
	text[n] = '\0';
	return OK;
}

static int text_parse(const char *text, struct db_identity *ret)
{
	unsigned format;
	int end = 0;
	/* NOLINTNEXTLINE(cert-err34-c): the widths bound the numbers */
	int n = sscanf(text, "format %5u\ncluster %36s\nnode %9u\npartitions %5u%n", &format,
		       ret->cluster, &ret->node, &ret->partitions, &end);

	if (n != 4 || format != FORMAT || strlen(ret->cluster) != 36 || ret->node == 0 ||
	    ret->partitions == 0 || ret->partitions >= UINT16_MAX ||
	    strspn(text + end, "\n") != strlen(text + end))
		return ERR_BAD_INPUT;
	return OK;
}

static int write_all(int fd, const char *text)
{
	size_t bytes = strlen(text);

	return write(fd, text, bytes) == (ssize_t)bytes && fsync(fd) == 0 ? OK : ERR_IO;
}

static int dir_sync(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) < 0 ? ERR_IO : OK;

	if (fd >= 0)
		close(fd);
	return rc;
}

/* Beside it first: there is never half a file. */
static int file_write(const char *dir, const char *path, const char *text)
{
	char beside[PATH_MAX_BYTES + 8];

	snprintf(beside, sizeof(beside), "%s.new", path);
	int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return ERR_IO;
	int rc = write_all(fd, text);
	close(fd);
	if (rc == OK && rename(beside, path) < 0)
		rc = ERR_IO;
	return rc < 0 ? rc : dir_sync(dir);
}

static int identity_make(const char *dir, const char *path, struct db_identity *id)
{
	char text[TEXT_MAX_BYTES];

	uuid_draw(id->cluster);
	id->node = 1;
	snprintf(text, sizeof(text), "format %d\ncluster %s\nnode %u\npartitions %u\n", FORMAT,
		 id->cluster, id->node, id->partitions);
	return file_write(dir, path, text);
}

int identity_open(const char *dir, unsigned partitions, struct db_identity *ret, struct buf *why)
{
	char path[PATH_MAX_BYTES];
	char text[TEXT_MAX_BYTES];
	struct db_identity id = { .partitions = partitions };
	uint8_t boot[RANDOM_BYTES];

	if (snprintf(path, sizeof(path), "%s/node", dir) >= (int)sizeof(path))
		return ERR_BAD_INPUT;
	int rc = file_read(path, text);
	if (rc == OK)
		rc = text_parse(text, &id);
	else if (rc == ERR_NOT_FOUND && partitions > 0)
		rc = identity_make(dir, path, &id);
	if (rc < 0) {
		buf_printf(why, "%s: %s", path,
			   rc == ERR_BAD_INPUT   ? "not an identity of this version"
			   : rc == ERR_NOT_FOUND ? "there is no node here"
						 : strerror(errno));
		return rc;
	}
	random_fill(boot);
	hex_put(id.boot, boot, sizeof(boot));
	*ret = id;
	return OK;
}
