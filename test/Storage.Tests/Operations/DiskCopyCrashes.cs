using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Raw;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Storage.Operations;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Operations;

/// <summary>After a kill or a power cut at any event a copy that goes on from the last recorded offset is whole.</summary>
public sealed class DiskCopyCrashes
{
    private const long Size = 24 << 20;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory(Timeout = 120_000)]
    [InlineData(ImageFormat.Raw, 1)]
    [InlineData(ImageFormat.VhdxDynamic, 2)]
    [InlineData(ImageFormat.VhdxFixed, 3)]
    public async Task A_copy_that_goes_on_from_the_recorded_offset_is_whole(ImageFormat format, int seed)
    {
        await using var source = await CreateSourceAsync(seed);
        var empty = new MemoryFile(path: $"copy-seed-{seed}");
        await FormatAsync(empty, format);
        var file = new CrashFile(empty) { FlushesYield = true };
        var records = new List<(int Event, long Offset)> { (0, 0) };
        var options = new CopyOptions { StableBytes = 1, OnStable = offset => records.Add((file.EventCount, offset)) };
        await using (var target = await OpenAsync(file, format))
            await new DiskCopy(source, target, options).RunAsync(Token);
        Assert.True(records.Count > 2, $"{records.Count} records");

        for (var events = 0; events <= file.EventCount; events++)
        {
            var from = records.Last(record => record.Event <= events).Offset;
            var what = $"seed {seed}, event {events} of {file.EventCount}, from {from}";
            await GoOnAsync(source, file.AfterKill(events), format, from, what + ", killed");
            await GoOnAsync(source, file.AfterPowerCut(events, PowerCut.FlushedOnly), format, from, what + ", only flushed");
            for (var draw = 0; draw < 3; draw++)
                await GoOnAsync(source, file.AfterPowerCut(events, PowerCut.RandomSubset, draw), format, from, $"{what}, subset {draw}");
        }
    }

    // A little data in each window of 4 MiB, so that there are many windows and few bytes.
    private static async Task<ReferenceDisk> CreateSourceAsync(int seed)
    {
        var random = new Random(seed);
        var pieces = Enumerable.Range(0, (int)(Size / OperationsRig.Unit)).Select(_ => random.Next(20) == 0 ? random.Next(1, 4) : 0).ToList();
        return await OperationsRig.CreateAsync(Size, pieces, Token);
    }

    private static async Task GoOnAsync(BlockDevice source, MemoryFile image, ImageFormat format, long from, string what)
    {
        await using (var target = await OpenAsync(image, format))
            await new DiskCopy(source, target, new CopyOptions { From = from }).RunAsync(Token);
        await using var made = await OpenAsync(image.Reopen(), format);
        var found = await new DiskCompare(source, made).RunAsync(1, null, Token);
        Assert.True(found.Same, $"{what}: differs at {found.FirstDifference}");
    }

    private static ValueTask FormatAsync(IStorageFile file, ImageFormat format) => format == ImageFormat.Raw
        ? RawDisk.CreateAsync(file, Size, Token)
        : VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = Size, BlockSize = 1 << 20, Fixed = format == ImageFormat.VhdxFixed }, Token);

    private static async Task<BlockDevice> OpenAsync(IStorageFile file, ImageFormat format) => format == ImageFormat.Raw
        ? RawDisk.Open(file)
        : await VhdxDisk.OpenAsync(file, new VhdxOpenOptions(), Token);
}
