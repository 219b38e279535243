using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Worker.Interop;

namespace Godwit.Worker.Mirrors;

/// <summary>The names a mirror has in the file system, and how it gets rid of them.</summary>
internal static class TargetFiles
{
    /// <summary>The name of the target until the switch: whoever finds it knows that it may be deleted, and whose it is.</summary>
    internal static string Unfinished(string targetPath, Guid jobId) => $"{targetPath}.{jobId.ToString("N")[..8]}.partial";

    /// <summary>The topmost folder on the way to a file that does not exist yet; null when all are there.</summary>
    internal static string? FirstMissingFolder(string path)
    {
        string? missing = null;
        for (var folder = Path.GetDirectoryName(path); folder is not null && !Path.Exists(folder); folder = Path.GetDirectoryName(folder))
            missing = folder;
        return missing;
    }

    /// <summary>Makes the target's folder with everything above it, so that it is still there after a power cut.</summary>
    /// <param name="path">The file that is to go there.</param>
    /// <param name="topmost">What <see cref="FirstMissingFolder"/> said.</param>
    /// <exception cref="GodwitException">The file system refused.</exception>
    internal static void MakeFolder(string path, string? topmost)
    {
        var folder = Path.GetDirectoryName(path)!;
        try
        {
            Directory.CreateDirectory(folder);
            for (var made = folder; topmost is not null && made.StartsWith(topmost, StringComparison.Ordinal); made = Path.GetDirectoryName(made)!)
                LocalFolder.Sync(Path.GetDirectoryName(made)!);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new GodwitException(
                new Problem(
                    e is UnauthorizedAccessException ? ErrorCode.AccessDenied : ErrorCode.IoFailed,
                    $"cannot make the folder {folder}: {e.Message}",
                    "check owner, permissions and mount options of the folder above it"),
                e);
        }
    }

    /// <summary>Deletes what a mirror that was not switched has left: its target under either name, the bitmap, the folders
    /// made for it when they are empty. May be repeated. Never deletes a file that is not the mirror's own.</summary>
    /// <exception cref="GodwitException">The file system refused.</exception>
    internal static void Delete(MirrorContext context, WorkerMirrorConfig mirror)
    {
        context.RemoveBitmaps();
        if (mirror.Remote is not null)
            return;
        Delete(mirror.TargetPath, mirror.UnfinishedPath, mirror.TargetFile);
        if (mirror.CreatedFolder is not null)
            RemoveEmptyFolders(Path.GetDirectoryName(mirror.TargetPath), mirror.CreatedFolder);
    }

    /// <summary>Deletes a file of ours under either of its names. May be repeated.</summary>
    /// <param name="path">The name it was to get.</param>
    /// <param name="unfinished">Its name until then.</param>
    /// <param name="file">Which file it is; null when the worker died before it knew.</param>
    /// <exception cref="GodwitException">The file system refused.</exception>
    internal static void Delete(string path, string unfinished, FileIdentity? file)
    {
        if (file is { } identity)
        {
            DeleteIf(unfinished, identity);
            DeleteIf(path, identity);
        }
        else
        {
            DeleteUnidentified(unfinished);
        }
    }

    private static void DeleteIf(string path, FileIdentity identity)
    {
        if (!FileStatus.Is(path, identity))
            return;
        // The device may still be open, and closing it would first write everything out that nobody wants any more.
        DropContent(path);
        FileStatus.Remove(path);
    }

    /// <summary>The worker died while it made the file, before it knew which one it was.</summary>
    private static void DeleteUnidentified(string path)
    {
        if (FileStatus.Read(path) is not { IsRegular: true } status)
            return;
        try
        {
            // A file that another worker has made under the same name in the same instant is locked by that worker.
            LocalFile.Open(path, readOnly: false).DisposeAsync().AsTask().GetAwaiter().GetResult();
        }
        catch (StorageException e) when (e.Kind == StorageErrorKind.InUse)
        {
            return;
        }

        DeleteIf(path, status.Identity);
    }

    private static void DropContent(string path)
    {
        var descriptor = LibC.Open(path, LibC.WriteOnly | LibC.CloseOnExec | LibC.NoFollow, 0);
        if (descriptor < 0)
            return;
        _ = LibC.Truncate(descriptor, 0);
        _ = LibC.Close(descriptor);
    }

    private static void RemoveEmptyFolders(string? folder, string topmost)
    {
        // rmdir refuses a folder that holds anything, so this cannot take more than what we made.
        while (folder is not null && folder.StartsWith(topmost, StringComparison.Ordinal) && LibC.RemoveFolder(folder) == 0)
            folder = Path.GetDirectoryName(folder);
    }
}
