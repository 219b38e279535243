using System.Runtime.InteropServices;

namespace Godwit.Storage.Interop;

/// <summary>The system calls of io_uring; the C library has none for them. Numbers are the same on every architecture.</summary>
internal static unsafe partial class IoRingCalls
{
    public const uint EnterGetEvents = 1;
    public const byte OpPollAdd = 6;
    public const byte OpRead = 22;
    public const byte OpWrite = 23;

    private const nint SetupNumber = 425;
    private const nint EnterNumber = 426;

    /// <summary>io_uring_setup.</summary>
    public static int Setup(uint entries, RingParameters* parameters) => (int)Call(SetupNumber, (nint)entries, (nint)parameters, 0, 0, 0, 0);

    /// <summary>io_uring_enter: hands requests over and waits for so many to end.</summary>
    public static int Enter(int ring, uint submit, uint wait, uint flags) =>
        (int)Call(EnterNumber, ring, (nint)submit, (nint)wait, (nint)flags, 0, 0);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    public static partial void* Map(void* address, nuint length, int protection, int flags, int descriptor, long offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    public static partial int Unmap(void* address, nuint length);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint Call(nint number, nint first, nint second, nint third, nint fourth, nint fifth, nint sixth);
}

/// <summary>struct io_uring_params.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct RingParameters
{
    /// <summary>IORING_SETUP_CLAMP.</summary>
    public const uint Clamp = 1 << 4;

    /// <summary>IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN (Linux 6.1): completions come only when asked for.</summary>
    public const uint OneThread = (1 << 12) | (1 << 13);

    /// <summary>IORING_FEAT_SINGLE_MMAP (Linux 5.4).</summary>
    public const uint SingleMap = 1;

    public uint SubmissionEntries;
    public uint CompletionEntries;
    public uint Flags;
    public uint ThreadProcessor;
    public uint ThreadIdle;
    public uint Features;
    public uint WorkQueue;
    public fixed uint Reserved[3];
    public RingOffsets Submission;
    public RingOffsets Completion;
}

/// <summary>struct io_sqring_offsets and io_cqring_offsets, whose first members have other names.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RingOffsets
{
    public uint Head;
    public uint Tail;
    public uint Mask;
    public uint Entries;

    /// <summary>Submission: flags. Completion: overflow.</summary>
    public uint Fifth;

    /// <summary>Submission: dropped. Completion: the entries.</summary>
    public uint Sixth;

    /// <summary>Submission: the array of indexes.</summary>
    public uint Seventh;
    public uint Reserved;
    public ulong Address;
}

/// <summary>struct io_uring_sqe, as far as it is used.</summary>
[StructLayout(LayoutKind.Sequential, Size = 64)]
internal struct RingRequest
{
    public byte Operation;
    public byte Flags;
    public ushort Priority;
    public int Descriptor;
    public ulong Offset;
    public ulong Address;
    public uint Length;
    public uint OperationFlags;
    public ulong Tag;
}

/// <summary>struct io_uring_cqe.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RingResult
{
    public ulong Tag;
    public int Result;
    public uint Flags;
}
