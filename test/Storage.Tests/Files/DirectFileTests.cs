using System.IO.Pipes;
using Godwit.Storage.Files;
using Godwit.Storage.Reading;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.Storage.Tests.Files;

/// <summary>A file around the page cache.</summary>
public sealed class DirectFileTests : IDisposable
{
    private const int MiB = 1 << 20;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 60_000)]
    [InlineData(null)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Nothing_that_is_read_or_written_stays_in_the_page_cache(bool? ring)
    {
        await using var file = await OpenAsync(8 * MiB);
        Assert.SkipUnless(file.Gaps.Count == 0, "the temporary folder's file system cannot go around the page cache");
        OnThread(() =>
        {
            using var loop = ring is bool mayUse ? ReadLoop.Enter(mayUse) : null;
            var buffer = new byte[(256 << 10) + 512];
            new Random(1).NextBytes(buffer);
            var found = new byte[buffer.Length];
            for (var at = 0; at + buffer.Length < 8 * MiB; at += buffer.Length)
            {
                // From memory that is not where the disk wants it, which is where an NBD payload is.
                Complete(loop, file.WriteAsync(at, buffer.AsMemory(16..^496), None).AsTask());
                Complete(loop, file.ReadAsync(at, found.AsMemory(32, buffer.Length - 512), None).AsTask());
                Assert.True(buffer.AsSpan(16..^496).SequenceEqual(found.AsSpan(32, buffer.Length - 512)));
            }
        });
        await file.FlushAsync(None);
        var pages = await ChildProgram.RunAsync("fincore", ["--noheadings", "--raw", "--output", "PAGES", file.Path], null, None);
        Assert.Equal("0", pages.Succeeded().Output.Trim());
    }

    [Theory(Timeout = 60_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Many_at_once_in_a_loop_read_what_was_written(bool ring)
    {
        await using var file = await OpenAsync(16 * MiB);
        var content = new byte[16 * MiB];
        OnThread(() =>
        {
            using var loop = ReadLoop.Enter(ring);
            var random = new Random(7);
            for (var round = 0; round < 20; round++)
            {
                // Places of their own, any sector, any memory.
                var writes = Enumerable.Range(0, 64).Select(i => (Offset: (i * 256 << 10) + (random.Next(64) * 512), Bytes: Random(random, random.Next(1, 200) * 512))).ToList();
                Complete(loop, [.. writes.Select(write => file.WriteAsync(write.Offset, write.Bytes, None).AsTask())]);
                foreach (var (offset, bytes) in writes)
                    bytes.CopyTo(content.AsSpan(offset));
                var reads = Enumerable.Range(0, 64).Select(_ => (Offset: random.Next(15 * MiB), Bytes: new byte[random.Next(1, 300_000)])).ToList();
                Complete(loop, [.. reads.Select(read => file.ReadAsync(read.Offset, read.Bytes, None).AsTask())]);
                foreach (var (offset, bytes) in reads)
                    Assert.True(content.AsSpan(offset, bytes.Length).SequenceEqual(bytes), $"{bytes.Length} bytes at {offset} differ");
            }
        });
    }

    [Fact(Timeout = 60_000)]
    public async Task Writers_of_parts_of_the_same_blocks_keep_each_others_bytes()
    {
        await using var file = await OpenAsync(MiB);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(writer => Task.Run(async () =>
        {
            for (var at = writer * 100; at + 100 <= 200_000; at += 800)
                await file.WriteAsync(at, Enumerable.Repeat((byte)(writer + 1), 100).ToArray(), None);
        })));
        var found = new byte[200_000];
        await file.ReadAsync(0, found, None);
        Assert.All(Enumerable.Range(0, found.Length), i => Assert.Equal((i / 100 % 8) + 1, found[i]));
    }

    [Fact]
    public async Task Where_it_cannot_be_done_the_file_works_and_says_so()
    {
        // A file system of the kernel's own has no disk behind it to go to.
        const string Path = "/sys/kernel/mm/transparent_hugepage/enabled";
        Assert.SkipUnless(File.Exists(Path), $"there is no {Path}");
        await using var file = LocalFile.Open(Path, readOnly: true, cache: FileCache.None);
        Assert.Contains("cache mode none has no effect", Assert.Single(file.Gaps), StringComparison.Ordinal);
        await using var usual = LocalFile.Open(Path, readOnly: true);
        Assert.Empty(usual.Gaps);
    }

    [Fact]
    public async Task Both_openings_are_locked()
    {
        await using var file = await OpenAsync(MiB);
        Assert.Equal(StorageErrorKind.InUse, Assert.Throws<StorageException>(() => LocalFile.Open(file.Path, readOnly: true)).Kind);
        await file.DisposeAsync();
        await LocalFile.Open(file.Path, readOnly: false, cache: FileCache.None).DisposeAsync();
    }

    private async Task<LocalFile> OpenAsync(long length)
    {
        var path = _folder.File($"file-{Guid.NewGuid()}");
        await using (var made = LocalFile.Create(path))
            await made.SetLengthAsync(length, None);
        return LocalFile.Open(path, readOnly: false, cache: FileCache.None);
    }

    private static byte[] Random(Random random, int length)
    {
        var bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }

    private static void Complete(ReadLoop? loop, params Task[] tasks)
    {
        using var wake = new AnonymousPipeServerStream(PipeDirection.Out);
        while (loop?.Pending > 0)
            loop.Wait((int)wake.ClientSafePipeHandle.DangerousGetHandle(), -1);
        Task.WhenAll(tasks).GetAwaiter().GetResult();
    }

    private static void OnThread(Action work)
    {
        var done = new TaskCompletionSource();
        new Thread(() =>
        {
            try
            {
                work();
                done.SetResult();
            }
            catch (Exception e)
            {
                done.SetException(e);
            }
        }).Start();
        done.Task.GetAwaiter().GetResult();
    }
}
