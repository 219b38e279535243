using CsCheck;
using Godwit.Storage.Formats;
using Godwit.Storage.Operations;
using Godwit.Testing;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Operations;

/// <summary>Comparing finds exactly what differs, and does not read what neither disk has.</summary>
public sealed class DiskCompareTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact(Timeout = 60_000)]
    public void It_finds_what_a_loop_over_all_bytes_finds() =>
        Gen.Select(Gen.Int[0, 3].Array[1, 300], Gen.Int[0, 3].Array[1, 300], Gen.Int[0, 1], Gen.Int[0, 9]).Sample(
            (pieces, others, sectors, same) => CheckAsync(pieces, same < 6 ? pieces : others, 512 << (3 * sectors)).GetAwaiter().GetResult(),
            iter: 40, threads: 1);

    [Fact(Timeout = 30_000)]
    public async Task Formats_do_not_matter_and_holes_are_not_read()
    {
        int[] pieces = [2, .. Enumerable.Repeat(0, 1500), 3];
        await using var a = new FaultyDisk(await OperationsRig.CreateImageAsync(_folder.File("a"), ImageFormat.Raw, 64 << 20, null, Token));
        await using var b = new FaultyDisk(await OperationsRig.CreateImageAsync(_folder.File("b"), ImageFormat.VhdxDynamic, 64 << 20, 1 << 20, Token));
        await OperationsRig.FillAsync(a, pieces, Token);
        await OperationsRig.FillAsync(b, pieces, Token);
        var result = await new DiskCompare(a, b).RunAsync(null, null, Token);
        Assert.Equal(new CompareResult(64 << 20, 64 << 20, null, 0, 64 << 20), result);
        Assert.True(result is { Same: true, IsComplete: true });
        Assert.InRange(a.Rules.Count(FileOperation.Read), 1, 4);
        Assert.InRange(b.Rules.Count(FileOperation.Read), 1, 4);
    }

    [Theory(Timeout = 30_000)]
    [InlineData(0)]
    [InlineData(4096)]
    [InlineData((8 << 20) - 1)]
    public async Task A_single_byte_is_found_wherever_it_is(int place)
    {
        await using var a = await OperationsRig.CreateAsync(8 << 20, [2, 0, 3], Token);
        await using var b = await OperationsRig.CreateAsync(8 << 20, [2, 0, 3], Token);
        var sector = new byte[512];
        await b.ReadAsync(place & -512, sector, Token);
        sector[place & 511] ^= 0x40;
        await b.WriteAsync(place & -512, sector, WriteFlags.None, Token);
        Assert.Equal(new CompareResult(8 << 20, 8 << 20, place, 1, 8 << 20), await new DiskCompare(a, b).RunAsync(null, null, Token));
        Assert.Equal(place, (await new DiskCompare(a, b).RunAsync(1, null, Token)).FirstDifference);
    }

    [Theory(Timeout = 30_000)]
    [InlineData(0, true)]
    [InlineData(2, false)]
    public async Task What_the_longer_one_has_more_must_be_zero(int rest, bool same)
    {
        await using var a = await OperationsRig.CreateAsync((4 * OperationsRig.Unit) - 512, [2, 3, 2, 2], Token);
        await using var b = new ReferenceDisk(8 * OperationsRig.Unit);
        await new DiskCopy(a, b, new CopyOptions()).RunAsync(Token);
        await b.WriteAsync(6 * OperationsRig.Unit, Enumerable.Repeat((byte)rest, 512).ToArray(), WriteFlags.None, Token);
        var result = await new DiskCompare(a, b).RunAsync(null, null, Token);
        Assert.Equal((same, same ? null : 6L * OperationsRig.Unit, same ? 0 : 512), (result.Same, result.FirstDifference, result.DifferingBytes));
        Assert.Equal(result.FirstDifference, (await new DiskCompare(b, a).RunAsync(null, null, Token)).FirstDifference);
    }

    [Fact(Timeout = 30_000)]
    public async Task It_stops_when_enough_differs()
    {
        await using var a = await OperationsRig.CreateAsync(32 << 20, [.. Enumerable.Repeat(2, 1024)], Token);
        await using var b = new ReferenceDisk(32 << 20);
        var result = await new DiskCompare(a, b).RunAsync(1000, null, Token);
        Assert.Equal((4L << 20, 4L << 20, false), (result.DifferingBytes, result.ComparedTo, result.IsComplete));
        Assert.Equal(32 << 20, (await new DiskCompare(a, b).RunAsync(null, null, Token)).DifferingBytes);
    }

    [Fact(Timeout = 30_000)]
    public async Task Errors_and_cancelling_come_out()
    {
        await using var a = new FaultyDisk(await OperationsRig.CreateAsync(32 << 20, [.. Enumerable.Repeat(2, 1024)], Token));
        await using var b = new FaultyDisk(await OperationsRig.CreateAsync(32 << 20, [.. Enumerable.Repeat(2, 1024)], Token));
        foreach (var faulty in (FaultyDisk[])[a, b])
        {
            faulty.Rules.Fail(FileOperation.Read, StorageErrorKind.InUse, nth: 2);
            var error = await Assert.ThrowsAsync<StorageException>(() => new DiskCompare(a, b).RunAsync(null, null, Token));
            Assert.Equal(StorageErrorKind.InUse, error.Kind);
        }

        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => new DiskCompare(a, b).RunAsync(null, _ => stop.Cancel(), stop.Token));
    }

    private static async Task CheckAsync(int[] pieces, int[] others, int sector)
    {
        await using var a = await OperationsRig.CreateAsync((long)pieces.Length * OperationsRig.Unit, pieces, Token);
        await using var b = await OperationsRig.CreateAsync((long)others.Length * OperationsRig.Unit, others, Token, sector);
        var (first, second) = (a.ToArray(), b.ToArray());
        var length = Math.Max(first.Length, second.Length);
        Array.Resize(ref first, length);
        Array.Resize(ref second, length);
        var places = Enumerable.Range(0, length).Where(i => first[i] != second[i]).ToList();
        Assert.Equal(
            new CompareResult(a.Length, b.Length, places.Count == 0 ? null : places[0], places.Count, length),
            await new DiskCompare(a, b).RunAsync(null, null, Token));
    }
}
