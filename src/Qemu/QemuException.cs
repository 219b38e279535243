namespace Godwit.Qemu;

/// <summary>What went wrong with a QEMU process.</summary>
public enum QemuErrorKind
{
    /// <summary>The program is not there or cannot be executed.</summary>
    NotInstalled = 0,

    /// <summary>The program is older than <see cref="QemuVersion.Minimum"/>.</summary>
    TooOld = 1,

    /// <summary>A value of the configuration cannot be given to QEMU.</summary>
    InvalidConfiguration = 2,

    /// <summary>The process ended before it was ready; the message has the last lines it printed.</summary>
    StartFailed = 3,

    /// <summary>It lives but did not answer, or the guest did not do what it was asked, within the limit.</summary>
    TimedOut = 4,

    /// <summary>The process has ended.</summary>
    Ended = 5,

    /// <summary>A process is there, but it is not the one it should be.</summary>
    NotOurs = 6,

    /// <summary>The VM's state does not allow this now.</summary>
    WrongState = 7,
}

/// <summary>A QEMU process could not be started, reached or stopped.</summary>
/// <param name="kind">What went wrong.</param>
/// <param name="message">What went wrong, with the names concerned and what to do.</param>
/// <param name="inner">The cause, if another exception led here.</param>
public sealed class QemuException(QemuErrorKind kind, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>What went wrong.</summary>
    public QemuErrorKind Kind { get; } = kind;
}
