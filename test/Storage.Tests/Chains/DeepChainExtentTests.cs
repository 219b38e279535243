using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhd;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Storage.Tests.Formats.Vhd;
using Godwit.Storage.Tests.Formats.Vhdx;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Chains;

/// <summary>What it costs to ask a chain of many layers for its extents: map, convert, compare and hash go by them.</summary>
public sealed class DeepChainExtentTests
{
    private const int Size = 1 << 20;
    private const int Layers = 20;
    private const int Apart = 32 << 10;
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>Every layer has a sector of its own, so each of them ends a run in the middle of its block.</summary>
    [Theory(Timeout = 60_000)]
    [InlineData("VHDX")]
    [InlineData("VHD")]
    public async Task A_layer_more_does_not_double_the_requests_to_the_base(string family)
    {
        var bottom = new CountingDisk();
        await using var leaf = await StackAsync(family, bottom);
        bottom.Asked = 0;
        var runs = new List<Extent>();
        for (long at = 0; at < Size; at = runs[^1].End)
            runs.Add(await leaf.GetExtentAsync(at, Size - at, None));

        // Merged, it is one run of data for each layer and one of the base behind each.
        for (var layer = 0; layer < Layers; layer++)
        {
            var own = runs.FindAll(run => run.Layer == Layers - 1 - layer);
            Assert.Equal((long)layer * Apart, Assert.Single(own).Offset);
            Assert.Equal(ExtentKind.Data, own[0].Kind);
        }

        Assert.InRange(runs.Count, 2 * Layers, 4 * Layers);
        Assert.InRange(bottom.Asked, Layers, 4 * Layers);
    }

    private static async Task<BlockDevice> StackAsync(string family, BlockDevice bottom)
    {
        var disk = bottom;
        for (var layer = 0; layer < Layers; layer++)
        {
            var file = new MemoryFile(path: $"layer{layer}");
            disk = await CreateAsync(family, file, disk);
            await disk.WriteAsync((long)layer * Apart, VhdxSample.Pattern(layer, 512), WriteFlags.None, None);
        }

        return disk;
    }

    private static async Task<BlockDevice> CreateAsync(string family, IStorageFile file, BlockDevice parent)
    {
        if (family == "VHDX")
        {
            await VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = Size, BlockSize = Size, Parent = VhdxSample.SomeParent }, None);
            return await VhdxDisk.OpenAsync(file, new VhdxOpenOptions { Parent = parent }, None);
        }

        await VhdDisk.CreateAsync(file, new VhdCreateOptions { Size = Size, BlockSize = Size, Parent = VhdSample.Parent }, None);
        return await VhdSample.OpenAsync(file, parent: parent);
    }

    private sealed class CountingDisk() : DelegatingBlockDevice(new ReferenceDisk(Size))
    {
        public int Asked { get; set; }

        protected override ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken)
        {
            Asked++;
            return base.GetExtentCoreAsync(offset, length, cancellationToken);
        }
    }
}
