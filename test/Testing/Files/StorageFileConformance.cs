using CsCheck;
using Godwit.Storage;
using Godwit.Storage.Files;
using Xunit;

namespace Godwit.Testing.Files;

/// <summary>What every storage file must do. Derive a test class per kind of file.</summary>
public abstract class StorageFileConformance
{
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>A new, empty, writable file.</summary>
    protected abstract IStorageFile Create();

    [Fact(Timeout = 20_000)]
    public async Task A_write_past_the_end_grows_the_file_and_leaves_zeroes_between()
    {
        await using var file = Create();
        await file.WriteAsync(10_000, Bytes(1, 3), None);
        Assert.Equal(10_003, file.Length);
        Assert.Equal(new byte[10_000], await ReadAsync(file, 0, 10_000));
        Assert.Equal(Bytes(1, 3), await ReadAsync(file, 10_000, 3));
    }

    [Fact(Timeout = 20_000)]
    public async Task Reading_past_the_end_is_corrupt_and_names_path_and_offset()
    {
        await using var file = Create();
        await file.WriteAsync(0, Bytes(1, 100), None);
        var error = await Assert.ThrowsAsync<StorageException>(() => ReadAsync(file, 90, 11));
        Assert.Equal((StorageErrorKind.Corrupt, file.Path, 90), (error.Kind, error.Path, error.Offset));
    }

    [Fact(Timeout = 20_000)]
    public async Task Cutting_and_growing_again_reads_zeroes()
    {
        await using var file = Create();
        await file.WriteAsync(0, Bytes(1, 9_000), None);
        await file.SetLengthAsync(5_000, None);
        await file.SetLengthAsync(9_000, None);
        Assert.Equal(Bytes(1, 9_000)[..5_000], await ReadAsync(file, 0, 5_000));
        Assert.Equal(new byte[4_000], await ReadAsync(file, 5_000, 4_000));
    }

    [Fact(Timeout = 20_000)]
    public async Task Space_requests_outside_the_file_are_refused()
    {
        await using var file = Create();
        await file.SetLengthAsync(8192, None);
        Func<Task>[] requests =
        [
            () => file.PunchHoleAsync(4096, 4097, None).AsTask(),
            () => file.AllocateZeroesAsync(8192, 1, None).AsTask(),
            async () => await file.GetExtentAsync(0, 8193, None),
        ];
        foreach (var request in requests)
            Assert.Equal(StorageErrorKind.InvalidRequest, (await Assert.ThrowsAsync<StorageException>(request)).Kind);
        Assert.Equal(8192, file.Length);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_closed_file_says_so()
    {
        var file = Create();
        await file.DisposeAsync();
        await file.DisposeAsync();
        Func<Task>[] requests =
        [
            () => ReadAsync(file, 0, 1),
            () => file.WriteAsync(0, Bytes(1, 1), None).AsTask(),
            () => file.FlushAsync(None).AsTask(),
            () => file.SetLengthAsync(1, None).AsTask(),
        ];
        foreach (var request in requests)
            Assert.Equal(StorageErrorKind.Closed, (await Assert.ThrowsAsync<StorageException>(request)).Kind);
    }

    [Fact(Timeout = 20_000)]
    public async Task Flushes_at_the_same_time_all_complete()
    {
        await using var file = Create();
        for (var round = 0; round < 20; round++)
        {
            await file.WriteAsync(round, Bytes(1, 1), None);
            await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => file.FlushAsync(None).AsTask())));
        }
    }

    [Fact(Timeout = 60_000)]
    public async Task Any_sequence_of_requests_reads_like_an_array() =>
        await Gen.Select(Gen.Int[0, 4], Gen.Int[0, 40_000], Gen.Int[1, 20_000], Gen.Byte).List[1, 25]
            .SampleAsync(RunAgainstArrayAsync, iter: 60, threads: 1);

    private static byte[] Bytes(int seed, int count)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private static async Task<byte[]> ReadAsync(IStorageFile file, long offset, int count)
    {
        var bytes = new byte[count];
        await file.ReadAsync(offset, bytes, None);
        return bytes;
    }

    private async Task RunAgainstArrayAsync(List<(int Step, int Offset, int Length, byte Seed)> steps)
    {
        await using var file = Create();
        var model = Array.Empty<byte>();
        foreach (var (step, offset, wanted, seed) in steps)
        {
            var length = Math.Min(wanted, model.Length - offset);
            if (step == 0)
            {
                var bytes = Bytes(seed, wanted);
                await file.WriteAsync(offset, bytes, None);
                Array.Resize(ref model, Math.Max(model.Length, offset + wanted));
                bytes.CopyTo(model, offset);
            }
            else if (step == 1)
            {
                await file.SetLengthAsync(offset, None);
                Array.Resize(ref model, offset);
            }
            else if (length > 0)
            {
                await (step == 2 ? file.PunchHoleAsync(offset, length, None) : file.AllocateZeroesAsync(offset, length, None));
                Array.Clear(model, offset, length);
            }

            Assert.Equal(model.Length, file.Length);
        }

        Assert.Equal(model, await ReadAsync(file, 0, model.Length));
        await CheckExtentsAsync(file, model);
    }

    private static async Task CheckExtentsAsync(IStorageFile file, byte[] model)
    {
        for (long at = 0; at < model.Length;)
        {
            var extent = await file.GetExtentAsync(at, model.Length - at, None);
            Assert.Equal(at, extent.Offset);
            Assert.InRange(extent.Length, 1, model.Length - at);
            if (extent.ReadsAsZeroes)
                Assert.False(model.AsSpan((int)at, (int)extent.Length).ContainsAnyExcept((byte)0), $"{extent} hides data");
            at = extent.End;
        }
    }
}
