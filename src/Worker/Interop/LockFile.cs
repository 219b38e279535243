using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Godwit.Worker.Interop;

/// <summary>
/// A lock file that names its holder. The kernel drops the lock with the process, however it dies, so a lock that is
/// held means a process that lives.
/// </summary>
internal sealed class LockFile : IDisposable
{
    private const int MarkLength = 40;
    private readonly int _descriptor;

    private LockFile(int descriptor) => _descriptor = descriptor;

    /// <summary>Takes the lock and writes the caller's process into it.</summary>
    /// <param name="path">The lock file; made when missing, never removed.</param>
    /// <param name="holder">Who holds it, when null is returned and the holder has already written itself.</param>
    /// <returns>The lock, or null when another process has it.</returns>
    internal static LockFile? TryTake(string path, out ProcessMark? holder)
    {
        var taken = TryLock(path, out holder);
        if (taken is not null)
            Write(taken._descriptor, path, ProcessMark.Current());
        return taken;
    }

    /// <summary>Takes over the lock that this process had before it became another program; its mark is still true.</summary>
    /// <param name="path">The lock file.</param>
    /// <param name="descriptor">The descriptor that holds the lock.</param>
    /// <exception cref="Api.GodwitException">The descriptor does not hold it.</exception>
    internal static LockFile Inherit(string path, int descriptor)
    {
        // Asking for what one has succeeds; a descriptor that came from elsewhere finds the lock taken, or is no file at all.
        if (LibC.Lock(descriptor, LibC.LockExclusive | LibC.LockNonBlocking) != 0 || Read(descriptor) != ProcessMark.Current())
            throw new Api.GodwitException(Api.ErrorCode.InvalidRequest, $"descriptor {descriptor} does not hold {path}");
        _ = LibC.Control(descriptor, LibC.SetDescriptorFlags, 1);
        return new LockFile(descriptor);
    }

    /// <summary>The number under which the lock can be handed on.</summary>
    internal int Descriptor => _descriptor;

    /// <summary>Tells whether nobody has the lock, without putting the caller's name where the holder's belongs.</summary>
    /// <param name="path">The lock file.</param>
    /// <param name="holder">Who holds it, as for <see cref="TryTake"/>.</param>
    internal static bool IsFree(string path, out ProcessMark? holder)
    {
        using var taken = TryLock(path, out holder);
        return taken is not null;
    }

    private static LockFile? TryLock(string path, out ProcessMark? holder)
    {
        var descriptor = LibC.Open(path, LibC.ReadWrite | LibC.Create | LibC.CloseOnExec | LibC.NoFollow, 0b110_000_000);
        if (descriptor < 0)
            throw Errno.Exception($"open {path}");
        holder = null;
        if (LibC.Lock(descriptor, LibC.LockExclusive | LibC.LockNonBlocking) == 0)
            return new LockFile(descriptor);

        var error = Marshal.GetLastPInvokeError();
        holder = Read(descriptor);
        _ = LibC.Close(descriptor);
        return error == LibC.WouldBlock ? null : throw Errno.Exception(error, $"lock {path}");
    }

    /// <summary>Lets go of the lock.</summary>
    public void Dispose() => _ = LibC.Close(_descriptor);

    private static unsafe void Write(int descriptor, string path, ProcessMark mark)
    {
        // Always as long: nothing has to be cut first, which a busy file system lets one wait for.
        var text = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{mark.ProcessId} {mark.StartTime}").PadRight(MarkLength - 1) + "\n");
        fixed (byte* bytes = text)
        {
            if (LibC.Write(descriptor, bytes, (nuint)text.Length) != text.Length)
                throw Errno.Exception($"write {path}");
        }
    }

    private static unsafe ProcessMark? Read(int descriptor)
    {
        var buffer = stackalloc byte[MarkLength];
        var length = LibC.Read(descriptor, buffer, MarkLength, 0);
        if (length <= 0)
            return null;
        var parts = Encoding.ASCII.GetString(buffer, (int)length).Trim().Split(' ');
        return parts.Length == 2
            && int.TryParse(parts[0], CultureInfo.InvariantCulture, out var process)
            && long.TryParse(parts[1], CultureInfo.InvariantCulture, out var start)
            ? new ProcessMark(process, start)
            : null;
    }
}
