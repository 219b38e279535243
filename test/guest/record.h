/*
 * What the guest writes to its disk. Read by test/Testing/Guest/GuestRecord.cs and GuestLayout.cs: change both together.
 *
 * A record is 4096 bytes, 512 little-endian 64-bit words, written with one O_DIRECT write:
 *
 *   word 0      magic, "GODWITR1"
 *   word 1      sequence number, from 1; for filler the number of the block
 *   word 2      byte offset of this record on the disk
 *   word 3      guest time when it was made, nanoseconds
 *   word 4      generation: one value per boot, larger for a later boot
 *   word 5      checksum over all words, this one taken as 0
 *   word 6      flags: 1 = a flush follows before it is acknowledged, 2 = filler
 *   word 7-511  pattern from sequence and generation (incompressible)
 *
 * The disk:
 *
 *   0      unused, 1 MiB
 *   ring   slots written over and over; sequence numbers jump about in it so that neighbours are not written in a row
 *   fill   filler, up to half of the disk
 *   far    second half: every far-th record goes to a fresh slot here, `stride` bytes after the one before, so that
 *          new blocks of a growing image are allocated. At the end of the disk it starts again one slot further on.
 *
 * Which slot a sequence number goes to depends on the layout alone, so the host needs only the numbers:
 *
 *   far != 0 and sequence % far == 0:   k = sequence / far - 1;  lane = k / farSlots % (stride / 4096);
 *                                       offset = farStart + k % farSlots * stride + lane * 4096
 *   else:                               i = sequence - (far ? sequence / far : 0);
 *                                       offset = ringStart + i * 2654435761 % ringSlots * 4096
 */
#ifndef GODWIT_RECORD_H
#define GODWIT_RECORD_H

#include <stdint.h>

enum { RECORD_BYTES = 4096, RECORD_WORDS = RECORD_BYTES / 8, FLAG_FLUSHED = 1, FLAG_FILLER = 2 };

#define RECORD_MAGIC 0x3152544957444F47ULL /* "GODWITR1" */
#define RING_STEP 2654435761ULL            /* a prime above any ring size: visits every slot */

struct layout {
    uint64_t disk_bytes, ring_start, ring_slots, fill_start, fill_limit, far, far_start, far_slots, stride;
};

/* Where a sequence number is stored. */
uint64_t slot_offset(const struct layout *layout, uint64_t sequence);

/* Index of the slot at an offset in an array of all ring slots, then all far slots. */
uint64_t slot_index(const struct layout *layout, uint64_t offset);

/* Number of slots in all. */
uint64_t slot_count(const struct layout *layout);

void make_record(uint64_t *words, uint64_t sequence, uint64_t offset, uint64_t time, uint64_t generation, uint64_t flags);

/* 0 = no record at all, 1 = whole, -1 = damaged or of another place. */
int check_record(const uint64_t *words, uint64_t offset);

#endif
