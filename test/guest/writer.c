/* Writes records and filler to the disk, says which were acknowledged, and reads everything back. */
#define _GNU_SOURCE
#include "guest.h"
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { MIB = 1 << 20, BATCH = MIB / RECORD_BYTES };

static int disk = -1;
static struct layout at;
static uint64_t generation;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t next_sequence = 1, next_due;
static _Atomic uint64_t *acknowledged; /* latest acknowledged sequence number per slot */
static _Atomic int in_flight;

static void *aligned(size_t bytes)
{
    void *memory = NULL;
    return posix_memalign(&memory, RECORD_BYTES, bytes) ? NULL : memory;
}

int open_disk(const char *path, uint64_t area_bytes, uint64_t far, uint64_t stride, uint64_t this_generation)
{
    disk = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
    if (disk < 0 || ioctl(disk, BLKGETSIZE64, &at.disk_bytes) || at.disk_bytes < 8 * MIB) {
        say("N no disk at %s", path);
        disk = -1;
        return 0;
    }

    uint64_t half = at.disk_bytes / 2 / MIB * MIB;
    at.ring_start = MIB;
    at.ring_slots = (area_bytes < half / 2 ? area_bytes : half / 2) / RECORD_BYTES;
    at.fill_start = at.ring_start + at.ring_slots * RECORD_BYTES;
    at.fill_limit = half;
    at.far = far;
    at.far_start = half;
    at.stride = stride < half ? stride : half;
    at.far_slots = (at.disk_bytes - half) / at.stride;
    generation = this_generation;
    acknowledged = calloc(slot_count(&at), sizeof *acknowledged);
    say("L %llu %llu %llu %llu %llu %llu %llu %llu", (unsigned long long)at.disk_bytes, (unsigned long long)at.ring_start,
        (unsigned long long)at.ring_slots, (unsigned long long)at.far, (unsigned long long)at.far_start,
        (unsigned long long)at.far_slots, (unsigned long long)at.stride, (unsigned long long)at.fill_start);
    return acknowledged != NULL;
}

/* Waits for the next record's turn and takes its number. */
static uint64_t take_sequence(void)
{
    for (;;) {
        uint64_t rate = writes_per_second, now = now_ns(), due, sequence = 0;
        pthread_mutex_lock(&lock);
        if (next_due + 100000000 < now) /* after a stall go on at the set rate instead of catching up */
            next_due = now;
        due = rate ? next_due : now + 20000000;
        if (rate && !stopping) {
            next_due += 1000000000 / rate;
            sequence = next_sequence++;
            in_flight++;
        }

        pthread_mutex_unlock(&lock);
        sleep_until_ns(due);
        if (sequence)
            return sequence;
    }
}

static void acknowledge(uint64_t offset, uint64_t sequence)
{
    /* With several writers an older record of the slot may be reported after a newer one. */
    _Atomic uint64_t *slot = &acknowledged[slot_index(&at, offset)];
    uint64_t before = *slot;
    while (before < sequence && !atomic_compare_exchange_weak(slot, &before, sequence))
        ;
}

static void *writer(void *unused)
{
    (void)unused;
    uint64_t *words = aligned(RECORD_BYTES);
    for (;;) {
        uint64_t sequence = take_sequence(), every = flush_every;
        int flush = every && sequence % every == 0;
        uint64_t offset = slot_offset(&at, sequence), begun = now_ns();
        make_record(words, sequence, offset, begun, generation, flush ? FLAG_FLUSHED : 0);
        int failed = pwrite(disk, words, RECORD_BYTES, (off_t)offset) == RECORD_BYTES ? 0 : errno ? errno : EIO;
        if (!failed && flush && fdatasync(disk))
            failed = errno;
        if (failed) {
            say("E %llu %d", (unsigned long long)sequence, failed);
        } else {
            acknowledge(offset, sequence);
            say("A %llu %llu", (unsigned long long)sequence, (unsigned long long)((now_ns() - begun) / 1000));
        }

        in_flight--;
    }

    return NULL;
}

void start_writers(int count)
{
    for (int i = 0; disk >= 0 && i < count; i++)
        start_thread(writer, NULL);
}

void fill_disk(uint64_t mebibytes)
{
    static uint64_t filled;
    uint64_t *words = aligned(MIB), bytes = mebibytes * MIB;
    if (disk < 0 || !words)
        return;
    if (bytes > at.fill_limit - at.fill_start)
        bytes = (at.fill_limit - at.fill_start) / MIB * MIB;
    for (uint64_t done = 0; done < bytes && !stopping; done += MIB) {
        for (int i = 0; i < BATCH; i++) {
            uint64_t offset = at.fill_start + done + (uint64_t)i * RECORD_BYTES;
            make_record(words + i * RECORD_WORDS, offset / RECORD_BYTES, offset, now_ns(), generation, FLAG_FILLER);
        }

        if (pwrite(disk, words, MIB, (off_t)(at.fill_start + done)) != MIB) {
            say("X fill failed at %llu: %d", (unsigned long long)(at.fill_start + done), errno);
            break;
        }

        if (done + MIB > filled)
            filled = done + MIB;
    }

    int failed = fdatasync(disk) ? errno : 0;
    if (failed)
        say("X fill flush failed: %d", failed);
    say("F done %llu %llu", (unsigned long long)at.fill_start, (unsigned long long)filled);
    free(words);
}

/* 1 = as acknowledged or newer, 0 = not there, -1 = damaged. */
static int verify_slot(uint64_t *words, uint64_t offset, uint64_t sequence)
{
    int state = -1;
    for (int attempt = 0; attempt < 5 && state < 0; attempt++) { /* a writer may be at this very slot */
        if (pread(disk, words, RECORD_BYTES, (off_t)offset) != RECORD_BYTES)
            return -1;
        state = check_record(words, offset);
    }

    return state == 1 && (words[4] != generation || words[1] < sequence) ? 0 : state;
}

void verify_disk(void)
{
    uint64_t ok = 0, bad = 0, missing = 0, last, *words = aligned(RECORD_BYTES);
    if (disk < 0 || !words)
        return;
    pthread_mutex_lock(&lock);
    last = next_sequence;
    pthread_mutex_unlock(&lock);
    for (uint64_t sequence = 1; sequence < last; sequence++) {
        uint64_t offset = slot_offset(&at, sequence);
        if (acknowledged[slot_index(&at, offset)] != sequence)
            continue; /* overwritten by a newer one, which has its own turn, or never acknowledged */
        int state = verify_slot(words, offset, sequence);
        *(state > 0 ? &ok : state ? &bad : &missing) += 1;
    }

    say("V %llu %llu %llu", (unsigned long long)ok, (unsigned long long)bad, (unsigned long long)missing);
    free(words);
}

void sync_disk(void)
{
    int failed = disk < 0 ? ENODEV : fdatasync(disk) ? errno : 0;
    say("S %d", failed);
}

int drain_writers(void)
{
    for (int i = 0; i < 1500 && in_flight; i++)
        sleep_until_ns(now_ns() + 20000000);
    return !in_flight;
}
