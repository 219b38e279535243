using Godwit.Storage.FileSystems;
using Godwit.Storage.Formats.Raw;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.FileSystems;

/// <summary>Whatever a guest writes into its superblock, descriptors or records: an answer, in bounded time and memory.</summary>
[Trait("Tier", "process")]
public sealed class HostileFileSystemTests
{
    private const int MiB = 1 << 20;
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 120_000)]
    [InlineData("ext4", 24, "-b 1024 -g 1024 -O uninit_bg,^metadata_csum")]
    [InlineData("vfat", 40, "-F 32 -s 1")]
    [InlineData("ntfs", 24, "")]
    [InlineData("exfat", 24, "")]
    public async Task Mutated_structures_never_crash_hang_or_eat_memory(string kind, int mebibytes, string options)
    {
        Assert.SkipUnless(FileSystemImage.CanMake(kind), $"the tools for {kind} are not installed");
        using var image = await FileSystemImage.CreateAsync(kind, mebibytes * MiB, options.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        var good = new MemoryFile(await File.ReadAllBytesAsync(image.Path, None));
        var used = await UsedAsync(good.Copy());
        Assert.NotNull(used);
        var random = new Random(1);
        var (accepted, refused) = (0, 0);
        for (var round = 0; round < 250; round++)
        {
            var bad = good.Copy();
            await MutateAsync(bad, kind, random);
            var before = GC.GetAllocatedBytesForCurrentThread();
            var clock = System.Diagnostics.Stopwatch.StartNew();
            _ = await UsedAsync(bad) is null ? refused++ : accepted++;
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(20), $"round {round} took {clock.Elapsed}");
            Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 64 * MiB, $"round {round}");
        }

        Assert.True(accepted > 5 && refused > 5, $"{accepted} accepted and {refused} refused: is the mutation blind?");
    }

    /// <summary>Bytes that are not free, or null when the file system is not used. Every run must lie in the partition and move on.</summary>
    private static async Task<long?> UsedAsync(MemoryFile file)
    {
        await using var disk = RawDisk.Open(file);
        var finding = await FileSystemProbe.OpenAsync(new PartitionReader(disk, 0, disk.Length), None);
        if (finding.Space is not FreeSpace space)
        {
            Assert.NotNull(finding.Reason);
            return null;
        }

        var used = disk.Length;
        for (long at = 0; at < disk.Length;)
        {
            var run = await space.NextAsync(at, disk.Length, None);
            Assert.True(run.Start >= at && run.Length >= 0 && run.End <= disk.Length && (run.Length > 0 || run.Start == disk.Length));
            used -= run.Length;
            at = run.End;
        }

        return used;
    }

    private static async Task MutateAsync(MemoryFile file, string kind, Random random)
    {
        var page = new byte[4096];
        for (var change = random.Next(1, 4); change > 0; change--)
        {
            // Where the structures are: the first pages, and for NTFS the records of the system files.
            var at = kind == "ntfs" && random.Next(2) == 0 ? (4 * 4096) + (random.Next(3) * 4096L) : random.Next(2) * 4096L;
            await file.ReadAsync(at, page, None);
            var place = random.Next(4) == 0 ? random.Next(page.Length) : random.Next(kind == "ext4" ? 1024 : 0, kind == "ext4" ? 1300 : 128);
            var width = 1 << random.Next(4);
            var value = random.Next(3) switch
            {
                0 => ulong.MaxValue,
                1 => 1UL << random.Next(64),
                _ => (ulong)random.NextInt64(),
            };
            for (var index = 0; index < width && place + index < page.Length; index++)
                page[place + index] = (byte)(value >> (8 * index));
            await file.WriteAsync(at, page, None);
        }
    }
}
