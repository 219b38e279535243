using System.Runtime.InteropServices;

namespace Godwit.Worker.Interop;

/// <summary>While it lasts a SIGTERM ends the process at once. The runtime only notes a signal, for code that does not run any more once the
/// process has become another program.</summary>
internal sealed unsafe class PlainTermination : IDisposable
{
    /// <summary>More than the C library's struct sigaction has.</summary>
    private const int ActionBytes = 256;

    private static readonly TimeSpan MarkerLimit = TimeSpan.FromSeconds(1);
    private readonly byte[] _before = new byte[ActionBytes];

    /// <summary>Begins. A signal that was noted before may still be on its way to its handler: see <see cref="Settle"/>.</summary>
    internal PlainTermination()
    {
        var plain = stackalloc byte[ActionBytes];
        new Span<byte>(plain, ActionBytes).Clear();
        fixed (byte* before = _before)
            _ = LibC.SetSignalAction(LibC.SignalTerminate, plain, before);
    }

    /// <summary>Waits until the handlers of all signals that were noted before have at least been begun: the runtime begins them in turn, so
    /// one of a signal that means nothing tells.</summary>
    internal static void Settle()
    {
        using var seen = new ManualResetEventSlim();
        using var marker = PosixSignalRegistration.Create(PosixSignal.SIGWINCH, context =>
        {
            context.Cancel = true;
            seen.Set();
        });
        if (LibC.Signal(Environment.ProcessId, LibC.SignalWindowChanged) == 0)
            _ = seen.Wait(MarkerLimit);
    }

    /// <summary>The runtime handles the signal again.</summary>
    public void Dispose()
    {
        fixed (byte* before = _before)
            _ = LibC.SetSignalAction(LibC.SignalTerminate, before, null);
    }
}
