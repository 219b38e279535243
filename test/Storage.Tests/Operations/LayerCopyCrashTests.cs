using Godwit.Storage.Decorators;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhd;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Storage.Operations;
using Godwit.Storage.Tests.Formats.Vhd;
using Godwit.Storage.Tests.Formats.Vhdx;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Operations;

/// <summary>A layer is copied into its parent, and the power fails or the process is killed after every change of the parent's file: with the layer
/// on top the chain reads as ever.</summary>
public sealed class LayerCopyCrashTests
{
    private const int MiB = 1 << 20;
    private const int Size = 6 * MiB;
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 120_000)]
    [InlineData("VHDX")]
    [InlineData("VHD")]
    public async Task After_a_crash_at_any_instant_of_the_copy_the_chain_reads_the_same(string family)
    {
        var bottom = Filled(0xEE);
        var (lower, upper) = (await CreateAsync(family, "lower"), await CreateAsync(family, "upper"));
        await using (var disk = await OpenAsync(family, lower.Reopen(), bottom, keeps: false))
            await ChangeAsync(disk, new Random(1));
        byte[] expected;
        await using (var disk = await OpenAsync(family, upper.Reopen(), await OpenAsync(family, lower.Reopen(readOnly: true), bottom, keeps: true), keeps: false))
        {
            await ChangeAsync(disk, new Random(2));
            expected = await VhdxSample.ReadAsync(disk, 0, Size);
        }

        var file = new CrashFile(lower);
        await using (var target = await OpenAsync(family, file, bottom, keeps: true))
        {
            await using var chain = await OpenAsync(family, upper.Reopen(readOnly: true), new BorrowedDisk(target), keeps: true);
            await new LayerCopy(chain, target, layers: 1, _ => { }).RunAsync(None);
            await target.FlushAsync(None);
        }

        Assert.InRange(file.EventCount, 10, 5000);
        var step = Math.Max(1, file.EventCount / 150);
        for (var events = 0; events <= file.EventCount; events += step)
        {
            await JudgeAsync(file.AfterKill(events), $"killed after {events}");
            await JudgeAsync(file.AfterPowerCut(events, PowerCut.FlushedOnly), $"power cut after {events}");
            await JudgeAsync(file.AfterPowerCut(events, PowerCut.RandomSubset, events), $"power cut after {events}, some of it");
        }

        async Task JudgeAsync(MemoryFile image, string what)
        {
            await using var disk = await OpenAsync(
                family, upper.Reopen(readOnly: true), await OpenAsync(family, image.Reopen(readOnly: true), bottom, keeps: true), keeps: true);
            var read = await VhdxSample.ReadAsync(disk, 0, Size);
            Assert.True(read.AsSpan().SequenceEqual(expected), $"{what}: differs at {read.AsSpan().CommonPrefixLength(expected)}");
        }
    }

    /// <summary>Parts of blocks, whole blocks and zeroes.</summary>
    private static async Task ChangeAsync(BlockDevice disk, Random random)
    {
        for (var change = 0; change < 24; change++)
        {
            var length = change % 8 == 7 ? MiB : random.Next(1, 64) * 512;
            var offset = change % 8 == 7 ? random.Next(Size / MiB) * MiB : random.Next((Size - length) / 512) * 512;
            var bytes = new byte[length];
            random.NextBytes(bytes);
            if (change % 3 == 2)
                await disk.WriteZeroesAsync(offset, length, WriteFlags.None, None);
            else
                await disk.WriteAsync(offset, bytes, WriteFlags.None, None);
        }
    }

    private static async Task<MemoryFile> CreateAsync(string family, string name)
    {
        var file = new MemoryFile(path: name);
        if (family == "VHDX")
            await VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = Size, BlockSize = MiB, Parent = VhdxSample.SomeParent }, None);
        else
            await VhdDisk.CreateAsync(file, new VhdCreateOptions { Size = Size, BlockSize = MiB, Parent = VhdSample.Parent }, None);
        return file;
    }

    private static async Task<BlockDevice> OpenAsync(string family, IStorageFile file, BlockDevice parent, bool keeps) => family == "VHDX"
        ? await VhdxDisk.OpenAsync(file, new VhdxOpenOptions { Parent = parent, KeepsDataWriteGuid = keeps }, None)
        : await VhdDisk.OpenAsync(file, new VhdOpenOptions { Parent = parent }, None);

    private static ReferenceDisk Filled(byte fill)
    {
        var disk = new ReferenceDisk(Size);
        var bytes = new byte[Size];
        bytes.AsSpan().Fill(fill);
        disk.WriteAsync(0, bytes, WriteFlags.None, None).AsTask().Wait();
        return disk;
    }
}
