using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.VhdxSample;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>Sector bitmaps as other programs leave them: bits of a block without a place mean nothing.</summary>
public sealed class VhdxForeignBitmapTests
{
    // 2^23 sectors of 512 bytes in blocks of 1 MiB; 256 bytes of the bitmap are one block's.
    private const int BitmapEntryIndex = 4096;
    private const int BitmapBytesPerBlock = 256;
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact(Timeout = 20_000)]
    public async Task Bits_left_from_an_earlier_block_do_not_hide_the_parent()
    {
        var parent = Pattern(1, 8 * MiB);
        var file = new MemoryFile(path: "child.vhdx");
        await VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = 8 * MiB, BlockSize = MiB, Parent = SomeParent }, None);
        await using (var disk = await OpenOverAsync(file.Reopen(), parent))
            await disk.WriteAsync(0, Pattern(2, 512), WriteFlags.None, None);
        var entry = BitConverter.ToInt64(await PeekAsync(file.Reopen(), BatOffset + (BitmapEntryIndex * sizeof(long)), sizeof(long)));
        var bits = new byte[BitmapBytesPerBlock];
        bits.AsSpan().Fill(0xff);
        await PokeAsync(file.Reopen(), (entry >> 20 << 20) + BitmapBytesPerBlock, bits);

        await using var child = await OpenOverAsync(file.Reopen(), parent);
        await child.WriteAsync(MiB + 4096, Pattern(3, 512), WriteFlags.None, None);
        Pattern(3, 512).CopyTo(parent, MiB + 4096);
        Assert.Equal(parent[MiB..(2 * MiB)], await ReadAsync(child, MiB, MiB));
    }

    private static ValueTask<VhdxDisk> OpenOverAsync(MemoryFile file, byte[] parent) => VhdxDisk.OpenAsync(
        file, new VhdxOpenOptions { Parent = Formats.Vhd.VhdSample.ParentOf(parent) }, None);
}
