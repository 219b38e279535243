using Godwit.Storage.Files;
using Godwit.Storage.Formats.Raw;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;
using Xunit.Sdk;

namespace Godwit.Storage.Tests.Decorators;

/// <summary>The suites themselves under test: a suite that passes a broken device proves nothing.</summary>
public sealed class SuitesFindDefects
{
    [Theory(Timeout = 60_000)]
    [InlineData(Defect.SpoilsTheNextSector)]
    [InlineData(Defect.CallsDataAHole)]
    [InlineData(Defect.LeavesExtentGaps)]
    [InlineData(Defect.TrimsTooMuch)]
    [InlineData(Defect.ForgetsToZero)]
    [InlineData(Defect.KeepsWritesInMemory)]
    public async Task Random_sequences_find(Defect defect) => await Assert.ThrowsAnyAsync<Exception>(async () =>
    {
        // Each run draws its own sequences, and one in some dozens draws none that shows a sector trimmed too much.
        for (var run = 0; run < 10; run++)
            await new Broken(defect).Any_sequence_of_requests_reads_like_an_array();
    });

    [Fact(Timeout = 60_000)]
    public async Task Neighbouring_writers_find_a_lost_update() =>
        await FoundAsync(suite => suite.Writers_of_neighbouring_sectors_do_not_disturb_each_other(1), Defect.ReordersNeighbours);

    [Fact(Timeout = 60_000)]
    public async Task The_allocation_count_finds_one_object_per_read()
    {
        // A debug build skips instead of failing, which is an exception too.
        var found = await Assert.ThrowsAnyAsync<Exception>(
            () => new Broken(Defect.Allocates).Reads_and_overwrites_of_allocated_ranges_allocate_nothing());
        Assert.DoesNotContain("synchronously", found.Message, StringComparison.Ordinal);
    }

    [Theory(Timeout = 60_000)]
    [InlineData(Defect.ForgetsFlush)]
    [InlineData(Defect.ForgetsForce)]
    [InlineData(Defect.KeepsWritesInMemory)]
    [InlineData(Defect.SpoilsTheNextSector)]
    [InlineData(Defect.TrimsTooMuch)]
    public async Task Crashes_find(Defect defect) => await Assert.ThrowsAnyAsync<XunitException>(async () =>
    {
        for (var seed = 1; seed <= 4; seed++)
            await new BrokenCrashes(defect).Flushed_writes_survive_every_power_cut_and_unflushed_ones_every_kill(seed, concurrent: false);
    });

    [Fact(Timeout = 60_000)]
    public async Task A_sound_device_behind_the_same_decorator_passes()
    {
        await new Broken(Defect.None).Any_sequence_of_requests_reads_like_an_array();
        await new Broken(Defect.None).Reads_and_overwrites_of_allocated_ranges_allocate_nothing();
        await new BrokenCrashes(Defect.None).Flushed_writes_survive_every_power_cut_and_unflushed_ones_every_kill(1, concurrent: true);
    }

    private static async Task FoundAsync(Func<DiskConformance, Task> test, Defect defect) =>
        await Assert.ThrowsAnyAsync<XunitException>(() => test(new Broken(defect)));

    private sealed class Broken(Defect defect) : DiskConformance
    {
        protected override async ValueTask<DiskUnderTest> CreateAsync(long size)
        {
            var file = new MemoryFile();
            await RawDisk.CreateAsync(file, size, CancellationToken.None);
            return new DiskUnderTest(
                new BrokenDisk(RawDisk.Open(file), defect), readOnly => new(new BrokenDisk(RawDisk.Open(file.Reopen(readOnly)), defect)));
        }
    }

    private sealed class BrokenCrashes(Defect defect) : CrashConformance
    {
        protected override ValueTask FormatAsync(IStorageFile file, long size) => RawDisk.CreateAsync(file, size, CancellationToken.None);

        protected override ValueTask<BlockDevice> OpenAsync(IStorageFile file) => new(new BrokenDisk(RawDisk.Open(file), defect));
    }
}
