/* fuzz_uidset.c: any bytes decode or are refused; what decodes encodes to the same bytes, and
 * walking agrees with decoding. */
#include "storage/base/err.h"
#include "storage/base/limits.h"
#include "storage/base/uidset.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span bytes = span_of(data, size);
	struct uidset s = { 0 };
	struct uidset walked = { 0 };
	struct uidset_iter it;
	struct uid_range r;
	struct buf out = { 0 };
	int rc = uidset_decode(bytes, UID_SET_MAX_RANGES, &s);

	uidset_iter_init(&it, bytes);
	while (uidset_iter_next(&it, &r))
		uidset_add_range(&walked, r.lo, r.hi);
	if (it.corrupt ? rc == OK : rc != OK && walked.count <= UID_SET_MAX_RANGES)
		abort();
	if (rc == OK) {
		uidset_encode(&s, &out);
		if (!uidset_eq(&s, &walked) || !span_eq(buf_span(&out), bytes))
			abort();
	}
	buf_free(&out);
	uidset_free(&walked);
	uidset_free(&s);
	return 0;
}
