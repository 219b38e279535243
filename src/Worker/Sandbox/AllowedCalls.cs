namespace Godwit.Worker.Sandbox;

/// <summary>
/// The system calls a worker may make, by their numbers on x86-64: what the runtime and our code use once the sockets are bound. Those
/// that are not here (starting programs, tracing, mounting, changing identity or file modes, connecting, keys, modules, other
/// processes' memory and the rest) answer EPERM.
/// </summary>
internal static class AllowedCalls
{
    /// <summary>Allowed whatever their arguments.</summary>
    internal static ReadOnlySpan<ushort> Any =>
    [
        // files: read write open close stat fstat lstat lseek pread64 pwrite64 readv writev access dup dup2 sendfile fcntl flock fsync
        // fdatasync truncate ftruncate getdents getcwd rename mkdir rmdir link unlink readlink umask statfs fstatfs readahead
        0, 1, 2, 3, 4, 5, 6, 8, 17, 18, 19, 20, 21, 32, 33, 40, 72, 73, 74, 75, 76, 77, 78, 79, 82, 83, 84, 86, 87, 89, 95, 137, 138, 187,
        // getdents64 fadvise64 openat mkdirat newfstatat unlinkat renameat linkat readlinkat faccessat splice tee sync_file_range vmsplice
        // utimensat fallocate dup3 preadv pwritev renameat2 copy_file_range preadv2 pwritev2 statx close_range faccessat2 cachestat
        217, 221, 257, 258, 262, 263, 264, 265, 267, 269, 275, 276, 277, 278, 280, 285, 292, 295, 296, 316, 326, 327, 328, 332, 436, 439, 451,
        // memory: mmap mprotect munmap brk mremap msync mincore madvise mlock munlock get_mempolicy memfd_create membarrier
        9, 10, 11, 12, 25, 26, 27, 28, 149, 150, 239, 319, 324,
        // threads, signals: rt_sigaction rt_sigprocmask rt_sigreturn sched_yield exit rt_sigpending rt_sigtimedwait sigaltstack gettid futex
        // sched_getaffinity set_tid_address restart_syscall exit_group set_robust_list rseq futex_waitv sched_getparam sched_getscheduler
        // sched_get_priority_max sched_get_priority_min
        13, 14, 15, 24, 60, 127, 128, 131, 186, 202, 204, 218, 219, 231, 273, 334, 449, 143, 145, 146, 147,
        // asking: getpid uname gettimeofday getrlimit getrusage sysinfo times getuid getgid geteuid getegid getppid getrandom
        39, 63, 96, 97, 98, 99, 100, 102, 104, 107, 108, 110, 318,
        // time: nanosleep timer_create timer_settime timer_gettime timer_delete clock_gettime clock_getres clock_nanosleep timerfd_create
        // timerfd_settime timerfd_gettime
        35, 222, 223, 224, 226, 228, 229, 230, 283, 286, 287,
        // waiting: poll select pipe pause epoll_create epoll_wait epoll_ctl pselect6 ppoll epoll_pwait eventfd eventfd2 epoll_create1 pipe2
        // epoll_pwait2
        7, 23, 22, 34, 213, 232, 233, 270, 271, 281, 284, 290, 291, 293, 441,
        // connections that came in: accept sendto recvfrom sendmsg recvmsg shutdown getsockname getpeername setsockopt getsockopt accept4
        43, 44, 45, 46, 47, 48, 51, 52, 54, 55, 288,
        // io_uring_setup io_uring_enter io_uring_register
        425, 426, 427,
    ];

    internal const ushort Control = 16, Socket = 41, Connect = 42, SocketPair = 53, Clone = 56, Kill = 62, ProcessControl = 157, Affinity = 203, ThreadKill = 234,
        ProcessLimits = 302, CloneByStructure = 435;

    internal const uint NewThread = 0x10000;

    /// <summary>AF_UNIX, AF_INET, AF_INET6: where the host allows links to other hosts. To which ports, landlock says.</summary>
    internal static ReadOnlySpan<uint> FamiliesOfLinks => [1, 2, 10];

    /// <summary>Requests to devices: TCGETS, FIONREAD, FIONBIO, BLKGETSIZE64.</summary>
    internal static ReadOnlySpan<uint> ControlRequests => [0x5401, 0x541b, 0x5421, 0x80081272];

    /// <summary>Requests about the process itself: set and get a thread's name, name memory.</summary>
    internal static ReadOnlySpan<uint> ProcessRequests => [15, 16, 0x53564d41];
}
