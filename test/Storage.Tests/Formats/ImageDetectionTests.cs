using CsCheck;
using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Formats;

/// <summary>Detection on whatever a file may hold: random, torn, cut, with marks in odd places.</summary>
public sealed class ImageDetectionTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    private static readonly byte[][] Marks =
    [
        "vhdxfile"u8.ToArray(), "conectix"u8.ToArray(), [(byte)'Q', (byte)'F', (byte)'I', 0xfb], "KDMV"u8.ToArray(), "COWD"u8.ToArray(),
        "QED\0"u8.ToArray(), "WithoutFreeSpace"u8.ToArray(), [0x7f, 0x10, 0xda, 0xbe], "koly"u8.ToArray(), "head"u8.ToArray(), "regi"u8.ToArray(),
    ];

    [Fact(Timeout = 60_000)]
    public async Task Any_bytes_open_as_something_or_are_refused_and_are_never_changed()
    {
        // A mark (or none), a place for it, a length around the interesting ones, and a seed for the rest.
        var gen = Gen.Select(
            Gen.Int[-1, Marks.Length - 1], Gen.OneOf(0, 1, 0x40, 512, 0x10000, 0x30000, -512, -511), Gen.Int[0, 700], Gen.Int[0, 4], Gen.Int);
        await gen.SampleAsync((mark, place, length, scale, seed) => OpenAnythingAsync(Compose(mark, place, length, scale, seed)), iter: 600, threads: 1);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_torn_vhdx_is_never_taken_for_a_raw_disk()
    {
        var whole = new MemoryFile();
        await VhdxDisk.CreateAsync(whole, new VhdxCreateOptions { Size = 8 << 20, BlockSize = 1 << 20, NewGuid = Guids(1) }, None);
        var content = whole.ToArray();
        await Gen.Select(Gen.Int[0, 511], Gen.Int[0, 1023], Gen.Int).SampleAsync(
            async (sector, sectors, seed) =>
            {
                // Sectors of the first half megabyte are garbage, as a torn or misdirected write leaves them.
                var torn = (byte[])content.Clone();
                new Random(seed).NextBytes(torn.AsSpan(sector * 512, Math.Min(sectors, 300) * 512));
                var detected = await ImageSignatures.DetectAsync(new MemoryFile(torn), None);
                Assert.True(detected.Kind is ImageKind.Vhdx or ImageKind.DamagedVhdx, $"{sectors} sectors from {sector} on: {detected}");
                await OpenAnythingAsync(torn);
            },
            iter: 150,
            threads: 1);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_cut_vhdx_opens_or_is_refused_at_every_length()
    {
        var whole = new MemoryFile();
        await VhdxDisk.CreateAsync(whole, new VhdxCreateOptions { Size = 8 << 20, BlockSize = 1 << 20, NewGuid = Guids(2) }, None);
        var content = whole.ToArray();
        for (var length = 1; length < content.Length; length += 65_521)
            await OpenAnythingAsync(content[..length]);
    }

    [Fact]
    public async Task Marks_count_only_in_their_places()
    {
        Assert.Equal(ImageKind.Raw, (await DetectAsync(Compose(0, 512, 64, 1, 1))).Kind);
        Assert.Equal(ImageKind.Vhdx, (await DetectAsync(Compose(0, 0, 64, 1, 1))).Kind);
        Assert.Equal("VHD", (await DetectAsync(Compose(1, -512, 64, 1, 1))).Name);
        Assert.Equal("VHD", (await DetectAsync(Compose(1, -511, 64, 1, 1))).Name);
        Assert.Equal("VDI", (await DetectAsync(Compose(7, 0x40, 64, 1, 1))).Name);
        Assert.Equal(ImageKind.Raw, (await DetectAsync([])).Kind);
    }

    private static ValueTask<DetectedImage> DetectAsync(byte[] content) => ImageSignatures.DetectAsync(new MemoryFile(content), None);

    private static async Task OpenAnythingAsync(byte[] content)
    {
        var file = new MemoryFile(content).Reopen(readOnly: true);
        try
        {
            await using var disk = await LayerFormats.OpenAsync(file, await ImageProbe.TellAsync(file, null, None), null, false, None);
            var read = new byte[Math.Min(disk.Length, 1 << 20)];
            await disk.ReadAsync(0, read, None);
        }
        catch (StorageException refused) when (refused.Kind is StorageErrorKind.Corrupt or StorageErrorKind.Unsupported)
        {
            Assert.Equal(file.Path, refused.Path);
        }

        Assert.True(content.AsSpan().SequenceEqual(file.Reopen().ToArray()), "the file was changed");
    }

    private static byte[] Compose(int mark, int place, int length, int scale, int seed)
    {
        var content = new byte[length * (scale == 0 ? 1 : 512)];
        if (scale % 2 == 1)
            new Random(seed).NextBytes(content);
        var at = place < 0 ? content.Length + place : place;
        if (mark >= 0 && at >= 0 && at + Marks[mark].Length <= content.Length)
            Marks[mark].CopyTo(content, at);
        return content;
    }

    private static Func<Guid> Guids(int seed)
    {
        var random = new Random(seed);
        var bytes = new byte[16];
        return () =>
        {
            random.NextBytes(bytes);
            return new Guid(bytes);
        };
    }
}
