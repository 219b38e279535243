/* Records and their places; see record.h. */
#include "record.h"

uint64_t slot_offset(const struct layout *layout, uint64_t sequence)
{
    if (layout->far && sequence % layout->far == 0) {
        uint64_t k = sequence / layout->far - 1;
        uint64_t lane = k / layout->far_slots % (layout->stride / RECORD_BYTES);
        return layout->far_start + k % layout->far_slots * layout->stride + lane * RECORD_BYTES;
    }

    uint64_t i = sequence - (layout->far ? sequence / layout->far : 0);
    return layout->ring_start + i * RING_STEP % layout->ring_slots * RECORD_BYTES;
}

uint64_t slot_index(const struct layout *layout, uint64_t offset)
{
    if (offset < layout->far_start)
        return (offset - layout->ring_start) / RECORD_BYTES;
    uint64_t lanes = layout->stride / RECORD_BYTES, at = offset - layout->far_start;
    return layout->ring_slots + at / layout->stride * lanes + at % layout->stride / RECORD_BYTES;
}

uint64_t slot_count(const struct layout *layout)
{
    return layout->ring_slots + layout->far_slots * (layout->stride / RECORD_BYTES);
}

static uint64_t checksum(const uint64_t *words)
{
    uint64_t sum = 0x243F6A8885A308D3ULL;
    for (int i = 0; i < RECORD_WORDS; i++)
        sum = ((sum << 5 | sum >> 59) ^ (i == 5 ? 0 : words[i])) * 0x9E3779B97F4A7C15ULL;
    return sum;
}

void make_record(uint64_t *words, uint64_t sequence, uint64_t offset, uint64_t time, uint64_t generation, uint64_t flags)
{
    words[0] = RECORD_MAGIC;
    words[1] = sequence;
    words[2] = offset;
    words[3] = time;
    words[4] = generation;
    words[6] = flags;
    uint64_t x = (sequence * 0x9E3779B97F4A7C15ULL ^ generation ^ flags << 62) | 1;
    for (int i = 7; i < RECORD_WORDS; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        words[i] = x;
    }

    words[5] = checksum(words);
}

int check_record(const uint64_t *words, uint64_t offset)
{
    if (words[0] != RECORD_MAGIC) {
        for (int i = 0; i < RECORD_WORDS; i++)
            if (words[i])
                return -1;
        return 0;
    }

    return words[2] == offset && words[5] == checksum(words) ? 1 : -1;
}
