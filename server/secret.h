/* secret.h: the node's own 32 random bytes, in DIR/secret (mode 0600), made when missing. Salts
 * that are shown for unknown accounts come from it, so they stay the same over restarts. */
#ifndef SERVER_SECRET_H
#define SERVER_SECRET_H

#include <stdint.h>

/* OK, ERR_IO, or ERR_CORRUPT: the file is not 32 bytes long. */
int secret_load(const char *dir, uint8_t ret[32]);

#endif
