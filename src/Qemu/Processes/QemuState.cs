namespace Godwit.Qemu.Processes;

/// <summary>What a QEMU process is doing, as observed.</summary>
public enum QemuRunState
{
    /// <summary>vCPUs run.</summary>
    Running = 0,

    /// <summary>vCPUs stand still, on request or for the reason given.</summary>
    Paused = 1,

    /// <summary>vCPUs stand still because a disk failed; they are started again until it works.</summary>
    WaitingForDisk = 2,

    /// <summary>The process lives and its monitor does not answer.</summary>
    Unresponsive = 3,

    /// <summary>The guest has shut down or QEMU was told to end; the process is about to go.</summary>
    Ending = 4,

    /// <summary>The process is gone.</summary>
    Ended = 5,
}

/// <summary>What a QEMU process is doing, and why when that needs saying.</summary>
/// <param name="Run">What it is doing.</param>
/// <param name="Reason">Why, in a sentence; null when it is as it should be.</param>
public sealed record QemuState(QemuRunState Run, string? Reason = null);

/// <summary>How a QEMU process ended.</summary>
/// <param name="ExitCode">Exit status or 128 plus the signal; null when the process was adopted, not started, by us.</param>
/// <param name="ByGuest">The guest shut itself down.</param>
/// <param name="Reason">In a sentence.</param>
public sealed record QemuExit(int? ExitCode, bool ByGuest, string Reason);
