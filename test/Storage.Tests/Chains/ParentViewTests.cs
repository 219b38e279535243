using Godwit.Storage.Chains;
using Godwit.Storage.Formats.Raw;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Chains;

public sealed class ParentViewTests
{
    private const int Size = 20 * 512;
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 30_000)]
    [InlineData(512, 512)]
    [InlineData(4096, 512)]
    [InlineData(512, 4096)]
    public async Task Any_range_reads_as_the_parent_and_then_as_zeroes(int parentSector, int childSector)
    {
        var content = Content(parentSector);
        var capabilities = DiskCapabilities.Default with { SectorSize = parentSector };
        var parent = new ReferenceDisk(content.Length, capabilities);
        await parent.WriteAsync(0, content, WriteFlags.None, None);
        await using var view = new ParentView(parent, childSector);
        Assert.Equal(childSector, view.Capabilities.SectorSize);
        var expected = new byte[content.Length + (16 * 4096)];
        content.CopyTo(expected, 0);
        for (var start = 0; start < expected.Length; start += childSector)
        {
            for (var length = childSector; start + length <= expected.Length; length += childSector)
            {
                var read = new byte[length];
                Array.Fill(read, (byte)0xee);
                await view.ReadAsync(start, read, None);
                Assert.True(expected.AsSpan(start, length).SequenceEqual(read), $"{length} bytes at {start}");
            }
        }
    }

    [Theory(Timeout = 30_000)]
    [InlineData(512, 512)]
    [InlineData(4096, 512)]
    [InlineData(512, 4096)]
    public async Task Extents_are_whole_sectors_of_the_child_name_the_next_layer_and_never_hide_data(int parentSector, int childSector)
    {
        var content = new byte[64 << 10];
        content[5000] = 1;
        content[40_000] = 1;
        var file = new MemoryFile();
        await RawDisk.CreateAsync(file, content.Length, None);
        BlockDevice parent = RawDisk.Open(file);
        if (parentSector != 512)
            parent = new ReferenceDisk(content.Length, DiskCapabilities.Default with { SectorSize = parentSector });
        await parent.WriteAsync(0, content, WriteFlags.None, None);
        await using var view = new ParentView(parent, childSector);
        var end = content.Length + (1 << 20);
        for (long at = 0; at < end;)
        {
            var run = await view.GetExtentAsync(at, end - at, None);
            Assert.Equal((at, 1, 0L), (run.Offset, run.Layer, run.Length % childSector));
            if (run.ReadsAsZeroes && at < content.Length)
                Assert.False(content.AsSpan((int)at, (int)Math.Min(run.Length, content.Length - at)).ContainsAnyExcept((byte)0));
            at = run.End;
        }
    }

    [Fact(Timeout = 30_000)]
    public async Task A_view_refuses_every_change()
    {
        await using var view = new ParentView(new ReferenceDisk(Size), 512);
        foreach (var change in new Func<Task>[]
        {
            () => view.WriteAsync(0, new byte[512], WriteFlags.None, None).AsTask(),
            () => view.TrimAsync(0, 512, None).AsTask(),
            () => view.WriteZeroesAsync(0, 512, WriteFlags.None, None).AsTask(),
        })
        {
            Assert.Equal(StorageErrorKind.ReadOnly, (await Assert.ThrowsAsync<StorageException>(change)).Kind);
        }

        await view.FlushAsync(None);
    }

    private static byte[] Content(int sector)
    {
        var content = new byte[Size / sector * sector];
        new Random(1).NextBytes(content);
        return content;
    }
}
