using Godwit.Storage.Files;
using Godwit.Testing;
using Godwit.Testing.Files;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.Storage.Tests.Files;

public sealed class UncachedWriteTests : IDisposable
{
    private const int MiB = 1 << 20;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Large_aligned_writes_stay_out_of_the_page_cache_and_small_ones_do_not()
    {
        await using var file = await OpenAsync(_folder.File("a"));
        Assert.SkipUnless(OpenDescriptors.Of(file.Path).Count == 2, "the temporary folder's file system cannot bypass the page cache");
        await file.SetLengthAsync(16 * MiB, None);
        var large = Random(8 * MiB);
        await file.WriteAsync(0, large, None);
        Assert.Equal(0, await CachedPagesAsync(file.Path));
        await file.WriteAsync(12 * MiB, large[..4096], None);
        Assert.InRange(await CachedPagesAsync(file.Path), 1, 64);
    }

    [Theory]
    [InlineData("/dev/shm")]
    [InlineData(null)]
    public async Task Whatever_way_a_write_takes_the_file_reads_the_same(string? parent)
    {
        Assert.SkipUnless(parent is null || Directory.Exists(parent), $"there is no {parent}");
        using var folder = new TempFolder(parent);
        await using var file = await OpenAsync(folder.File("a"));
        await file.SetLengthAsync(8 * MiB, None);
        var expected = new byte[(8 * MiB) + 4096];
        var random = new Random(3);
        for (var round = 0; round < 60; round++)
        {
            // Aligned and not, in offset, length and memory, over each other, and over the end.
            var offset = random.Next(5) * MiB + (round % 3 == 0 ? random.Next(2) * 512 : 0);
            var bytes = Random((random.Next(1, 4) * MiB) + (round % 4 == 0 ? 512 : 0), skip: round % 5 == 0 ? 16 : 0);
            await file.WriteAsync(offset, bytes, None);
            bytes.Span.CopyTo(expected.AsSpan(offset));
            if (round % 7 == 0)
                await file.WriteAsync(offset + 100, bytes[..300], None);
            if (round % 7 == 0)
                bytes.Span[..300].CopyTo(expected.AsSpan(offset + 100));
        }

        await file.FlushAsync(None);
        var found = new byte[(int)file.Length];
        await file.ReadAsync(0, found, None);
        Assert.True(expected.AsSpan(0, found.Length).SequenceEqual(found));
    }

    [Fact(Timeout = 20_000)]
    public async Task A_full_file_system_is_no_space_also_around_the_cache()
    {
        var image = _folder.File("image");
        await using (var made = LocalFile.Create(image))
            await made.SetLengthAsync(16 * MiB, None);
        (await ChildProgram.RunAsync("mkfs.ext4", ["-q", "-F", image], null, None)).Succeeded();
        using var folder = new TempFolder(null);
        var mounted = await ChildProgram.RunAsync("mount", ["-o", "loop", image, folder.Path], null, None);
        Assert.SkipUnless(mounted.ExitCode == 0, $"cannot mount a small file system: {mounted.Error.Trim()}");
        try
        {
            await using var file = await OpenAsync(folder.File("a"));
            Assert.Equal(2, OpenDescriptors.Of(file.Path).Count);
            await file.SetLengthAsync(64 * MiB, None);
            var error = await Assert.ThrowsAsync<StorageException>(async () =>
            {
                for (var at = 0; at < 64; at += 4)
                    await file.WriteAsync(at * MiB, Random(4 * MiB), None);
            });
            Assert.Equal((StorageErrorKind.NoSpace, file.Path), (error.Kind, error.Path));
        }
        finally
        {
            (await ChildProgram.RunAsync("umount", [folder.Path], null, None)).Succeeded();
        }
    }

    private static async Task<LocalFile> OpenAsync(string path)
    {
        await LocalFile.Create(path).DisposeAsync();
        return LocalFile.Open(path, readOnly: false, bypassCache: true);
    }

    private static Memory<byte> Random(int length, int skip = 0)
    {
        var bytes = AlignedMemory.Allocate(length + skip)[skip..];
        new Random(length).NextBytes(bytes.Span);
        return bytes;
    }

    private static async Task<long> CachedPagesAsync(string path)
    {
        var answer = await ChildProgram.RunAsync("fincore", ["--noheadings", "--raw", "--output", "PAGES", path], null, None);
        return long.Parse(answer.Succeeded().Output, System.Globalization.CultureInfo.InvariantCulture);
    }
}
