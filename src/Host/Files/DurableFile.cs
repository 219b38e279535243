using Godwit.Host.Interop;

namespace Godwit.Host.Files;

/// <summary>Small files that a crash leaves whole: the old one or the new one.</summary>
internal static class DurableFile
{
    private const UnixFileMode Owner = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode FolderOwner = Owner | UnixFileMode.UserExecute;

    /// <summary>Puts a file in the place of another. One writer at a time.</summary>
    /// <exception cref="IOException">It cannot be written, or whether it is durable cannot be told.</exception>
    public static void Write(string path, ReadOnlyMemory<byte> content)
    {
        var folder = Path.GetDirectoryName(path) ?? "/";
        CreateFolder(folder);
        var unfinished = path + ".new";
        try
        {
            // What a crash left under this name, a link too, is not written into.
            File.Delete(unfinished);
            var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, BufferSize = 0, UnixCreateMode = Owner };
            using (var file = new FileStream(unfinished, options))
            {
                file.Write(content.Span);
                file.Flush(flushToDisk: true);
            }
            File.Move(unfinished, path, overwrite: true);
        }
        catch
        {
            File.Delete(unfinished);
            throw;
        }
        LibC.SyncFolder(folder);
    }

    /// <summary>Makes a folder and its missing parents, for their owner only, each durable.</summary>
    public static void CreateFolder(string folder)
    {
        if (Directory.Exists(folder))
        {
            return;
        }
        var above = Path.GetDirectoryName(folder) ?? "/";
        CreateFolder(above);
        Directory.CreateDirectory(folder, FolderOwner);
        LibC.SyncFolder(above);
    }
}
