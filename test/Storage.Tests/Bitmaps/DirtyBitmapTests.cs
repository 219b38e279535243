using CsCheck;
using Godwit.Storage.Bitmaps;
using Godwit.Testing;
using Xunit;

namespace Godwit.Storage.Tests.Bitmaps;

public sealed class DirtyBitmapTests : IDisposable
{
    private const int Granule = 4096;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(512, 4096)]
    [InlineData(16L << 30, 4096)]
    [InlineData((16L << 30) + 512, 8192)]
    [InlineData(1L << 40, 256 << 10)]
    [InlineData(64L << 40, 1 << 20)]
    public void Granularity_follows_the_size(long size, int granularity) => Assert.Equal(granularity, DirtyBitmap.GranularityFor(size));

    [Theory]
    [InlineData(512)]
    [InlineData(Granule * 64)]
    [InlineData((Granule * 64) + 512)]
    [InlineData((Granule * 1000) - 512)]
    public void A_new_bitmap_says_that_everything_differs(long size)
    {
        using var bitmap = DirtyBitmap.InMemory(size);
        Assert.Equal(size, bitmap.DirtyBytes);
        Assert.Equal(new DirtyRange(0, size), bitmap.NextDirty(0));
        bitmap.Clear(0, size);
        Assert.Equal(0, bitmap.DirtyBytes);
        Assert.True(bitmap.NextDirty(0).IsEmpty);
        bitmap.Set(size - 512, 512);
        Assert.Equal(size - ((size - 1) / Granule * Granule), bitmap.DirtyBytes);
    }

    [Fact]
    public void It_marks_like_a_list_of_granules()
    {
        const int Granules = 300;
        const long Size = (Granules * Granule) - 1024;
        var change = Gen.Select(Gen.Bool, Gen.Long[0, Size - 1], Gen.Long[1, 200 * Granule]);
        change.List[1, 40].Sample(changes =>
        {
            using var bitmap = DirtyBitmap.InMemory(Size);
            var model = new bool[Granules];
            Array.Fill(model, true);
            foreach (var (set, offset, wanted) in changes)
            {
                var length = Math.Min(wanted, Size - offset);
                if (set)
                    bitmap.Set(offset, length);
                else
                    bitmap.Clear(offset, length);
                Array.Fill(model, set, (int)(offset / Granule), (int)(((offset + length - 1) / Granule) - (offset / Granule)) + 1);
            }

            AssertSame(bitmap, model, Size);
        }, iter: 300);
    }

    [Fact]
    public void What_was_marked_is_there_after_opening_again()
    {
        var path = _folder.File("a.bitmap");
        using (var bitmap = DirtyBitmap.Create(path, 1 << 24))
        {
            bitmap.Clear(0, 1 << 24);
            bitmap.Set(5 << 20, 1);
        }

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        using var again = DirtyBitmap.Open(path, 1 << 24);
        Assert.Equal(new DirtyRange(5 << 20, Granule), again.NextDirty(0));
        Assert.Equal(Granule, again.DirtyBytes);
    }

    [Fact]
    public void What_is_marked_is_in_the_file_at_once()
    {
        // As a process that reads the file after this one was killed would find it.
        var path = _folder.File("a.bitmap");
        using var bitmap = DirtyBitmap.Create(path, 1 << 24);
        bitmap.Clear(0, 1 << 24);
        bitmap.Set(Granule * 9, Granule);
        File.Copy(path, _folder.File("b.bitmap"));
        using var copy = DirtyBitmap.Open(_folder.File("b.bitmap"), 1 << 24);
        Assert.Equal(new DirtyRange(Granule * 9, Granule), copy.NextDirty(0));
    }

    [Fact]
    public void A_bitmap_that_exists_is_not_overwritten()
    {
        var path = _folder.File("a.bitmap");
        DirtyBitmap.Create(path, 1 << 20).Dispose();
        Assert.Equal(StorageErrorKind.AlreadyExists, Assert.Throws<StorageException>(() => DirtyBitmap.Create(path, 1 << 20)).Kind);
    }

    [Fact]
    public void A_missing_bitmap_is_not_found() =>
        Assert.Equal(StorageErrorKind.NotFound, Assert.Throws<StorageException>(() => DirtyBitmap.Open(_folder.File("no"), 512)).Kind);

    [Fact]
    public void A_bitmap_of_another_device_is_refused()
    {
        var path = _folder.File("a.bitmap");
        DirtyBitmap.Create(path, 1 << 20).Dispose();
        var refused = Assert.Throws<StorageException>(() => DirtyBitmap.Open(path, 2 << 20));
        Assert.Equal(StorageErrorKind.Corrupt, refused.Kind);
        Assert.Contains("1048576", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_cut_anywhere_or_changed_in_its_header_is_refused()
    {
        var path = _folder.File("a.bitmap");
        DirtyBitmap.Create(path, 1 << 20).Dispose();
        var good = File.ReadAllBytes(path);
        for (var i = 0; i < 28; i++)
        {
            var bad = good.ToArray();
            bad[i] ^= 0x40;
            AssertRefused(bad, $"byte {i} changed");
        }

        foreach (var length in new[] { 0, 1, 27, 4096, good.Length - 1 })
            AssertRefused(good[..length], $"cut to {length}");

        // As a creation leaves it that was cut short before the header.
        AssertRefused([.. new byte[4096], .. good[4096..]], "no header");
    }

    [Fact(Timeout = 30_000)]
    public async Task Marks_set_at_the_same_time_in_one_word_are_all_kept()
    {
        using var bitmap = DirtyBitmap.InMemory(64 * Granule);
        bitmap.Clear(0, 64 * Granule);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(thread => Task.Run(() =>
        {
            for (var round = 0; round < 20_000; round++)
            {
                bitmap.Set(((thread * 16) + (round % 16)) * Granule, Granule);
                if (round < 19_984)
                    bitmap.Clear(((thread * 16) + (round % 16)) * Granule, Granule);
            }
        })));
        Assert.Equal(64 * Granule, bitmap.DirtyBytes);
    }

    private static void AssertSame(DirtyBitmap bitmap, bool[] model, long size)
    {
        long bytes = 0;
        for (var i = 0; i < model.Length; i++)
        {
            Assert.Equal(model[i], bitmap.IsDirty((long)i * Granule));
            if (model[i])
                bytes += Math.Min(Granule, size - ((long)i * Granule));
        }

        Assert.Equal(bytes, bitmap.DirtyBytes);
        for (long at = 0; at < size;)
        {
            var run = bitmap.NextDirty(at);
            var first = Array.IndexOf(model, true, (int)(at / Granule));
            if (first < 0)
            {
                Assert.True(run.IsEmpty);
                return;
            }

            var last = Array.IndexOf(model, false, first);
            Assert.Equal((long)first * Granule, run.Offset);
            Assert.Equal(last < 0 ? size : (long)last * Granule, run.End);
            Assert.Equal(run.End, bitmap.RunEnd(run.Offset, size, out var dirty));
            Assert.True(dirty);
            at = run.End;
        }
    }

    private void AssertRefused(byte[] content, string what)
    {
        var path = _folder.File("bad.bitmap");
        File.WriteAllBytes(path, content);
        var refused = Record.Exception(() => DirtyBitmap.Open(path, 1 << 20));
        Assert.True(refused is StorageException { Kind: StorageErrorKind.Corrupt }, $"{what}: {refused?.Message ?? "was accepted"}");
    }
}
