using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Godwit.Qemu.Processes.Interop;
using Microsoft.Win32.SafeHandles;

namespace Godwit.Qemu.Processes;

/// <summary>
/// A process that we hold by a descriptor instead of a number: the number may be given to another process once this one
/// has ended, the descriptor never is.
/// </summary>
/// <remarks>All members may be called from any thread. Disposing lets go of the process; it does not end it.</remarks>
internal sealed class OwnedProcess : IDisposable
{
    private readonly SafeFileHandle _handle;
    private readonly bool _isChild;
    private readonly Lock _lock = new();
    private bool _reaped;

    private OwnedProcess(int id, SafeFileHandle handle, bool isChild)
    {
        Id = id;
        _handle = handle;
        _isChild = isChild;
    }

    /// <summary>Its number, for messages and for looking into /proc.</summary>
    public int Id { get; }

    /// <summary>How it ended, once it has and if it was our child: the exit status, or 128 plus the signal.</summary>
    public int? ExitCode { get; private set; }

    /// <summary>Tells whether it has ended.</summary>
    public bool HasExited
    {
        get
        {
            lock (_lock)
            {
                if (_reaped || _handle.IsClosed)
                    return _reaped;
                var entry = new Libc.PollEntry { Descriptor = (int)_handle.DangerousGetHandle(), Events = Libc.PollIn };
                if (Libc.Poll(ref entry, 1, 0) != 1)
                    return false;
                Reap();
                return true;
            }
        }
    }

    /// <summary>Takes over a child just started.</summary>
    /// <exception cref="QemuException"><see cref="QemuErrorKind.StartFailed"/>: the kernel gave no descriptor for it.</exception>
    public static OwnedProcess OfChild(int id) =>
        Open(id, isChild: true)
        ?? throw new QemuException(QemuErrorKind.StartFailed, $"process {id} started, but cannot be watched: {Marshal.GetLastPInvokeErrorMessage()}");

    /// <summary>Takes hold of a process started by an earlier run of this program, if it lives and its command line has all
    /// of <paramref name="words"/> as arguments; null otherwise.</summary>
    public static OwnedProcess? Find(int id, IReadOnlyList<string> words)
    {
        // Held first and looked at second: what we look at is then surely what we hold.
        var process = Open(id, isChild: false);
        if (process is null)
            return null;
        var arguments = CommandLineOf(id);
        foreach (var word in words)
        {
            if (Array.IndexOf(arguments, word) < 0 || process.HasExited)
            {
                process.Dispose();
                return null;
            }
        }

        return process;
    }

    /// <summary>Waits until it has ended; false when the limit passed first.</summary>
    public async Task<bool> WaitForExitAsync(TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        var begun = time.GetTimestamp();
        for (var pause = 5; !HasExited; pause = Math.Min(pause * 2, 100))
        {
            if (time.GetElapsedTime(begun) >= limit)
                return false;
            await Task.Delay(TimeSpan.FromMilliseconds(pause), time, cancellationToken).ConfigureAwait(false);
        }

        return true;
    }

    /// <summary>Ends it at once (SIGKILL); nothing happens when it has ended already.</summary>
    public void Kill()
    {
        lock (_lock)
        {
            if (!_reaped && !_handle.IsClosed)
                _ = Libc.SignalProcess(_handle, Libc.SignalKill, 0, 0);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
            _handle.Dispose();
    }

    private static OwnedProcess? Open(int id, bool isChild)
    {
        var descriptor = id > 1 ? Libc.OpenProcess(id, 0) : -1;
        return descriptor < 0 ? null : new OwnedProcess(id, new SafeFileHandle(descriptor, ownsHandle: true), isChild);
    }

    private static string[] CommandLineOf(int id)
    {
        try
        {
            var bytes = File.ReadAllBytes(string.Create(CultureInfo.InvariantCulture, $"/proc/{id}/cmdline"));
            return Encoding.UTF8.GetString(bytes).Split('\0');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return []; // Gone in between, or not ours to look at: either way not the one.
        }
    }

    private void Reap()
    {
        _reaped = true;
        if (!_isChild || Libc.WaitForChild(Id, out var status, Libc.NoHang) != Id)
            return;
        var signal = status & 0x7f;
        ExitCode = signal == 0 ? (status >> 8) & 0xff : 128 + signal;
    }
}
