/* kv.c: the calls of kv.h, checked, handed to the back end. */
#include "storage/kv.h"

#include "storage/base/crash_point.h"

#include <assert.h>

/* Tests fail the disk here, whichever back end it is. */
static int read_fault(const struct kv *kv)
{
	return kv->is_log ? FAULT_POINT("log.read") : FAULT_POINT("state.read");
}

static int write_fault(const struct kv *kv)
{
	return kv->is_log ? FAULT_POINT("log.write") : FAULT_POINT("state.write");
}

static void assert_range(struct kv_range r)
{
	assert(r.lo.bytes > 0 && r.hi.bytes > 0);
}

void kv_close(struct kv **kv)
{
	if (*kv != NULL)
		(*kv)->ops->close(*kv);
	*kv = NULL;
}

int kv_snapshot(struct kv *kv, struct kv_snapshot **ret)
{
	int rc = read_fault(kv);

	return rc < 0 ? rc : kv->ops->snapshot(kv, ret);
}

void kv_release(struct kv *kv, struct kv_snapshot **s)
{
	if (*s != NULL)
		kv->ops->release(kv, *s);
	*s = NULL;
}

int kv_get(struct kv *kv, const struct kv_snapshot *s, enum kv_family f, struct span key,
	   struct buf *ret)
{
	int rc = read_fault(kv);

	return rc < 0 ? rc : kv->ops->get(kv, s, f, key, ret);
}

int kv_get_persisted(struct kv *kv, enum kv_family f, struct span key, struct buf *ret)
{
	int rc = read_fault(kv);

	return rc < 0 ? rc : kv->ops->get_persisted(kv, f, key, ret);
}

int kv_get_many(struct kv *kv, enum kv_family f, const struct span *keys, size_t count,
		kv_found_fn fn, void *data)
{
	int rc = read_fault(kv);

	return rc < 0 || count == 0 ? rc : kv->ops->get_many(kv, f, keys, count, fn, data);
}

int kv_iterate(struct kv *kv, const struct kv_snapshot *s, enum kv_family f, struct kv_range range,
	       kv_row_fn fn, void *data)
{
	int rc = read_fault(kv);

	assert_range(range);
	return rc < 0 ? rc : kv->ops->iterate(kv, s, f, range, fn, data);
}

int kv_last(struct kv *kv, enum kv_family f, struct kv_range range, kv_row_fn fn, void *data)
{
	int rc = read_fault(kv);

	assert_range(range);
	return rc < 0 ? rc : kv->ops->last(kv, f, range, fn, data);
}

struct kv_batch *kv_batch_new(struct kv *kv)
{
	return kv->ops->batch_new(kv);
}

void kv_batch_free(struct kv_batch **b)
{
	if (*b != NULL)
		(*b)->kv->ops->batch_free(*b);
	*b = NULL;
}

void kv_batch_clear(struct kv_batch *b)
{
	b->kv->ops->batch_clear(b);
}

void kv_batch_put(struct kv_batch *b, enum kv_family f, struct span key, struct span value)
{
	b->kv->ops->batch_put(b, f, key, value, span_of("", 0));
}

void kv_batch_put2(struct kv_batch *b, enum kv_family f, struct span key, struct span head,
		   struct span tail)
{
	b->kv->ops->batch_put(b, f, key, head, tail);
}

void kv_batch_delete(struct kv_batch *b, enum kv_family f, struct span key)
{
	b->kv->ops->batch_delete(b, f, key);
}

void kv_batch_delete_range(struct kv_batch *b, enum kv_family f, struct kv_range range)
{
	assert_range(range);
	b->kv->ops->batch_delete_range(b, f, range);
}

int kv_write(struct kv *kv, struct kv_batch *b, bool sync)
{
	int rc = write_fault(kv);

	assert(b->kv == kv);
	return rc < 0 ? rc : kv->ops->write(kv, b, sync);
}

int kv_flush(struct kv *kv)
{
	int rc = FAULT_POINT("state.flush");

	return rc < 0 ? rc : kv->ops->flush(kv);
}

bool kv_figure(struct kv *kv, const char *name, uint64_t *ret)
{
	return kv->ops->figure(kv, name, ret);
}
