using Godwit.Storage.Decorators;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Decorators;

public sealed class FaultyDiskConformance : DiskConformance
{
    protected override ValueTask<DiskUnderTest> CreateAsync(long size) => new(new DiskUnderTest(new FaultyDisk(new ReferenceDisk(size))));

    protected override string? AllocatesBecause => "a test decorator need not be quick";
}

public sealed class DelayedDiskConformance : DiskConformance
{
    protected override ValueTask<DiskUnderTest> CreateAsync(long size) =>
        new(new DiskUnderTest(new DelayedDisk(new ReferenceDisk(size), TimeProvider.System)));

    protected override string? AllocatesBecause => "a test decorator need not be quick";
}

public sealed class DecoratorTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task A_read_only_disk_refuses_every_change_and_reads_what_is_behind()
    {
        await using var inner = new ReferenceDisk(4096);
        await inner.WriteAsync(512, new byte[] { 7 }.Concat(new byte[511]).ToArray(), WriteFlags.None, None);
        await using var disk = new ReadOnlyDisk(inner);
        Func<Task>[] changes =
        [
            () => disk.WriteAsync(0, new byte[512], WriteFlags.None, None).AsTask(),
            () => disk.TrimAsync(0, 512, None).AsTask(),
            () => disk.WriteZeroesAsync(0, 512, WriteFlags.None, None).AsTask(),
            () => disk.ResizeAsync(8192, None).AsTask(),
        ];
        foreach (var change in changes)
            Assert.Equal(StorageErrorKind.ReadOnly, (await Assert.ThrowsAsync<StorageException>(change)).Kind);
        var read = new byte[4096];
        await disk.ReadAsync(0, read, None);
        Assert.Equal(inner.ToArray(), read);
    }

    [Fact]
    public async Task A_faulty_disk_fails_what_the_rule_says_and_nothing_else()
    {
        await using var disk = new FaultyDisk(new ReferenceDisk(4096));
        disk.Rules.Fail(FileOperation.Write, StorageErrorKind.NoSpace);
        var error = await Assert.ThrowsAsync<StorageException>(() => disk.WriteAsync(512, new byte[512], WriteFlags.None, None).AsTask());
        Assert.Equal((StorageErrorKind.NoSpace, 512), (error.Kind, error.Offset));
        await disk.WriteAsync(512, new byte[512], WriteFlags.None, None);
    }
}
