/* The parts of the guest program. Lines it prints are documented in README.md. */
#ifndef GODWIT_GUEST_H
#define GODWIT_GUEST_H

#include <stdatomic.h>
#include <stdint.h>

/* Settings that commands change while threads read them. */
extern _Atomic uint64_t writes_per_second, heartbeat_ms, dirty_mib_per_second, flush_every;
extern _Atomic int stopping;

/* Prints one whole line on the serial port; safe from any thread. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint64_t now_ns(void);
void sleep_until_ns(uint64_t due);
void start_thread(void *(*run)(void *), void *argument);

/* writer.c: opens the disk and prints its layout. 0 when there is none. */
int open_disk(const char *path, uint64_t area_bytes, uint64_t far, uint64_t stride, uint64_t generation);
void start_writers(int count);
void fill_disk(uint64_t mebibytes);
void verify_disk(void);
void sync_disk(void);
/* Lets writes in flight end; 0 when they did not within some seconds. */
int drain_writers(void);

/* load.c */
void *heartbeat(void *unused);
void *dirty_memory(void *mebibytes);

#endif
