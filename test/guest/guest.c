/* The program a test guest runs as /init; README.md has the commands and what it prints. */
#define _GNU_SOURCE
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <linux/reboot.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

_Atomic uint64_t writes_per_second, heartbeat_ms, dirty_mib_per_second, flush_every;
_Atomic int stopping;

static int serial = -1, power_pipe[2];
static char settings[4096];

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void sleep_until_ns(uint64_t due)
{
    struct timespec t = {(time_t)(due / 1000000000), (long)(due % 1000000000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

void start_thread(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, argument))
        say("X no thread");
    else
        pthread_detach(thread);
}

void say(const char *format, ...)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 2)
        length = (int)sizeof line - 2;
    line[length++] = '\n';
    pthread_mutex_lock(&lock);
    for (int done = 0; done < length;) {
        ssize_t n = write(serial, line + done, (size_t)(length - done));
        if (n < 0 && errno != EINTR)
            break;
        done += n > 0 ? (int)n : 0;
    }

    pthread_mutex_unlock(&lock);
}

/* "godwit.NAME=64M" of the kernel command line; K, M and G are powers of 1024. */
static uint64_t setting(const char *name, uint64_t otherwise)
{
    char key[64];
    snprintf(key, sizeof key, " godwit.%s=", name);
    const char *found = strstr(settings, key);
    if (!found)
        return otherwise;
    char *end;
    uint64_t value = strtoull(found + strlen(key), &end, 10);
    return *end == 'K' ? value << 10 : *end == 'M' ? value << 20 : *end == 'G' ? value << 30 : value;
}

static void mount_all(void)
{
    mkdir("/proc", 0755), mkdir("/sys", 0755), mkdir("/dev", 0755), mkdir("/tmp", 0755);
    mount("proc", "/proc", "proc", 0, NULL);
    mount("sysfs", "/sys", "sysfs", 0, NULL);
    mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    settings[0] = ' ';
    int file = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = read(file, settings + 1, sizeof settings - 2);
    close(file);
    for (ssize_t i = 0; i <= n; i++)
        if (settings[i] == '\n')
            settings[i] = ' ';
}

/* Opened raw: lines come out as they are printed, and nothing typed is echoed into them. */
static void open_serial(void)
{
    serial = open("/dev/ttyS0", O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios mode;
    if (tcgetattr(serial, &mode) == 0) {
        cfmakeraw(&mode);
        cfsetspeed(&mode, B115200);
        tcsetattr(serial, TCSANOW, &mode);
    }
}

/* The build script wrote the modules' names in the order in which they must be loaded. */
static void load_modules(void)
{
    FILE *list = fopen("/modules/order", "re");
    char name[128], path[192];
    while (list && fgets(name, sizeof name, list)) {
        name[strcspn(name, "\n")] = 0;
        snprintf(path, sizeof path, "/modules/%s.ko", name);
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0 || (syscall(SYS_finit_module, file, "", 0) && errno != EEXIST))
            say("X module %s: %d", name, errno);
        close(file);
    }

    if (list)
        fclose(list);
}

static void on_signal(int number)
{
    (void)number;
    if (write(power_pipe[1], "p", 1) < 0)
        return; /* full: it has been asked for already */
}

static void listen_for_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    if (pipe2(power_pipe, O_CLOEXEC | O_NONBLOCK))
        say("X no pipe");
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGPWR, &action, NULL);
    reboot(LINUX_REBOOT_CMD_CAD_OFF);
}

static void *shut_down(void *unused)
{
    (void)unused;
    stopping = 1;
    int drained = drain_writers();
    sync_disk();
    say(drained ? "BYE" : "BYE with a write still in flight");
    tcdrain(serial);
    reboot(LINUX_REBOOT_CMD_POWER_OFF);
    return NULL;
}

static void *run_fill(void *mebibytes)
{
    fill_disk((uint64_t)(uintptr_t)mebibytes);
    return NULL;
}

static void *run_verify(void *unused)
{
    verify_disk();
    return unused;
}

static void *run_sync(void *unused)
{
    sync_disk();
    return unused;
}

static void *run_shell(void *line)
{
    char *command = line, output[512];
    FILE *shell = popen(command, "re");
    while (shell && fgets(output, sizeof output, shell)) {
        output[strcspn(output, "\n")] = 0;
        say("R %s", output);
    }

    say("R! %d", shell ? pclose(shell) : -1);
    free(command);
    return NULL;
}

/* Anything that takes time runs in a thread of its own, so that the next command is heard. */
static void obey(const char *line)
{
    unsigned long long n = 0;
    if (sscanf(line, "wr %llu", &n) == 1)
        writes_per_second = n;
    else if (sscanf(line, "hb %llu", &n) == 1)
        heartbeat_ms = n;
    else if (sscanf(line, "dirty %llu", &n) == 1)
        dirty_mib_per_second = n;
    else if (sscanf(line, "flush %llu", &n) == 1)
        flush_every = n;
    else if (sscanf(line, "fill %llu", &n) == 1)
        start_thread(run_fill, (void *)(uintptr_t)n);
    else if (!strcmp(line, "verify"))
        start_thread(run_verify, NULL);
    else if (!strcmp(line, "sync"))
        start_thread(run_sync, NULL);
    else if (!strcmp(line, "off") && !stopping)
        start_thread(shut_down, NULL);
    else if (!strncmp(line, "run ", 4))
        start_thread(run_shell, strdup(line + 4));
    else if (*line)
        say("X what is \"%s\"?", line);
}

static void read_commands(void)
{
    static char line[512];
    static size_t length;
    char bytes[256];
    ssize_t n = read(serial, bytes, sizeof bytes);
    for (ssize_t i = 0; i < n; i++) {
        if (bytes[i] == '\n' || bytes[i] == '\r') {
            line[length] = 0;
            obey(line);
            length = 0;
        } else if (length < sizeof line - 1) {
            line[length++] = bytes[i];
        }
    }
}

static int power_pressed(int file)
{
    struct input_event event;
    int pressed = 0;
    while (read(file, &event, sizeof event) == sizeof event)
        pressed |= event.type == EV_KEY && event.code == KEY_POWER && event.value == 1;
    return pressed;
}

static void serve(void)
{
    enum { INPUTS = 8 };
    struct pollfd files[2 + INPUTS] = {{serial, POLLIN, 0}, {power_pipe[0], POLLIN, 0}};
    int count = 2;
    for (int i = 0; i < INPUTS; i++) {
        char path[32];
        snprintf(path, sizeof path, "/dev/input/event%d", i);
        int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (file >= 0)
            files[count++] = (struct pollfd){file, POLLIN, 0};
    }

    for (;;) {
        if (poll(files, (nfds_t)count, -1) < 0)
            continue;
        char byte;
        int power = read(power_pipe[0], &byte, 1) == 1;
        for (int i = 2; i < count; i++)
            power |= files[i].revents & POLLIN && power_pressed(files[i].fd);
        if (power)
            obey("off");
        if (files[0].revents & POLLIN)
            read_commands();
    }
}

/* Filler comes before records: a test that asks for both wants the disk full when the writing starts. */
static void *prepare_and_write(void *unused)
{
    if (setting("fill", 0))
        fill_disk(setting("fill", 0));
    start_writers((int)setting("writers", 1));
    return unused;
}

/* A virtio disk is there at once; one behind a controller is found a little later. */
static const char *first_disk(void)
{
    for (int i = 0; i < 300; i++) {
        if (access("/dev/vda", F_OK) == 0)
            return "/dev/vda";
        if (access("/dev/sda", F_OK) == 0)
            return "/dev/sda";
        usleep(10000);
    }

    return "/dev/vda";
}

int main(void)
{
    mount_all();
    open_serial();
    load_modules();
    listen_for_signals();
    setenv("PATH", "/bin", 1);

    writes_per_second = setting("wr", 200);
    heartbeat_ms = setting("hb", 10);
    dirty_mib_per_second = setting("dirty", 0);
    flush_every = setting("flush", 8);
    uint64_t generation = setting("gen", 0);
    if (!generation) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        generation = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
    }

    say("G %llu", (unsigned long long)generation);
    int disk = open_disk(first_disk(), setting("area", 64 << 20), setting("far", 64), setting("stride", 2 << 20), generation);
    say("READY");
    start_thread(heartbeat, NULL);
    start_thread(dirty_memory, (void *)(uintptr_t)setting("mem", 64));
    if (disk)
        start_thread(prepare_and_write, NULL);
    serve();
}
