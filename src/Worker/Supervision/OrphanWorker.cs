using Godwit.Api;
using Godwit.Worker.Interop;

namespace Godwit.Worker.Supervision;

/// <summary>A worker whose supervisor died: it goes on serving until a new supervisor ends it here.</summary>
internal static class OrphanWorker
{
    // Its acknowledged writes are in the page cache, so forcing it loses nothing; waiting longer only stalls the guest.
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(5);

    /// <summary>Returns once no process serves this folder any more.</summary>
    /// <param name="lockPath">The lock every worker of the folder holds.</param>
    /// <param name="time">Bounds the wait.</param>
    /// <param name="log">Told when there was one.</param>
    internal static void End(string lockPath, TimeProvider time, Action<string> log)
    {
        var start = time.GetTimestamp();
        using var pause = new ManualResetEventSlim();
        while (true)
        {
            if (LockFile.IsFree(lockPath, out var holder))
                return;
            if (holder is { } orphan)
            {
                log($"worker {orphan.ProcessId} of an earlier supervisor still runs; ending it");
                if (!orphan.End(Patience))
                    log($"worker {orphan.ProcessId} did not end by itself and was killed");
            }

            if (time.GetElapsedTime(start) > Limit)
                throw new GodwitException(ErrorCode.Busy, $"{lockPath} is held by a process that does not end");
            // The holder has the lock but has not written its name yet, or the kernel is still taking it apart.
            pause.Wait(Pause);
        }
    }
}
