using System.Runtime.InteropServices;
using Godwit.Storage.Interop;

namespace Godwit.Storage.Files;

/// <summary>
/// Locks on an image that QEMU, its tools and we understand alike: single bytes far in front that say what an opening does
/// (100 to 103: reads, writes, writes the same again, resizes) and what it cannot bear others to do (200 to 203).
/// </summary>
/// <remarks>
/// <para>All are shared locks; an opening takes its own and then looks whether anybody holds the opposite ones (QEMU, block/file-posix.c,
/// raw_check_lock_bytes). They belong to the opening (F_OFD_SETLK): several openings in a process count as several, and the kernel
/// drops them with the last request on the opening, however the process died. On network file systems other computers see them.</para>
/// <para>Like QEMU, a writer bears readers that say that they bear writers (<c>qemu-img info -U</c>).</para>
/// </remarks>
internal static class ImageLock
{
    /// <summary>Runs fcntl with a lock; 0 or an error number.</summary>
    internal delegate int Caller(int command, ref RecordLock record);

    private const long Does = 100, Refuses = 200, Ours = 300, Turnstile = 301;
    private const int Reads = 0, Writes = 1, Resizes = 3;
    private const int TurnstileTries = 100;

    /// <summary>Locks an opening.</summary>
    /// <param name="call">The opening.</param>
    /// <param name="path">For errors.</param>
    /// <param name="exclusive">For writing: no other writer, and no reader that relies on what it reads; else no writer.</param>
    /// <returns>Null, or why the file system cannot lock.</returns>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.InUse"/>: another opening is in the way.</exception>
    public static string? Take(Caller call, string path, bool exclusive)
    {
        var hasTurn = Pass(call, exclusive);
        try
        {
            foreach (var (start, length) in Bytes(exclusive))
            {
                if (Set(call, RecordLock.Read, start, length) is var errno and not 0)
                    return MeansNoLocks(errno) ? Gap(errno) : throw Refused(call, errno, path, start);
            }

            Check(call, path, exclusive);
            return null;
        }
        catch
        {
            Release(call);
            throw;
        }
        finally
        {
            if (hasTurn)
                Set(call, RecordLock.Unlock, Turnstile, 1);
        }
    }

    /// <summary>Locks another opening of a file that this process has locked already, so that the file stays locked as long as either
    /// has requests under way.</summary>
    public static void Join(Caller call, bool exclusive)
    {
        foreach (var (start, length) in Bytes(exclusive))
            Set(call, RecordLock.Read, start, length);
    }

    /// <summary>Lets go of everything.</summary>
    public static void Release(Caller call) => Set(call, RecordLock.Unlock, 0, 0);

    /// <summary>Two that take their locks at the same time would each find the other's. One after the other, the first one wins.</summary>
    private static bool Pass(Caller call, bool exclusive)
    {
        using var pause = new ManualResetEventSlim();
        for (var i = 0; i < TurnstileTries; i++)
        {
            var errno = Set(call, exclusive ? RecordLock.Write : RecordLock.Read, Turnstile, 1);
            if (errno is not (Errno.TryAgain or Errno.Access))
                return errno == 0;
            pause.Wait(1);
        }

        return false;
    }

    private static (long Start, long Length)[] Bytes(bool exclusive) => exclusive
        ? [(Does + Reads, 4), (Refuses + Writes, 3), (Ours, 1)]
        : [(Does + Reads, 1), (Refuses + Writes, 1), (Refuses + Resizes, 1), (Ours, 1)];

    private static void Check(Caller call, string path, bool exclusive)
    {
        // What we do and somebody refuses; then what we refuse and somebody does.
        (long, long)[] opposite = exclusive
            ? [(Refuses + Reads, 4), (Does + Writes, 3)]
            : [(Refuses + Reads, 1), (Does + Writes, 1), (Does + Resizes, 1)];
        foreach (var (start, length) in opposite)
        {
            if (Find(call, start, length, out var errno) is { } found)
                throw InUse(call, path, start < Refuses, found.Process);
            if (errno != 0)
                throw Errno.ToException(errno, path, "lock");
        }
    }

    private static StorageException Refused(Caller call, int errno, string path, long start) => errno is Errno.TryAgain or Errno.Access
        ? InUse(call, path, start < Refuses, Find(call, start, 1, out _)?.Process ?? 0)
        : Errno.ToException(errno, path, "lock");

    private static StorageException InUse(Caller call, string path, bool writes, int process)
    {
        // Our own openings also lock a byte that QEMU does not know.
        var holder = process > 0 ? $"process {process}"
            : Find(call, Ours, 1, out _) is not null ? "a Godwit program (a VM's disk worker, or the command line)"
            : "QEMU or one of its tools";
        return new StorageException(
            StorageErrorKind.InUse, $"the file is open for {(writes ? "writing" : "use")} elsewhere, in {holder}; stop the VM or tool that uses it", path, operation: "open");
    }

    private static RecordLock? Find(Caller call, long start, long length, out int errno)
    {
        var record = new RecordLock { Type = RecordLock.Write, Start = start, Length = length };
        errno = call(LibC.GetOpeningLock, ref record);
        return errno == 0 && record.Type != RecordLock.Unlock ? record : null;
    }

    private static int Set(Caller call, short type, long start, long length)
    {
        var record = new RecordLock { Type = type, Start = start, Length = length };
        int errno;
        do
            errno = call(LibC.SetOpeningLock, ref record);
        while (errno == Errno.Interrupted);
        return errno;
    }

    private static bool MeansNoLocks(int errno) => errno == Errno.NoLocks || Errno.MeansUnsupported(errno);

    private static string Gap(int errno) =>
        $"the file system has no locks ({Marshal.GetPInvokeErrorMessage(errno)}): nothing keeps another program or computer from writing to the file too";
}
