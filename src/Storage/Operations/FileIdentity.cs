using Godwit.Storage.Files;
using Godwit.Storage.Interop;

namespace Godwit.Storage.Operations;

/// <summary>What tells whether a file is still the one it was: equal for two looks at a file nobody has changed between them.</summary>
/// <param name="Path">The file, absolute.</param>
/// <param name="Length">Its size in bytes.</param>
/// <param name="Modified">When its content was changed last, in nanoseconds since 1970.</param>
/// <param name="Device">The file system it is on.</param>
/// <param name="Inode">Its number there.</param>
public sealed record FileIdentity(string Path, long Length, long Modified, long Device, long Inode)
{
    /// <summary>Looks at a file, open or not.</summary>
    /// <param name="path">The file; symbolic links are followed.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.NotFound"/>, <see cref="StorageErrorKind.AccessDenied"/>, or
    /// the file system failed.</exception>
    public static FileIdentity Read(string path)
    {
        using var file = FileDescriptor.Open(path, LibC.OpenReadOnly);
        var status = file.Status();
        return new FileIdentity(
            System.IO.Path.GetFullPath(path),
            (long)status.Size,
            (status.ModifiedSeconds * 1_000_000_000) + status.ModifiedNanoseconds,
            ((long)status.DeviceMajor << 32) | status.DeviceMinor,
            (long)status.Inode);
    }
}
