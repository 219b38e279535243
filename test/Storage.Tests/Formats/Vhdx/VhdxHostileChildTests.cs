using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.ForeignVhdx;
using static Godwit.Storage.Tests.Formats.Vhdx.VhdxSample;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>Differencing images made by an enemy: sector bitmaps and blocks that are where they must not be, everything mutated.</summary>
public sealed class VhdxHostileChildTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 20_000)]
    [InlineData(FullyPresent, 24, "past the end")]
    [InlineData(FullyPresent, 1L << 43, "past the end")]
    [InlineData(FullyPresent, 0, "inside the header section")]
    [InlineData(FullyPresent, 1, "overlaps")]
    [InlineData(FullyPresent, 2, "overlaps")]
    [InlineData(FullyPresent, 3, "overlaps")]
    [InlineData(FullyPresent, 6, "overlaps")]
    [InlineData(FullyPresent, 7, "overlaps")]
    [InlineData(Undefined, 10, "has state 1; only 0 and 6")]
    [InlineData(Zero, 10, "has state 2; only 0 and 6")]
    [InlineData(PartiallyPresent, 10, "has state 7; only 0 and 6")]
    [InlineData(NotPresent, 0, "no sector bitmap")]
    [InlineData(NotPresent, 10, "no sector bitmap")]
    public async Task A_bitmap_that_is_not_where_it_may_be_is_refused_and_found_by_the_check(int state, long mebibyte, string reason)
    {
        var image = Child();
        image.Bitmap(0, state, mebibyte);
        await RefusedAsync(await image.BuildAsync(), reason);
    }

    [Theory(Timeout = 20_000)]
    [InlineData(PartiallyPresent, 6, "overlaps")]
    [InlineData(FullyPresent, 7, "overlaps")]
    [InlineData(PartiallyPresent, 5, "overlaps")]
    [InlineData(PartiallyPresent, 4, "overlaps")]
    [InlineData(PartiallyPresent, 23, "past the end")]
    [InlineData(4, 0, "has state 4")]
    public async Task A_block_that_is_not_where_it_may_be_is_refused_and_found_by_the_check(int state, long mebibyte, string reason)
    {
        var image = Child();
        image.Block(2, state, mebibyte);
        await RefusedAsync(await image.BuildAsync(), reason);
    }

    /// <summary>A table too big to be examined at open: who meets the block is told, and nothing is written over the parent's bytes.</summary>
    [Fact(Timeout = 20_000)]
    public async Task In_a_big_table_a_missing_bitmap_is_told_by_who_meets_the_block()
    {
        var file = new MemoryFile(path: "big.avhdx");
        await VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = 64L << 40, BlockSize = MiB, Parent = SomeParent }, None);
        await file.SetLengthAsync(2048L * MiB, None);

        // Enough entries that the table is not read whole, then a block without a bitmap.
        var filler = new byte[5 * MiB];
        for (var at = 0; at < filler.Length; at += 8)
            filler[at] = Zero;
        await PokeAsync(file, BatOffset + MiB, filler);
        await PokeAsync(file, BatOffset, BitConverter.GetBytes((uint)PartiallyPresent | (1024UL << 20)));
        await using var disk = await VhdxDisk.OpenAsync(file, new VhdxOpenOptions { Parent = new ReferenceDisk(MiB) }, None);
        foreach (var use in new Func<Task>[]
        {
            () => disk.ReadAsync(0, new byte[512], None).AsTask(),
            () => disk.WriteAsync(0, new byte[512], WriteFlags.None, None).AsTask(),
            () => disk.GetExtentAsync(0, 4096, None).AsTask(),
        })
        {
            var error = await Assert.ThrowsAsync<StorageException>(use);
            Assert.Equal(StorageErrorKind.Corrupt, error.Kind);
            Assert.Contains("no sector bitmap", error.Reason, StringComparison.Ordinal);
        }

        await disk.WriteAsync(64L << 30, Pattern(1, 512), WriteFlags.None, None);
        Assert.Equal(Pattern(1, 512), await ReadAsync(disk, 64L << 30, 512));
    }

    [Theory(Timeout = 60_000)]
    [InlineData(1, false)]
    [InlineData(2, true)]
    public async Task A_mutated_child_opens_or_is_refused_and_never_does_anything_else(int seed, bool dirty)
    {
        var original = dirty ? await DirtyAsync() : await Child().BuildAsync();
        var random = new Random(seed);
        var refused = 0;
        for (var round = 0; round < 400; round++)
        {
            var image = original.Copy($"seed-{seed}-round-{round}");
            await MutateAsync(image, random);
            refused += await TryUseAsync(image) ? 0 : 1;
        }

        Assert.InRange(refused, 60, 400);
    }

    /// <summary>Block 0 is partially present at 6, the bitmap is at 5.</summary>
    private static ForeignVhdx Child()
    {
        var image = new ForeignVhdx { Locator = LocatorOf(("parent_linkage", SomeParent.Linkage.ToString("B")), ("relative_path", @"..\base.vhdx")) };
        image.Block(0, PartiallyPresent, 6);
        image.Bitmap(0, FullyPresent, 5);
        image.Put(5 * MiB, Pattern(1, 4096));
        image.Put(6 * MiB, Pattern(2, 65536));
        return image;
    }

    private static async Task<MemoryFile> DirtyAsync()
    {
        var file = new CrashFile(await Child().BuildAsync());
        await using var disk = await VhdxDisk.OpenAsync(file, new VhdxOpenOptions { Parent = new ReferenceDisk(16 * MiB) }, None);
        await disk.WriteAsync(3 * MiB, Pattern(3, 4096), WriteFlags.None, None);
        await disk.WriteAsync(7 * MiB, Pattern(4, 4096), WriteFlags.ForceUnitAccess, None);
        return file.AfterKill(file.EventCount);
    }

    private static async Task RefusedAsync(MemoryFile file, string reason)
    {
        var before = file.ToArray();
        var report = await VhdxCheck.RunAsync(file.Reopen(readOnly: true), None);
        Assert.Contains(report.Findings, finding => finding.Severity == CheckSeverity.Error && finding.Message.Contains(reason, StringComparison.Ordinal));
        await using var parent = new ReferenceDisk(16 * MiB);
        var error = await Assert.ThrowsAsync<StorageException>(
            async () => await VhdxDisk.OpenAsync(file.Reopen(), new VhdxOpenOptions { Parent = parent }, None));
        Assert.Equal((StorageErrorKind.Corrupt, "foreign.avhdx"), (error.Kind, error.Path));
        Assert.Contains(reason, error.Reason, StringComparison.Ordinal);
        Assert.True(before.AsSpan().SequenceEqual(file.ToArray()), "an open that fails must not write");
    }

    private static async Task MutateAsync(MemoryFile image, Random random)
    {
        for (var count = random.Next(1, 4); count > 0; count--)
        {
            byte[] values = random.Next(4) switch
            {
                0 => [(byte)random.Next(256)],
                1 => BitConverter.GetBytes(random.NextInt64()),
                2 => BitConverter.GetBytes(1L << random.Next(64)),
                _ => BitConverter.GetBytes((uint)random.Next(8) | ((ulong)random.Next(30) << 20)),
            };
            var offset = random.Next(5) switch
            {
                0 => (2 * MiB) + random.Next(224),
                1 => (2 * MiB) + (64 << 10) + random.Next(300),
                2 => (3 * MiB) + (random.Next(9) * 8),
                3 => (3 * MiB) + (2048 * 8),
                _ => (5 * MiB) + random.Next(1024),
            };
            await PokeAsync(image, offset, values);
        }
    }

    private static async Task<bool> TryUseAsync(MemoryFile image)
    {
        var report = await VhdxCheck.RunAsync(image.Reopen(readOnly: true), None);
        try
        {
            var parent = (await VhdxDisk.DescribeAsync(image.Reopen(readOnly: true), None)).Parent is null ? null : new ReferenceDisk(64 << 10);
            await using var disk = await VhdxDisk.OpenAsync(image, new VhdxOpenOptions { Parent = parent }, None);
            var sector = disk.Capabilities.SectorSize;
            for (var place = 0L; place < disk.Length && place < 16 * MiB; place += MiB)
            {
                var length = (int)Math.Min(8192, disk.Length - place);
                await disk.ReadAsync(place, new byte[length], None);
                await disk.GetExtentAsync(place, length, None);
            }

            await disk.WriteAsync(0, new byte[sector], WriteFlags.ForceUnitAccess, None);
            await disk.WriteZeroesAsync(sector, Math.Min(disk.Length - sector, 5 * MiB), WriteFlags.None, None);
            await disk.TrimAsync(0, Math.Min(disk.Length, 16 * MiB), None);
            await disk.FlushAsync(None);
            Assert.True(report.IsSound, $"{image.Path}: opened, though the check found {string.Join("; ", report.Findings)}");
            return true;
        }
        catch (StorageException error)
        {
            Assert.False(string.IsNullOrEmpty(error.Reason));
            return false;
        }
    }
}
