using System.Diagnostics;
using Godwit.Storage.Decorators;
using Godwit.Storage.Metrics;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Decorators;

public sealed class MeteredDiskConformance : DiskConformance
{
    protected override ValueTask<DiskUnderTest> CreateAsync(long size) =>
        new(new DiskUnderTest(new MeteredDisk(new ReferenceDisk(size), new DiskCounters())));
}

public sealed class MeteredDiskTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task Every_request_is_counted_once_by_its_kind_and_failures_too()
    {
        var counters = new DiskCounters();
        var faulty = new FaultyDisk(new ReferenceDisk(65536));
        await using var disk = new MeteredDisk(faulty, counters);
        await disk.WriteAsync(0, new byte[4096], WriteFlags.None, None);
        await disk.ReadAsync(0, new byte[512], None);
        await disk.ReadAsync(512, new byte[1024], None);
        await disk.FlushAsync(None);
        await disk.TrimAsync(0, 4096, None);
        await disk.WriteZeroesAsync(0, 512, WriteFlags.None, None);
        faulty.Rules.Fail(FileOperation.Write, StorageErrorKind.NoSpace);
        await Assert.ThrowsAsync<StorageException>(() => disk.WriteAsync(0, new byte[512], WriteFlags.None, None).AsTask());
        Assert.Equal((2, 1536, 0), Of(counters, DiskOperation.Read));
        Assert.Equal((2, 4096, 1), Of(counters, DiskOperation.Write));
        Assert.Equal((1, 0, 0), Of(counters, DiskOperation.Flush));
        Assert.Equal((2, 4608, 0), Of(counters, DiskOperation.Discard));
        Assert.Equal(2, counters.Read(DiskOperation.Write).Latency.Counts.Sum());
    }

    [Fact]
    public async Task Counts_of_many_threads_add_up()
    {
        var counters = new DiskCounters();
        await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() =>
        {
            for (var i = 0; i < 10_000; i++)
                counters.Add(DiskOperation.Read, 512, Stopwatch.GetTimestamp(), failed: false);
        })));
        Assert.Equal((160_000, 160_000 * 512L, 0), Of(counters, DiskOperation.Read));
        Assert.Equal(160_000, counters.Read(DiskOperation.Read).Latency.Counts.Sum());
    }

    [Fact]
    public void A_time_lies_in_its_step_and_at_most_a_quarter_below_its_end()
    {
        var random = new Random(1);
        for (var i = 0; i < 10_000; i++)
        {
            var time = (long)Math.Exp(random.NextDouble() * Math.Log(1e12));
            var end = LatencyHistogram.EndOf(LatencyHistogram.StepOf(time));
            Assert.True(time <= end && (end <= 1024 || end <= time * 1.25), $"{time} ns is told as {end}");
        }
    }

    private static (long Requests, long Bytes, long Errors) Of(DiskCounters counters, DiskOperation operation)
    {
        var counts = counters.Read(operation);
        return (counts.Requests, counts.Bytes, counts.Errors);
    }
}
