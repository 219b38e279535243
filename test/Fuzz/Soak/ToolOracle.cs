using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Raw;
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
    /// <param name="judge">Says what is wrong with a content and a size after this power cut.</param>
    /// <param name="counts">Where results go.</param>
    public async ValueTask ShowAsync(
        SoakFormat format, MemoryFile state, MemoryFile opened, Func<IReadOnlyDictionary<long, long>, long, string?> judge, SoakCounts counts)
    {
        if (format.SevenZipType is null || ++_states % every != 0)
            return;
        await using var disk = await format.OpenAsync(opened.Reopen(readOnly: true), true, Guid.NewGuid(), Guid.NewGuid);
        var compare = disk.Length <= MaxCompared;
        var expected = compare ? await WriteDiskAsync(disk) : null;
        if (format.QemuFormat is not null)
        {
            counts.QemuChecks++;
            if (!await AskQemuAsync(format, state, opened, expected, judge, counts))
                await KeepAsync($"qemu-{++counts.QemuRefused}", format, state, opened);
        }

        if (_sevenZip is null || !SevenZipReads(format, disk))
            return;
        counts.SevenZipChecks++;
        if (!await AskSevenZipAsync(format, opened, expected))
            await KeepAsync($"7zip-{++counts.SevenZipRefused}", format, state, opened);
    }

    /// <summary>What 7-Zip 26.02 can do: it opens no VHDX with an odd number of sectors (QEMU's own neither), and reads no child
    /// that is larger than its parent.</summary>
    private static bool SevenZipReads(SoakFormat format, BlockDevice disk) =>
        (format.Extension != "vhdx" || disk.Length % (2 * disk.Capabilities.SectorSize) == 0)
        && (format.Parent is null || disk.Length == format.Parent.Length);

    /// <summary>Keeps the first refused images for a look.</summary>
    private static async Task KeepAsync(string name, SoakFormat format, MemoryFile state, MemoryFile opened)
    {
        const string Kept = "artifacts/soak";
        Directory.CreateDirectory(Kept);
        var path = Path.Combine(Kept, $"{name}-state.{format.Extension}");
        await Console.Error.WriteLineAsync($"soak: refused: {path}");
        if (Directory.GetFiles(Kept).Length >= 10)
            return;
        await WriteFileAsync(state, path);
        await WriteFileAsync(opened, Path.Combine(Kept, $"{name}-opened.{format.Extension}"));
    }

    private async Task<bool> AskQemuAsync(
        SoakFormat format, MemoryFile state, MemoryFile opened, string? expected, Func<IReadOnlyDictionary<long, long>, long, string?> judge, SoakCounts counts)
    {
        var path = _folder.File($"state.{format.Extension}");
        await WriteFileAsync(format.QemuChecks ? state : opened, path);
        if (format.QemuChecks && !await RunAsync("qemu-img", "check", "-q", "-r", "all", "-f", format.QemuFormat!, path))
            return false;
        if (expected is null || await RunAsync("qemu-img", "compare", "-q", "-f", format.QemuFormat!, "-F", "raw", path, expected))
            return true;

        // QEMU replays a log entry though the one it needs is lost. What is in the wrong then is not the file: replayed by Godwit, QEMU reads it.
        if (format.QemuChecks && await IsPossibleAsync(format, path, judge))
        {
            counts.QemuOtherwise++;
            return true;
        }

        counts.QemuMissed++;
        await WriteFileAsync(opened, path);
        return format.QemuChecks && await RunAsync("qemu-img", "compare", "-q", "-f", format.QemuFormat!, "-F", "raw", path, expected);
    }

    private async Task<bool> IsPossibleAsync(SoakFormat format, string path, Func<IReadOnlyDictionary<long, long>, long, string?> judge)
    {
        var raw = _folder.File("qemu.raw");
        if (!await RunAsync("qemu-img", "convert", "-f", format.QemuFormat!, "-O", "raw", path, raw))
            return false;
        await using var disk = RawDisk.Open(LocalFile.Open(raw, readOnly: true));
        var wrong = judge(await DiskWalk.ReadAllAsync(disk, new Random(1)), disk.Length);
        if (wrong is not null)
            await Console.Error.WriteLineAsync($"soak: QEMU: {wrong}");
        return wrong is null;
    }

    private async Task<bool> AskSevenZipAsync(SoakFormat format, MemoryFile opened, string? expected)
    {
        var path = _folder.File($"opened.{format.Extension}");
        await WriteFileAsync(opened, path);
        if (format.Parent is SoakParent parent)
            await WriteFileAsync(parent.File, _folder.File(parent.Name));
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

    /// <summary>Runs a program; one that stood still is asked once more, since the machine may have.</summary>
    private static async Task<bool> RunAsync(string program, params string[] arguments)
    {
        var result = await TryRunAsync(program, arguments) ?? await TryRunAsync(program, arguments);
        if (result?.ExitCode != 0)
            await Console.Error.WriteLineAsync($"soak: {result?.ToString() ?? $"{program} does not end"}");
        return result?.ExitCode == 0;
    }

    private static async Task<CommandResult?> TryRunAsync(string program, string[] arguments)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        try
        {
            return await ChildProgram.RunAsync(program, arguments, null, limit.Token);
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }
}
