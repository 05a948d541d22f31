/* Log entries: whatever can be decoded becomes a cut or is ERR_CORRUPT, and the table of what is
 * young finds in the bytes what the decoder found; never an assert. Over a disk in memory. */
#include "tests/sim/lib/sim_disk.c" /* the programs of tests/fuzz are one file each */

#include "storage/base/err.h"
#include "storage/cut.h"
#include "storage/young.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct pgen p = { { 0 }, 1 };
	struct sim_disk *disk = sim_disk_new(1);
	struct kv *kv = sim_disk_state(disk);
	struct cut *cut = cut_new(kv);
	struct young *young = young_new();
	/* The same entry twice: the second meets the rows of the first. */
	for (uint64_t seq = 1; seq <= 2; seq++) {
		struct log_entry *e =
			log_entry_new(p.partition, (log_seq){ seq }, 1, span_of(data, size));
		Tm__LogEntry *decoded;
		struct arena a;

		arena_init(&a);
		if (log_entry_decode(e, &a, &decoded) == OK)
			young_add(young, e, decoded);
		if (cut_begin(cut, p) == OK && cut_add(cut, e) == OK)
			cut_write(cut);
		arena_free(&a);
		log_entry_unref(&e);
	}
	young_free(&young);
	cut_free(&cut);
	kv_close(&kv);
	sim_disk_free(&disk);
	return 0;
}
