using Godwit.Storage.Decorators;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Raw;
using Godwit.Storage.Formats.Vhd;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Decorators;

public sealed class WriteThroughDiskTests
{
    private const int Size = 4 << 20;
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 60_000)]
    [InlineData("raw")]
    [InlineData("vhdx")]
    [InlineData("vhd")]
    public async Task A_power_cut_right_after_a_change_was_acknowledged_loses_none_of_it(string format)
    {
        var file = new CrashFile(path: format);
        await FormatAsync(file, format);
        var model = new byte[Size];
        await using var disk = new WriteThroughDisk(await OpenAsync(file, format));
        var random = new Random(4);
        for (var i = 0; i < 25; i++)
        {
            var offset = random.Next(Size / 4096 - 40) * 4096;
            var data = new byte[random.Next(1, 40) * 4096];
            switch (i % 5)
            {
                case 3:
                    await disk.WriteZeroesAsync(offset, data.Length, WriteFlags.None, None);
                    break;
                case 4:
                    await disk.TrimAsync(offset, data.Length, None);
                    break;
                default:
                    random.NextBytes(data);
                    await disk.WriteAsync(offset, data, WriteFlags.None, None);
                    break;
            }

            data.CopyTo(model, offset);
            foreach (var left in Enum.GetValues<PowerCut>())
            {
                await using var after = await OpenAsync(file.AfterPowerCut(file.EventCount, left, seed: i), format);
                var found = new byte[Size];
                await after.ReadAsync(0, found, None);
                Assert.True(model.AsSpan().SequenceEqual(found), $"after request {i} and a power cut ({left}) the disk reads otherwise");
            }
        }
    }

    [Fact]
    public async Task A_flush_that_fails_fails_the_write()
    {
        var faulty = new FaultyDisk(new ReferenceDisk(4096));
        await using var disk = new WriteThroughDisk(new ForcingDisk(faulty));
        faulty.Rules.FailAlways(FileOperation.Flush);
        await Assert.ThrowsAsync<StorageException>(async () => await disk.WriteAsync(0, new byte[512], WriteFlags.None, None));
        await Assert.ThrowsAsync<StorageException>(async () => await disk.TrimAsync(0, 512, None));
    }

    private static ValueTask FormatAsync(IStorageFile file, string format) => format switch
    {
        "vhdx" => VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = Size, BlockSize = 1 << 20 }, None),
        "vhd" => VhdDisk.CreateAsync(file, new VhdCreateOptions { Size = Size, BlockSize = 512 << 10 }, None),
        _ => RawDisk.CreateAsync(file, Size, None),
    };

    private static async ValueTask<BlockDevice> OpenAsync(IStorageFile file, string format) => format switch
    {
        "vhdx" => await VhdxDisk.OpenAsync(file, new VhdxOpenOptions(), None),
        "vhd" => await VhdDisk.OpenAsync(file, new VhdOpenOptions(), None),
        _ => RawDisk.Open(file),
    };

    /// <summary>Carries a forced write out as formats do: the write, then a flush.</summary>
    private sealed class ForcingDisk(BlockDevice inner) : DelegatingBlockDevice(inner)
    {
        protected override async ValueTask WriteCoreAsync(
            long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
        {
            await Inner.WriteAsync(offset, buffer, WriteFlags.None, cancellationToken);
            if ((flags & WriteFlags.ForceUnitAccess) != 0)
                await Inner.FlushAsync(cancellationToken);
        }
    }
}
