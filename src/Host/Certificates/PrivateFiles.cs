using System.Text;
using Godwit.Host.Interop;

namespace Godwit.Host.Certificates;

/// <summary>Files for their owner only, that are there whole or not at all, whenever the process is killed or the power cut.</summary>
internal static class PrivateFiles
{
    private const UnixFileMode OwnerFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode OwnerFolder = OwnerFile | UnixFileMode.UserExecute;
    private const string Unfinished = ".new";

    /// <summary>Makes a folder with files in it.</summary>
    /// <param name="folder">Must not exist.</param>
    /// <param name="files">Names and texts.</param>
    public static void CreateFolder(string folder, IEnumerable<(string Name, string Text)> files)
    {
        var unfinished = folder + Unfinished;
        if (Directory.Exists(unfinished))
        {
            // Of a daemon that was killed in the middle: nobody has ever used it.
            Directory.Delete(unfinished, true);
        }
        Directory.CreateDirectory(unfinished, OwnerFolder);
        foreach (var (name, text) in files)
        {
            Write(Path.Combine(unfinished, name), text);
        }
        LibC.SyncFolder(unfinished);
        LibC.Rename(unfinished, folder);
        LibC.SyncFolder(Path.GetDirectoryName(folder)!);
    }

    /// <summary>Lets a link point to a folder, in one step.</summary>
    /// <param name="link">The link; made or replaced.</param>
    /// <param name="target">The name of a folder beside it.</param>
    public static void Point(string link, string target)
    {
        var unfinished = link + ".link" + Unfinished;
        File.Delete(unfinished);
        File.CreateSymbolicLink(unfinished, target);
        LibC.Rename(unfinished, link);
        LibC.SyncFolder(Path.GetDirectoryName(link)!);
    }

    private static void Write(string path, string text)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerFile };
        using var file = new FileStream(path, options);
        file.Write(Encoding.ASCII.GetBytes(text.EndsWith('\n') ? text : text + "\n"));
        file.Flush(flushToDisk: true);
    }
}
