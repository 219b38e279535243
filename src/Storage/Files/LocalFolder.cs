using System.Runtime.InteropServices;
using Godwit.Storage.Interop;

namespace Godwit.Storage.Files;

/// <summary>What has to be done to names and folders so that it is whole and stays done. Safe from any thread.</summary>
public static class LocalFolder
{
    /// <summary>Gives a file another name on the same file system; never replaces a file that has that name.</summary>
    /// <param name="from">The file as it is.</param>
    /// <param name="to">Its new name. Sync both folders to make the change survive a power cut.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.AlreadyExists"/> when <paramref name="to"/> exists,
    /// <see cref="StorageErrorKind.NotFound"/>, <see cref="StorageErrorKind.AccessDenied"/> or
    /// <see cref="StorageErrorKind.Unsupported"/> when the two are on different file systems.</exception>
    public static void RenameWithoutReplacing(string from, string to)
    {
        if (LibC.Rename(LibC.CurrentFolder, from, LibC.CurrentFolder, to, LibC.RenameNoReplace) == 0)
            return;
        var errno = Marshal.GetLastPInvokeError();
        if (errno == Errno.AcrossFileSystems)
        {
            throw new StorageException(
                StorageErrorKind.Unsupported,
                $"cannot be renamed to {to}: that is another file system, copy it instead",
                from,
                operation: "rename");
        }

        if (!Errno.MeansUnsupported(errno))
            throw RenameFailed(errno, from, to);

        // Network file systems: a link never replaces either, and the file is never without a name.
        if (LibC.Link(from, to) < 0)
            throw RenameFailed(Marshal.GetLastPInvokeError(), from, to);
        if (LibC.Unlink(from) < 0)
            throw Errno.Last(from, "rename");
    }

    /// <summary>Removes a file's name; has no effect when there is none.</summary>
    /// <param name="path">The file. Whoever has it open keeps it until closed.</param>
    /// <exception cref="StorageException">The folder does not allow it, or <paramref name="path"/> is a folder.</exception>
    public static void Remove(string path)
    {
        if (LibC.Unlink(path) < 0 && Marshal.GetLastPInvokeError() != Errno.NoEntry)
            throw Errno.Last(path, "remove");
    }

    /// <summary>Makes names created, changed and removed in a folder survive a power cut.</summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="StorageException">The folder cannot be opened or flushed.</exception>
    public static void Sync(string folder)
    {
        using var descriptor = FileDescriptor.Open(folder, LibC.OpenReadOnly);
        descriptor.Sync();
    }

    /// <summary>Bytes this process may still write to the file system a folder is on.</summary>
    /// <param name="folder">The folder, or any file on the file system.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.NotFound"/>, <see cref="StorageErrorKind.AccessDenied"/>
    /// or <see cref="StorageErrorKind.IoFailed"/>.</exception>
    public static long AvailableBytes(string folder)
    {
        try
        {
            return new DriveInfo(Path.GetFullPath(folder)).AvailableFreeSpace;
        }
        catch (DriveNotFoundException e)
        {
            throw new StorageException(
                StorageErrorKind.NotFound, "no such folder; check the path", folder, operation: "space", inner: e);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new StorageException(StorageErrorKind.AccessDenied, e.Message, folder, operation: "space", inner: e);
        }
        catch (IOException e)
        {
            throw new StorageException(StorageErrorKind.IoFailed, e.Message, folder, operation: "space", inner: e);
        }
    }

    /// <summary>What <see cref="WriteAtomically"/> writes first, and leaves when its process is killed.</summary>
    /// <param name="path">The file.</param>
    public static string DraftOf(string path) => path + ".new";

    /// <summary>Writes a small file so that after any crash it has either its old or its new content, and with the
    /// return of this call the new one. Only its owner may read it. One writer per path at a time.</summary>
    /// <param name="path">The file; replaced when it exists. A <c>PATH.new</c> left by an interrupted call is removed.</param>
    /// <param name="content">The whole content.</param>
    /// <exception cref="StorageException">Nothing was replaced, or (only when the folder's flush failed) it is not yet durable.</exception>
    public static void WriteAtomically(string path, ReadOnlySpan<byte> content)
    {
        var draft = DraftOf(path);
        Remove(draft);
        using (var descriptor = FileDescriptor.Open(draft, LibC.OpenReadWrite | LibC.OpenCreate | LibC.OpenExclusive))
        {
            try
            {
                descriptor.Write(0, content);
                descriptor.Sync();
                if (LibC.Rename(LibC.CurrentFolder, draft, LibC.CurrentFolder, path, flags: 0) < 0)
                    throw Errno.Last(path, "replace");
            }
            catch (StorageException)
            {
                _ = LibC.Unlink(draft);
                throw;
            }
        }

        Sync(Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/");
    }

    private static StorageException RenameFailed(int errno, string from, string to) =>
        Errno.ToException(errno, errno == Errno.Exists ? to : from, "rename");
}
