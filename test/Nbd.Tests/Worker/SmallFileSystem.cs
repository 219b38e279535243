using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>A file system in memory that can be full or read-only.</summary>
internal sealed class SmallFileSystem : IAsyncDisposable
{
    private readonly string _folder;

    private SmallFileSystem(string folder) => _folder = folder;

    /// <summary>Mounts one; skips the test where that is not allowed.</summary>
    /// <param name="folder">Where; made when missing.</param>
    /// <param name="options">Mount options of tmpfs.</param>
    /// <param name="ct">Gives up.</param>
    public static async Task<SmallFileSystem> MountAsync(string folder, string options, CancellationToken ct)
    {
        Directory.CreateDirectory(folder);
        var mounted = await ChildProgram.RunAsync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", folder], null, ct);
        Assert.SkipWhen(mounted.ExitCode != 0, $"this test needs the right to mount a tmpfs: {mounted.Error}");
        return new SmallFileSystem(folder);
    }

    /// <summary>Leaves no more than this many bytes free.</summary>
    public async Task FillAsync(long leave, CancellationToken ct)
    {
        var free = new DriveInfo(_folder).AvailableFreeSpace;
        await File.WriteAllBytesAsync(Filler, new byte[free - leave], ct);
    }

    /// <summary>Makes room again.</summary>
    public void MakeRoom() => File.Delete(Filler);

    public async ValueTask DisposeAsync() =>
        (await ChildProgram.RunAsync("umount", ["-l", _folder], null, CancellationToken.None)).Succeeded();

    private string Filler => Path.Combine(_folder, "filler");
}
