/* Ticks and memory load. */
#include "guest.h"

#include <stdlib.h>
#include <sys/mman.h>

void *heartbeat(void *unused)
{
    (void)unused;
    uint64_t due = now_ns();
    for (uint64_t tick = 1;; tick++) {
        uint64_t period = heartbeat_ms * 1000000;
        due += period ? period : 100000000;
        uint64_t now = now_ns();
        if (due < now) /* do not answer a pause with a burst of ticks */
            due = now;
        sleep_until_ns(due);
        if (period)
            say("H %llu", (unsigned long long)tick);
    }

    return NULL;
}

void *dirty_memory(void *mebibytes)
{
    enum { PAGE = 4096, SLICE_NS = 10000000 };
    uint64_t bytes = (uint64_t)(uintptr_t)mebibytes << 20;
    while (!dirty_mib_per_second) /* do not take the memory before it is asked for */
        sleep_until_ns(now_ns() + 10 * SLICE_NS);

    uint64_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        say("X no memory for dirty");
        return NULL;
    }

    /* Incompressible first: zero pages cost a migration nothing. */
    uint64_t x = 88172645463325252ULL;
    for (uint64_t i = 0; i < bytes / 8; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memory[i] = x;
    }

    uint64_t at = 0, due = now_ns();
    for (;;) {
        uint64_t pages = (dirty_mib_per_second << 20) / PAGE * SLICE_NS / 1000000000;
        for (uint64_t i = 0; i < pages; i++, at = (at + PAGE) % bytes)
            memory[at / 8]++;
        due += SLICE_NS;
        if (due < now_ns())
            due = now_ns();
        sleep_until_ns(due);
    }
}
