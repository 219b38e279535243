using System.Buffers.Binary;
using System.Security.Cryptography;
using CsCheck;
using Godwit.Storage.Formats;
using Godwit.Storage.Operations;
using Godwit.Testing;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Operations;

/// <summary>The content hash is what docs/reference/content-hash.md says, for every format and sector size.</summary>
public sealed class ContentHashTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact(Timeout = 60_000)]
    public void It_is_the_hash_of_mark_size_and_padded_pieces() =>
        Gen.Select(Gen.Int[0, 3].Array[1, 300], Gen.Int[0, 63], Gen.Int[0, 1].Select(large => 512 << (3 * large))).Sample(
            (pieces, tail, sector) => CheckAsync(pieces, tail, sector).GetAwaiter().GetResult(), iter: 40, threads: 1);

    [Theory(Timeout = 30_000)]
    [InlineData(0)]
    [InlineData(1 << 20)]
    [InlineData((1L << 30) + 512)]
    public async Task Zeroes_have_a_hash_that_tells_their_size(long size)
    {
        var zeroes = new byte[ContentHash.PieceBytes];
        await using BlockDevice disk = size == 0
            ? new ReferenceDisk(0)
            : await OperationsRig.CreateImageAsync(_folder.File("z"), ImageFormat.Raw, size, null, Token);
        Assert.Equal(Expected(size, _ => zeroes), await ContentHash.ComputeAsync(disk, null, Token));
    }

    [Fact(Timeout = 60_000)]
    public async Task Every_format_has_the_same_hash_and_holes_are_not_read()
    {
        int[] pieces = [2, 0, 1, .. Enumerable.Repeat(0, 600), 3, 2];
        var hashes = new HashSet<string>();
        foreach (var format in (ImageFormat[])[ImageFormat.Raw, ImageFormat.VhdxDynamic, ImageFormat.VhdxFixed])
        {
            await using var disk = new FaultyDisk(
                await OperationsRig.CreateImageAsync(_folder.File($"{format}"), format, 64 << 20, 1 << 20, Token));
            await OperationsRig.FillAsync(disk, pieces, Token);
            hashes.Add(Convert.ToHexString(await ContentHash.ComputeAsync(disk, null, Token)));
            Assert.InRange(disk.Rules.Count(FileOperation.Read), 1, 8);
        }

        Assert.Single(hashes);
    }

    [Fact(Timeout = 30_000)]
    public async Task One_other_byte_or_one_more_sector_is_another_hash()
    {
        await using var disk = await OperationsRig.CreateAsync(5 << 20, [2, 3, 0, 2], Token);
        var before = await ContentHash.ComputeAsync(disk, null, Token);
        var sector = new byte[512];
        sector[511] = 1;
        await disk.WriteAsync((5 << 20) - 512, sector, WriteFlags.None, Token);
        Assert.NotEqual(before, await ContentHash.ComputeAsync(disk, null, Token));
        await disk.WriteAsync((5 << 20) - 512, new byte[512], WriteFlags.None, Token);
        Assert.Equal(before, await ContentHash.ComputeAsync(disk, null, Token));
        await disk.ResizeAsync((5 << 20) + 512, Token);
        Assert.NotEqual(before, await ContentHash.ComputeAsync(disk, null, Token));
    }

    [Fact(Timeout = 30_000)]
    public async Task Progress_ends_at_all_data_and_errors_and_cancelling_come_out()
    {
        await using var disk = new FaultyDisk(await OperationsRig.CreateAsync(32 << 20, [.. Enumerable.Repeat(2, 600)], Token));
        CopyProgress last = default;
        await ContentHash.ComputeAsync(disk, state => last = state, Token);
        Assert.Equal((600L * OperationsRig.Unit, 600L * OperationsRig.Unit), (last.Done, last.Total));
        disk.Rules.Fail(FileOperation.Read, StorageErrorKind.IoFailed, nth: 5);
        Assert.Equal(
            StorageErrorKind.IoFailed,
            (await Assert.ThrowsAsync<StorageException>(() => ContentHash.ComputeAsync(disk, null, Token))).Kind);
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => ContentHash.ComputeAsync(disk, state => stop.Cancel(), stop.Token));
    }

    private static async Task CheckAsync(int[] pieces, int tail, int sector)
    {
        var size = ((long)pieces.Length * OperationsRig.Unit) + ((long)tail * sector);
        await using var disk = await OperationsRig.CreateAsync(size, [.. pieces, 2], Token, sector);
        var bytes = disk.ToArray();
        Array.Resize(ref bytes, (bytes.Length + ContentHash.PieceBytes - 1) / ContentHash.PieceBytes * ContentHash.PieceBytes);
        var expected = Expected(size, piece => bytes.AsSpan(piece * ContentHash.PieceBytes, ContentHash.PieceBytes).ToArray());
        Assert.Equal(Convert.ToHexString(expected), Convert.ToHexString(await ContentHash.ComputeAsync(disk, null, Token)));
    }

    // The definition, word for word, and nothing of the program's own.
    private static byte[] Expected(long size, Func<int, byte[]> piece)
    {
        using var root = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        root.AppendData("godwit-content-hash-1\n"u8);
        var number = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(number, size);
        root.AppendData(number);
        for (var i = 0; i < (size + (1 << 20) - 1) >> 20; i++)
            root.AppendData(SHA256.HashData(piece(i)));
        return root.GetHashAndReset();
    }
}
