#include "server/auth/base64.h"

#include "storage/base/err.h"

void base64_put(struct buf *out, struct span bytes)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < bytes.bytes; i += 3) {
		size_t left = bytes.bytes - i;
		uint32_t v = (uint32_t)(unsigned char)bytes.at[i] << 16;
		if (left > 1)
			v |= (uint32_t)(unsigned char)bytes.at[i + 1] << 8;
		if (left > 2)
			v |= (unsigned char)bytes.at[i + 2];
		buf_putc(out, digits[v >> 18]);
		buf_putc(out, digits[v >> 12 & 63]);
		buf_putc(out, left > 1 ? digits[v >> 6 & 63] : '=');
		buf_putc(out, left > 2 ? digits[v & 63] : '=');
	}
}

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters, of which the last `pads` are padding. */
static int take_four(const char *at, size_t pads, struct buf *out)
{
	uint32_t v = 0;

	for (size_t i = 0; i < 4 - pads; i++) {
		int digit = value_of(at[i]);
		if (digit < 0)
			return ERR_BAD_INPUT;
		v |= (uint32_t)digit << (18 - 6 * i);
	}
	if ((pads == 2 && (v & 0xffff) != 0) || (pads == 1 && (v & 0xff) != 0))
		return ERR_BAD_INPUT;
	char bytes[3] = { (char)(v >> 16), (char)(v >> 8), (char)v };
	buf_put(out, bytes, 3 - pads);
	return OK;
}

int base64_take(struct span text, struct buf *out)
{
	size_t before = out->bytes;
	int rc = text.bytes % 4 == 0 ? OK : ERR_BAD_INPUT;

	for (size_t i = 0; rc == OK && i < text.bytes; i += 4) {
		size_t pads = 0;
		if (i + 4 == text.bytes && text.at[i + 3] == '=')
			pads = text.at[i + 2] == '=' ? 2 : 1;
		rc = take_four(text.at + i, pads, out);
	}
	if (rc < 0)
		out->bytes = before;
	return rc;
}
