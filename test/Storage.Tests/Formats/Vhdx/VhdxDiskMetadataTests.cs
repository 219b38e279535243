using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Storage.Tests.Operations;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.VhdxSample;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>What a merge takes down besides bytes: the disk a guest sees stays the same one.</summary>
public sealed class VhdxDiskMetadataTests
{
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly Guid Both = Guid.NewGuid();

    private static readonly VhdxMetadataItem OfFile = new(Guid.NewGuid(), VhdxMetadataItem.UserFlag, [9]);
    private static readonly VhdxMetadataItem OnlyLower = new(Guid.NewGuid(), VhdxMetadataItem.VirtualDiskFlag, [1]);
    private static readonly VhdxMetadataItem LowerOfBoth = new(Both, VhdxMetadataItem.UserFlag | VhdxMetadataItem.VirtualDiskFlag, [2, 2]);
    private static readonly VhdxMetadataItem UpperOfBoth = new(Both, VhdxMetadataItem.UserFlag | VhdxMetadataItem.VirtualDiskFlag, [3, 3, 3]);
    private static readonly VhdxMetadataItem Empty = new(Guid.NewGuid(), VhdxMetadataItem.VirtualDiskFlag, []);
    private static readonly VhdxMetadataItem UpperFile = new(Guid.NewGuid(), VhdxMetadataItem.UserFlag, [4]);

    [Fact]
    public async Task The_lower_layer_takes_what_belongs_to_the_disk_and_keeps_what_belongs_to_its_file()
    {
        var (lower, upper, content) = await CreateAsync();
        var before = await VhdxDisk.DescribeAsync(lower.Reopen(readOnly: true), None);
        await VhdxDiskMetadata.CarryAsync(lower.Reopen(), upper.Reopen(readOnly: true), None);
        var after = await VhdxDisk.DescribeAsync(lower.Reopen(readOnly: true), None);
        var wanted = await VhdxDisk.DescribeAsync(upper.Reopen(readOnly: true), None);
        Assert.Equal((wanted.Identifier, 512), (after.Identifier, after.PhysicalSectorSize));
        Assert.Equal((before.Linkage, before.Size, before.BlockSize), (after.Linkage, after.Size, after.BlockSize));
        Assert.True(await HasTakenAsync(lower));
        await AssertSoundAsync(lower, content, "after");
        var all = await ReadAllAsync(lower);
        Assert.Contains(all, OfFile.Says);
        Assert.DoesNotContain(all, UpperFile.IsFor);
        Assert.DoesNotContain(all, OnlyLower.IsFor);
        Assert.Contains(all, Empty.Says);
    }

    [Fact]
    public async Task A_chain_whose_layers_agree_is_not_written()
    {
        var (lower, upper, _) = await CreateAsync();
        await VhdxDiskMetadata.CarryAsync(lower.Reopen(), upper.Reopen(readOnly: true), None);
        var file = new CrashFile(lower.Reopen());
        await VhdxDiskMetadata.CarryAsync(file, upper.Reopen(readOnly: true), None);
        Assert.Equal(0, file.EventCount);
    }

    [Fact]
    public async Task A_smaller_physical_sector_than_the_lower_layers_logical_one_stays_above()
    {
        var lower = new MemoryFile(path: "lower.vhdx");
        await VhdxDisk.CreateAsync(lower, new VhdxCreateOptions { Size = 8 * MiB, LogicalSectorSize = 4096, PhysicalSectorSize = 4096 }, None);
        var (_, upper, _) = await CreateAsync();
        await VhdxDiskMetadata.CarryAsync(lower.Reopen(), upper.Reopen(readOnly: true), None);
        Assert.Equal(4096, (await VhdxDisk.DescribeAsync(lower.Reopen(readOnly: true), None)).PhysicalSectorSize);
    }

    [Fact]
    public async Task More_items_than_the_format_allows_are_refused_before_anything_is_written()
    {
        var lower = await CreateAsync("lower.vhdx", [.. Enumerable.Range(0, 600).Select(static _ => new VhdxMetadataItem(Guid.NewGuid(), VhdxMetadataItem.UserFlag, []))]);
        var upper = await CreateAsync("upper.vhdx", [.. Enumerable.Range(0, 600).Select(static _ => UpperOfBoth with { Id = Guid.NewGuid(), Bytes = [] })]);
        var file = new CrashFile(lower.Reopen());
        var error = await Assert.ThrowsAsync<StorageException>(async () => await VhdxDiskMetadata.RequireRoomAsync(file, upper.Reopen(readOnly: true), None));
        Assert.Equal(StorageErrorKind.Unsupported, error.Kind);
        Assert.Equal(0, file.EventCount);
    }

    [Fact(Timeout = 60_000)]
    public async Task Cut_off_after_any_event_the_metadata_is_old_or_new_and_the_same_call_finishes()
    {
        var (lower, upper, content) = await CreateAsync();
        var file = new CrashFile(lower.Reopen());
        await VhdxDiskMetadata.CarryAsync(file, upper.Reopen(readOnly: true), None);
        var states = new HashSet<bool>();
        for (var events = 0; events <= file.EventCount; events++)
        {
            foreach (var (image, what) in ResizeSample.ImagesAfter(file, events))
            {
                states.Add(await HasTakenAsync(image));
                await AssertContentAsync(image, content, what);
                await VhdxDiskMetadata.CarryAsync(image.Reopen(), upper.Reopen(readOnly: true), None);
                Assert.True(await HasTakenAsync(image), what);
                await AssertSoundAsync(image, content, what);
            }
        }

        Assert.Equal(2, states.Count);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_file_that_fails_anywhere_keeps_its_content_and_the_same_call_finishes()
    {
        var (lower, upper, content) = await CreateAsync();
        var failures = await ResizeFaults.FailEverywhereAsync(
            lower,
            file => VhdxDiskMetadata.CarryAsync(file, upper.Reopen(readOnly: true), None),
            async image =>
            {
                await AssertContentAsync(image, content, "after a fault");
                await VhdxDiskMetadata.CarryAsync(image.Reopen(), upper.Reopen(readOnly: true), None);
                Assert.True(await HasTakenAsync(image));
                await AssertSoundAsync(image, content, "after a fault");
            });
        Assert.True(failures > 5, $"{failures} failures");
    }

    private static async Task<(MemoryFile Lower, MemoryFile Upper, byte[] Content)> CreateAsync()
    {
        var lower = await CreateAsync("lower.vhdx", [OfFile, OnlyLower, LowerOfBoth]);
        await using (var disk = await OpenAsync(lower.Reopen()))
            await disk.WriteAsync(MiB / 2, Pattern(1, MiB), WriteFlags.None, None);
        var upper = await CreateAsync("upper.vhdx", [UpperOfBoth, Empty, UpperFile], physical: 512);
        await using var again = await OpenAsync(lower.Reopen(), readOnly: true);
        return (lower, upper, await ReadAsync(again, 0, 8 * MiB));
    }

    private static async Task<MemoryFile> CreateAsync(string name, VhdxMetadataItem[] items, int physical = 4096)
    {
        var file = new MemoryFile(path: name);
        var options = new VhdxCreateOptions { Size = 8 * MiB, BlockSize = MiB, PhysicalSectorSize = physical, Metadata = items };
        await VhdxDisk.CreateAsync(file, options, None);
        return file;
    }

    private static async Task<bool> HasTakenAsync(MemoryFile file)
    {
        var items = await VhdxDisk.ReadInheritedAsync(file.Reopen(readOnly: true), None);
        var (hasUpper, hasLower) = (items.Any(UpperOfBoth.Says), items.Any(LowerOfBoth.Says));
        Assert.True(hasUpper != hasLower, "a mixture");
        Assert.Equal(hasLower, items.Any(OnlyLower.Says));
        Assert.Equal(hasUpper, items.Any(Empty.Says));
        Assert.Equal(hasUpper ? 512 : 4096, (await VhdxDisk.DescribeAsync(file.Reopen(readOnly: true), None)).PhysicalSectorSize);
        return hasUpper;
    }

    private static async Task<IReadOnlyList<VhdxMetadataItem>> ReadAllAsync(MemoryFile file)
    {
        var copy = file.Reopen(readOnly: true);
        var front = await VhdxImage.OpenFrontAsync(copy, readOnly: true, new VhdxOpenOptions(), VhdxFindings.Strict(copy), None);
        return await (await VhdxMetadata.ReadTableAsync(copy, front.Regions.Metadata, None)).ReadAllAsync(None);
    }

    private static async Task AssertContentAsync(MemoryFile file, byte[] content, string what)
    {
        await using var disk = await OpenAsync(file.Reopen(readOnly: true), readOnly: true);
        var found = await ReadAsync(disk, 0, 8 * MiB);
        Assert.True(found.AsSpan().SequenceEqual(content), what);
    }

    private static async Task AssertSoundAsync(MemoryFile file, byte[] content, string what)
    {
        await ResizeSample.AssertSoundAsync(file.Reopen(readOnly: true), ImageFormat.VhdxDynamic, what);
        await AssertContentAsync(file, content, what);
    }
}
