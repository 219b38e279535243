using Godwit.Worker.Interop;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>A folder with a copy of the worker program, upgraded as a package manager does it: a new file under the old name.</summary>
internal sealed class InstalledPrograms : IDisposable
{
    private readonly string _folder;

    public InstalledPrograms(string folder)
    {
        _folder = folder;
        Directory.CreateDirectory(folder);
        var origin = Path.GetDirectoryName(WorkerUnderTest.Program)!;
        // What the program needs beside it unless it was compiled ahead of time.
        foreach (var file in Directory.GetFiles(origin, "*.dll").Concat(Directory.GetFiles(origin, "godwit-worker.*.json")))
            File.CreateSymbolicLink(Path.Combine(folder, Path.GetFileName(file)), file);
        File.Copy(WorkerUnderTest.Program, Program);
    }

    public string Program => Path.Combine(_folder, "godwit-worker");

    public long Inode => InodeOf(Program);

    /// <summary>Compiled ahead of time, it needs neither its name nor files beside it.</summary>
    public static bool StartsWithoutName => !File.Exists(WorkerUnderTest.Program + ".dll");

    public static long InodeOf(string path) => FileStatus.Read(path, follow: true)!.Value.Identity.Inode;

    /// <summary>The same program as another file.</summary>
    public void Upgrade() => Replace(File.ReadAllBytes(WorkerUnderTest.Program));

    /// <summary>Another file, or none.</summary>
    public void Replace(byte[]? content)
    {
        if (content is null)
        {
            File.Delete(Program);
            return;
        }

        var draft = Program + ".new";
        File.WriteAllBytes(draft, content);
        File.SetUnixFileMode(draft, File.GetUnixFileMode(WorkerUnderTest.Program));
        File.Move(draft, Program, overwrite: true);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
