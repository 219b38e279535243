using Godwit.Api;

namespace Godwit.ControlPlane.Disks;

/// <summary>The little that the control plane needs of the file system. Implemented by the host.</summary>
/// <remarks>Calls are quick and synchronous. Paths are absolute.</remarks>
public interface IFolders
{
    /// <summary>The path with symbolic links and dots resolved, as far as it exists.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/> when it is not absolute,
    /// <see cref="ErrorCode.AccessDenied"/> when it leads outside the folders this host allows.</exception>
    string Resolve(string path);

    /// <summary>The same for a kernel or an initial RAM disk, which may also be where the distribution keeps them.</summary>
    /// <exception cref="GodwitException">As for <see cref="Resolve"/>.</exception>
    string ResolveBootFile(string path);

    /// <summary>Whether there is a file (or anything that is not a folder).</summary>
    bool FileExists(string path);

    /// <summary>Whether there is a folder.</summary>
    bool FolderExists(string path);

    /// <summary>Whether files can be created in the folder, or the folder itself in its deepest existing parent.</summary>
    bool IsWritable(string folder);

    /// <summary>Free bytes on the file system of the folder or of its deepest existing parent.</summary>
    long AvailableBytes(string folder);

    /// <summary>The first folder of the path that does not exist, or null when all do.</summary>
    string? FirstMissing(string folder);

    /// <summary>Creates the folder and its missing parents.</summary>
    void Create(string folder);

    /// <summary>Removes <paramref name="folder"/> and then its parents up to <paramref name="top"/>, as long as they are empty.</summary>
    void RemoveEmpty(string folder, string top);

    /// <summary>Deletes a file of ours; fine when it is gone.</summary>
    void DeleteFile(string path);

    /// <summary>Gives a file another name in the same folder, durably.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.AlreadyExists"/>: there is something of that name; it stays.</exception>
    void Rename(string from, string to);

    /// <summary>Gives a file a second name in the same file system, durably: its content stays until both are deleted.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.AlreadyExists"/>: there is something of that name; it stays.
    /// <see cref="ErrorCode.Unsupported"/>: the file system knows only one name per file.</exception>
    void Link(string from, string to);

    /// <summary>Puts a small file in the place of another, for its owner only, and makes missing folders. A crash leaves the old file or the
    /// new one; the new one is durable when this returns.</summary>
    /// <exception cref="GodwitException">It cannot be written; the old one is there.</exception>
    void Write(string path, ReadOnlyMemory<byte> content);

    /// <summary>Makes durable what another process has written into a file.</summary>
    /// <exception cref="GodwitException">The file system failed: what of it is durable is not known.</exception>
    Task SyncFileAsync(string path, CancellationToken cancellationToken);

    /// <summary>The content of a small file, or null when there is none.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Corrupt"/>: it is larger than 1 MiB; or it cannot be read.</exception>
    byte[]? Read(string path);

    /// <summary>Files with an extension in folders of one name, in <paramref name="folder"/> or up to three levels below, by path. Links to
    /// folders are not followed; what cannot be read is passed over.</summary>
    IReadOnlyList<string> FindFiles(string folder, string folderName, string extension);
}
