using Godwit.Storage.Files;
using Godwit.Storage.Interop;

namespace Godwit.Storage.Tracking;

/// <summary>What an image file looked like when it was closed: another look means that somebody changed it unseen.</summary>
/// <param name="Length">Size of the file in bytes.</param>
/// <param name="Modified">When its content was changed last, in nanoseconds since 1970.</param>
/// <param name="Inode">Its number in the file system.</param>
public readonly record struct ImageStamp(long Length, long Modified, long Inode)
{
    /// <summary>Looks at a file.</summary>
    /// <param name="path">The file; symbolic links are followed.</param>
    /// <returns>Null when nothing can be said about it: it is no regular file (a device's times do not follow its content), or cannot be
    /// opened. Then nothing can be said later either.</returns>
    public static ImageStamp? TryRead(string path)
    {
        try
        {
            using var file = FileDescriptor.Open(path, LibC.OpenReadOnly);
            var status = file.Status();
            if (!status.IsRegularFile)
                return null;
            var modified = (status.ModifiedSeconds * 1_000_000_000) + status.ModifiedNanoseconds;
            return new ImageStamp((long)status.Size, modified, (long)status.Inode);
        }
        catch (StorageException)
        {
            return null;
        }
    }
}
