using System.IO.Pipes;
using Godwit.Storage.Files;
using Godwit.Storage.Reading;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.Storage.Tests.Reading;

/// <summary>Reads that wait for the disk, on a thread that goes on meanwhile.</summary>
public sealed class ReadLoopTests : IDisposable
{
    private const int Size = 16 << 20;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();
    private readonly byte[] _content = new byte[Size];

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 60_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Cold_reads_complete_in_any_number_and_give_what_is_in_the_file(bool mayUseRing)
    {
        await using var file = await ColdFileAsync();
        var waited = OnThread(() => ReadMany(file, mayUseRing));
        Assert.SkipUnless(waited >= 0, "the kernel has no io_uring for this process; the thread pool's way is tested beside this");
        Assert.True(waited > 0, "no read waited: the file was in the page cache");
    }

    [Theory(Timeout = 60_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_file_cut_behind_our_back_is_an_error_that_says_where(bool mayUseRing)
    {
        await using var file = await ColdFileAsync();
        await using (var other = new FileStream(file.Path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete))
            other.SetLength(8192);
        var error = OnThread(() =>
        {
            using var loop = ReadLoop.Enter(mayUseRing);
            var read = file.ReadAsync(4096, new byte[8192], None);
            return Assert.Throws<StorageException>(() => Complete(loop, [read.AsTask()]));
        });
        Assert.Equal((StorageErrorKind.Corrupt, 4096L), (error.Kind, error.Offset));
        Assert.Contains("ends at 8192", error.Reason, StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task What_is_in_the_page_cache_completes_at_once_and_threads_without_a_loop_wait()
    {
        await using var file = await ColdFileAsync();
        var buffer = new byte[4096];
        Assert.True(file.ReadAsync(0, buffer, None).IsCompletedSuccessfully);
        OnThread(() =>
        {
            using var loop = ReadLoop.Enter();
            Assert.True(file.ReadAsync(0, buffer, None).IsCompletedSuccessfully);
            Assert.Equal(0, loop.Pending);
            return 0;
        });
        Assert.Equal(_content[..4096], buffer);
    }

    [Fact(Timeout = 60_000)]
    public async Task Waiting_ends_by_input_and_by_the_other_descriptor_while_the_disk_is_busy()
    {
        await using var file = await ColdFileAsync();
        OnThread(() =>
        {
            using var wake = new AnonymousPipeServerStream(PipeDirection.Out);
            using var input = new AnonymousPipeServerStream(PipeDirection.Out);
            wake.WriteByte(1);
            input.WriteByte(1);
            using var loop = ReadLoop.Enter();
            var read = file.ReadAsync(0, new byte[1 << 20], None).AsTask();
            if (loop.UsesThreadPool || read.IsCompleted)
                return 0;
            var (woken, hasInput) = (false, false);
            var started = System.Diagnostics.Stopwatch.StartNew();
            while (!(woken && hasInput && read.IsCompleted) && started.Elapsed < TimeSpan.FromSeconds(20))
            {
                var seen = loop.Wait(Descriptor(wake), Descriptor(input));
                (woken, hasInput) = (woken | seen.Wake, hasInput | seen.Input);
            }

            Assert.True(woken && hasInput && read.IsCompletedSuccessfully);
            return 0;
        });
    }

    /// <returns>Reads that had to wait; -1 without a ring that was wanted.</returns>
    private int ReadMany(LocalFile file, bool mayUseRing)
    {
        using var loop = ReadLoop.Enter(mayUseRing);
        var random = new Random(2);
        var waited = 0;
        for (var round = 0; round < 10; round++)
        {
            var reads = Enumerable.Range(0, 100).Select(_ => (Offset: random.Next(Size - 20_000), Bytes: new byte[random.Next(1, 20_000)])).ToList();
            var tasks = reads.Select(read => file.ReadAsync(read.Offset, read.Bytes, None).AsTask()).ToList();
            waited += tasks.Count(task => !task.IsCompleted);
            if (loop.UsesThreadPool && mayUseRing)
                return -1;
            Complete(loop, tasks);
            foreach (var (offset, bytes) in reads)
                Assert.True(_content.AsSpan(offset, bytes.Length).SequenceEqual(bytes), $"{bytes.Length} bytes at {offset} differ");
        }

        return waited;
    }

    private static void Complete(ReadLoop loop, List<Task> tasks)
    {
        using var wake = new AnonymousPipeServerStream(PipeDirection.Out);
        while (loop.Pending > 0)
            loop.Wait(Descriptor(wake), -1);
        foreach (var task in tasks)
            task.GetAwaiter().GetResult();
    }

    private static int Descriptor(AnonymousPipeServerStream pipe) => (int)pipe.ClientSafePipeHandle.DangerousGetHandle();

    private static T OnThread<T>(Func<T> work)
    {
        var done = new TaskCompletionSource<T>();
        var thread = new Thread(() =>
        {
            try
            {
                done.SetResult(work());
            }
            catch (Exception e)
            {
                done.SetException(e);
            }
        });
        thread.Start();
        return done.Task.GetAwaiter().GetResult();
    }

    /// <summary>A file none of which is in the page cache.</summary>
    private async Task<LocalFile> ColdFileAsync()
    {
        new Random(1).NextBytes(_content);
        var path = _folder.File($"cold-{Guid.NewGuid()}");
        await File.WriteAllBytesAsync(path, _content, None);
        (await ChildProgram.RunAsync("sync", [path], null, None)).Succeeded();
        (await ChildProgram.RunAsync("dd", [$"if={path}", "iflag=nocache", "count=0", "status=none"], null, None)).Succeeded();
        return LocalFile.Open(path, readOnly: true);
    }
}
