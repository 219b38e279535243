using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Godwit.Testing;
using Godwit.Testing.Disks;
using Xunit;

namespace Godwit.Storage.Tests.Chains;

/// <summary>A read of a deep chain asks each layer once, not each time.</summary>
public sealed class LayerMemoTests
{
    private const int Block = 64 << 10;
    private const int Blocks = 16;
    private const int Size = Blocks * Block;
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact(Timeout = 30_000)]
    public async Task After_the_first_read_of_a_block_only_the_layer_that_has_it_is_asked()
    {
        await using var chain = new FakeChain(6);
        chain.Write(layer: 5, block: 3);
        chain.Write(layer: 2, block: 4);
        foreach (var (block, owner, asked) in ((int, int, int)[])[(3, 5, 5), (4, 2, 3), (9, 5, 5)])
        {
            chain.Forget();
            await chain.CheckAsync(block);
            Assert.Equal(asked, chain.Asked);
            chain.Forget();
            await chain.CheckAsync(block);
            Assert.Equal((0, 1), (chain.Asked, chain.Layers[owner].Reads));
        }
    }

    [Fact(Timeout = 30_000)]
    public async Task What_could_not_be_said_is_asked_again()
    {
        await using var chain = new FakeChain(4);
        chain.Write(layer: 3, block: 1);
        chain.Layers[1].CannotSay = true;
        await chain.CheckAsync(1);
        chain.Layers[1].CannotSay = false;
        chain.Forget();
        await chain.CheckAsync(1);
        Assert.Equal((3, 0, 0, 0, 1), (chain.Asked, chain.Layers[0].Reads, chain.Layers[1].Reads, chain.Layers[2].Reads, chain.Layers[3].Reads));
    }

    [Theory(Timeout = 30_000)]
    [InlineData(2, 4, Size - Block)]
    [InlineData(3, 4, Size - (Block / 2))]
    [InlineData(1, 4, Size / 2)]
    [InlineData(2, 2, Size / 2)]
    [InlineData(1, 1, Size - (Block / 2))]
    public async Task A_layer_that_ends_earlier_shows_zeroes_behind_its_end(int first, int last, int length)
    {
        await using var chain = new FakeChain(5, layer => layer >= first && layer <= last ? length : Size);
        for (var block = 0; block < Blocks; block++)
            chain.Write(layer: 4, block);
        for (var round = 0; round < 2; round++)
        {
            for (var block = 0; block < Blocks; block++)
                await chain.CheckAsync(block);
        }
    }

    [Fact(Timeout = 30_000)]
    public async Task A_shallow_chain_or_one_with_a_layer_that_is_written_to_is_walked()
    {
        await using var shallow = new FakeChain(2);
        await shallow.CheckAsync(0);
        Assert.Equal((0, 1), (shallow.Asked, shallow.Layers[0].Reads));
        await using var written = new FakeChain(5, writable: 0);
        await written.CheckAsync(0);
        Assert.Equal((0, 1), (written.Asked, written.Layers[0].Reads));
    }

    [Theory(Timeout = 120_000)]
    [InlineData(ImageFormat.VhdxDynamic, 1)]
    [InlineData(ImageFormat.VhdxDynamic, 2)]
    [InlineData(ImageFormat.VhdDynamic, 3)]
    public async Task A_chain_of_files_of_many_sizes_reads_as_each_layer_left_it(ImageFormat format, int seed)
    {
        var random = new Random(seed);
        using var folder = new TempFolder();
        var extension = format == ImageFormat.VhdDynamic ? "vhd" : "vhdx";
        var expected = new byte[5 << 20];
        var path = folder.File($"0.{extension}");
        await DiskImage.CreateAsync(path, format, expected.Length, new ImageCreateOptions { BlockSize = 1 << 20 }, None);
        for (var layer = 1; layer < 8; layer++)
        {
            await ChangeAsync(path, expected, random);
            if (layer % 3 == 0)
                Array.Resize(ref expected, expected.Length + (3 << 19));
            var child = folder.File($"{layer}.{extension}");
            await ChildImage.CreateAsync(child, path, expected.Length, new ImageCreateOptions { BlockSize = 1 << 20 << (layer % 2) }, PathMap.Empty, None);
            path = child;
        }

        await using var disk = (await DiskChain.OpenAsync(path, new ChainOptions(), None)).Device;
        for (var round = 0; round < 600; round++)
        {
            var offset = random.Next(expected.Length / 512) * 512;
            var read = new byte[Math.Min(random.Next(1, 300) * 512, expected.Length - offset)];
            await disk.ReadAsync(offset, read, None);
            Assert.True(expected.AsSpan(offset, read.Length).SequenceEqual(read), $"{read.Length} bytes at {offset} in round {round}");
            if (round % 5 == 0)
                await ChangeAsync(disk, expected, random);
        }
    }

    private static async Task ChangeAsync(string path, byte[] expected, Random random)
    {
        await using var disk = (await DiskChain.OpenAsync(path, new ChainOptions(), None)).Device;
        for (var change = 0; change < 4; change++)
            await ChangeAsync(disk, expected, random);
    }

    private static async Task ChangeAsync(BlockDevice disk, byte[] expected, Random random)
    {
        var offset = random.Next(expected.Length / 512) * 512;
        var length = Math.Min(random.Next(1, 3000) * 512, expected.Length - offset);
        if (random.Next(4) == 0)
        {
            await disk.WriteZeroesAsync(offset, length, WriteFlags.None, None);
            expected.AsSpan(offset, length).Clear();
            return;
        }

        random.NextBytes(expected.AsSpan(offset, length));
        await disk.WriteAsync(offset, expected.AsMemory(offset, length), WriteFlags.None, None);
    }

    /// <summary>Layers in memory below a view; the first is the uppermost.</summary>
    private sealed class FakeChain : IAsyncDisposable
    {
        private readonly ParentView _view;

        public FakeChain(int count, Func<int, int>? length = null, int writable = -1)
        {
            for (var index = count - 1; index >= 0; index--)
            {
                var below = Layers is [var first, ..] ? new ParentView(first, 512) : null;
                Layers.Insert(0, new FakeLayer((byte)(index + 1), length?.Invoke(index) ?? Size, below, isReadOnly: index != writable));
            }

            _view = new ParentView(Layers[0], 512);
        }

        public List<FakeLayer> Layers { get; } = [];

        public int Asked => Layers.Sum(layer => layer.Asked);

        public void Forget() => Layers.ForEach(layer => (layer.Asked, layer.Reads) = (0, 0));

        public void Write(int layer, int block) => Layers[layer].Own.Add(block);

        /// <summary>Reads a block and looks whether it is what the walk through all layers gives.</summary>
        public async Task CheckAsync(int block)
        {
            var read = new byte[Block];
            await _view.ReadAsync((long)block * Block, read, None);
            for (var at = 0; at < Block; at += 512)
                Assert.Equal(Expected(((long)block * Block) + at), read[at]);
        }

        public ValueTask DisposeAsync() => _view.DisposeAsync();

        private byte Expected(long offset)
        {
            foreach (var (index, layer) in Layers.Index())
            {
                if (offset >= layer.Length)
                    return 0;
                if (layer.Own.Contains((int)(offset / Block)))
                    return (byte)(index + 1);
            }

            return 0;
        }
    }

    private sealed class FakeLayer(byte number, int length, ParentView? below, bool isReadOnly)
        : DelegatingBlockDevice(new ReferenceDisk(length), DiskCapabilities.Default with { ReadOnly = isReadOnly }), ILayer
    {
        public HashSet<int> Own { get; } = [];

        public bool CannotSay { get; set; }

        public int Asked { get; set; }

        public int Reads { get; set; }

        public int BlockLength => Block;

        public ParentView? Beneath => below;

        public bool? HasNothing(long offset, int length)
        {
            Asked++;
            return CannotSay ? null : !Own.Contains((int)(offset / Block));
        }

        protected override async ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            Reads++;
            if (Own.Contains((int)(offset / Block)))
                buffer.Span.Fill(number);
            else if (below is not null)
                await below.ReadAsync(offset, buffer, cancellationToken);
            else
                buffer.Span.Clear();
        }
    }
}
