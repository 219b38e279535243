using Godwit.Nbd.Protocol;
using Godwit.Storage;
using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Godwit.Testing;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>godwit:layer on a real chain, seen by libnbd's programs.</summary>
public sealed class LayerContextTests : IDisposable
{
    private const long Size = 32L << 20;
    private const int Block = 1 << 20;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact(Timeout = 60_000)]
    public async Task Each_block_is_told_to_come_from_the_layer_that_has_it()
    {
        await using var disk = await ChainAsync();
        await using var server = new ServerUnderTest(disk);
        var map = (await Tool.RunAsync("nbdinfo", "--map=godwit:layer", "--json", server.Uri())).Json().EnumerateArray()
            .Select(extent => (extent.GetProperty("offset").GetInt64() / Block, extent.GetProperty("length").GetInt64() / Block, extent.GetProperty("type").GetInt32()));
        Assert.Equal([(0, 4, 2), (4, 1, 0), (5, 3, 2), (8, 1, 1), (9, 23, 2)], map);
    }

    [Fact(Timeout = 60_000)]
    public async Task Two_contexts_are_answered_in_one_session()
    {
        await using var disk = await ChainAsync();
        await using var server = new ServerUnderTest(disk);
        const string Script = """
            h.add_meta_context("godwit:layer")
            h.add_meta_context("base:allocation")
            h.connect_uri(uri)
            assert h.can_meta_context("godwit:layer") and h.can_meta_context("base:allocation")
            seen = {}
            h.block_status(9 << 20, 0, lambda c, o, e, err: seen.update({c: e}))
            M = 1 << 20
            assert seen["godwit:layer"] == [4 * M, 2, M, 0, 3 * M, 2, M, 1], seen
            assert sum(seen["base:allocation"][0::2]) == 9 * M, seen
            print("done")
            """;
        var result = await Tool.RunAsync("nbdsh", "-c", $"uri = '{server.Uri()}'", "-c", Script);
        Assert.Equal("done", result.Succeeded().Output.Trim());
    }

    [Theory(Timeout = 60_000)]
    [InlineData(NbdHeaderForm.Extended)]
    [InlineData(NbdHeaderForm.Structured)]
    public async Task Our_client_sees_the_extents_of_the_disk_itself(object form)
    {
        await using var disk = await ChainAsync();
        await using var server = new ServerUnderTest(disk);
        await using var device = await server.OpenAsync("disk", new NbdClientOptions { BestForm = (NbdHeaderForm)form });
        Assert.Equal(await ExtentsAsync(disk), await ExtentsAsync(device));
    }

    private static async Task<List<Extent>> ExtentsAsync(BlockDevice device)
    {
        var extents = new List<Extent>();
        for (var at = 0L; at < device.Length; at = extents[^1].End)
            extents.Add(await device.GetExtentAsync(at, device.Length - at, None));
        return extents;
    }

    /// <summary>Base with data in block 2, its child in block 8, the leaf in block 4; nobody has the others.</summary>
    private async Task<BlockDevice> ChainAsync()
    {
        var options = new ImageCreateOptions { BlockSize = Block };
        await DiskImage.CreateAsync(_folder.File("base.vhdx"), ImageFormat.VhdxDynamic, Size, options, None);
        await WriteAsync("base.vhdx", 2);
        await ChildImage.CreateAsync(_folder.File("middle.avhdx"), _folder.File("base.vhdx"), null, options, PathMap.Empty, None);
        await WriteAsync("middle.avhdx", 8);
        await ChildImage.CreateAsync(_folder.File("leaf.avhdx"), _folder.File("middle.avhdx"), null, options, PathMap.Empty, None);
        await WriteAsync("leaf.avhdx", 4);
        return await DiskImage.OpenAsync(_folder.File("leaf.avhdx"), null, readOnly: true, None);
    }

    private async Task WriteAsync(string name, int block)
    {
        await using var disk = await DiskImage.OpenAsync(_folder.File(name), null, readOnly: false, None);
        var bytes = new byte[Block];
        new Random(block).NextBytes(bytes);
        await disk.WriteAsync((long)block * Block, bytes, WriteFlags.None, None);
        await disk.FlushAsync(None);
    }
}
