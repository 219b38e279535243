using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Testing;
using Godwit.Testing.Files;
using Godwit.Testing.Hosts;

namespace Godwit.Fuzz.Soak;

/// <summary>Shows states after a power cut to programs that are not ours: they must accept them and read the same.</summary>
/// <param name="every">One of so many states is shown.</param>
internal sealed class ToolOracle(int every) : IDisposable
{
    // Content is compared up to here; of bigger disks only the structures are looked at.
    private const long MaxCompared = 128 << 20;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new(Directory.Exists("/dev/shm") ? "/dev/shm" : null);
    private readonly string? _sevenZip = Array.Find(["/usr/bin/7zz", "/usr/bin/7z"], File.Exists);
    private long _states;

    public void Dispose() => _folder.Dispose();

    /// <summary>Shows one state, when it is its turn.</summary>
    /// <param name="format">What it is.</param>
    /// <param name="state">As the power cut left it; QEMU replays logs itself.</param>
    /// <param name="opened">The same after Godwit has opened and closed it; 7-Zip does not replay logs.</param>
    /// <param name="counts">Where results go.</param>
    public async ValueTask ShowAsync(SoakFormat format, MemoryFile state, MemoryFile opened, SoakCounts counts)
    {
        if (format.QemuFormat is null || ++_states % every != 0)
            return;
        await using var disk = await format.OpenAsync(opened.Reopen(readOnly: true), true, Guid.NewGuid(), Guid.NewGuid);
        var compare = disk.Length <= MaxCompared;
        var expected = compare ? await WriteDiskAsync(disk) : null;
        counts.QemuChecks++;
        if (!await AskQemuAsync(format, state, expected))
            Keep($"qemu-{++counts.QemuRefused}", $"state.{format.QemuFormat}");

        // 7-Zip 26.02 opens no VHDX with an odd number of 512-byte sectors, QEMU's own neither.
        if (_sevenZip is null || format.SevenZipType is null || disk.Length % 1024 != 0)
            return;
        counts.SevenZipChecks++;
        if (!await AskSevenZipAsync(format, opened, expected))
            Keep($"7zip-{++counts.SevenZipRefused}", $"opened.{format.QemuFormat}");
    }

    /// <summary>Keeps the first refused images for a look.</summary>
    private void Keep(string name, string file)
    {
        const string Kept = "artifacts/soak";
        Directory.CreateDirectory(Kept);
        var target = Path.Combine(Kept, $"{name}-{file}");
        if (Directory.GetFiles(Kept).Length < 10)
            File.Move(_folder.File(file), target, overwrite: true);
        Console.Error.WriteLine($"soak: refused: {target}");
    }

    private async Task<bool> AskQemuAsync(SoakFormat format, MemoryFile state, string? expected)
    {
        var path = _folder.File($"state.{format.QemuFormat}");
        await WriteFileAsync(state, path);
        return await RunAsync("qemu-img", "check", "-q", "-r", "all", "-f", format.QemuFormat!, path)
            && (expected is null || await RunAsync("qemu-img", "compare", "-q", "-f", format.QemuFormat!, "-F", "raw", path, expected));
    }

    private async Task<bool> AskSevenZipAsync(SoakFormat format, MemoryFile opened, string? expected)
    {
        var path = _folder.File($"opened.{format.QemuFormat}");
        await WriteFileAsync(opened, path);
        if (expected is null)
            return await RunAsync(_sevenZip!, "l", $"-t{format.SevenZipType}", path);
        var target = _folder.File("extracted");
        if (Directory.Exists(target))
            Directory.Delete(target, recursive: true);
        if (!await RunAsync(_sevenZip!, "x", "-y", $"-t{format.SevenZipType}", $"-o{target}", path))
            return false;
        var extracted = Directory.GetFiles(target).Single();
        return await RunAsync("cmp", extracted, expected);
    }

    private async Task<string> WriteDiskAsync(BlockDevice disk)
    {
        var path = _folder.File("expected.raw");
        await using var target = File.Create(path);
        target.SetLength(disk.Length);
        for (var at = 0L; at < disk.Length;)
        {
            var extent = await disk.GetExtentAsync(at, Math.Min(1 << 20, disk.Length - at), None);
            if (!extent.ReadsAsZeroes)
            {
                var bytes = new byte[extent.Length];
                await disk.ReadAsync(at, bytes, None);
                target.Position = at;
                await target.WriteAsync(bytes, None);
            }

            at = extent.End;
        }

        return path;
    }

    private static async Task WriteFileAsync(MemoryFile file, string path)
    {
        IStorageFile source = file.Copy();
        await using var target = File.Create(path);
        target.SetLength(source.Length);
        for (var at = 0L; at < source.Length;)
        {
            var extent = await source.GetExtentAsync(at, Math.Min(1 << 20, source.Length - at), None);
            if (extent.Kind == ExtentKind.Data)
            {
                var bytes = new byte[extent.Length];
                await source.ReadAsync(at, bytes, None);
                target.Position = at;
                await target.WriteAsync(bytes, None);
            }

            at = extent.Kind == ExtentKind.Data ? extent.End : Math.Max(extent.End, at + 1);
        }
    }

    private static async Task<bool> RunAsync(string program, params string[] arguments)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var result = await ChildProgram.RunAsync(program, arguments, null, limit.Token);
        if (result.ExitCode != 0)
            await Console.Error.WriteLineAsync($"soak: {result}");
        return result.ExitCode == 0;
    }
}
