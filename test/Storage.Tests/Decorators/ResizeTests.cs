using Godwit.Testing.Disks;
using Xunit;

namespace Godwit.Storage.Tests.Decorators;

/// <summary>Growing a device that others use.</summary>
public sealed class ResizeTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact(Timeout = 30_000)]
    public async Task A_second_resize_is_refused_while_one_is_under_way_and_possible_afterwards()
    {
        await using var disk = new SlowlyGrowing();
        var first = disk.ResizeAsync(8192, None).AsTask();
        foreach (var size in new[] { 4096, 12288 })
            Assert.Equal(StorageErrorKind.InUse, (await Assert.ThrowsAsync<StorageException>(async () => await disk.ResizeAsync(size, None))).Kind);
        Assert.Equal(4096, disk.Length);
        disk.Go.SetResult();
        await first;
        Assert.Equal(8192, disk.Length);
        Assert.Equal(StorageErrorKind.InvalidRequest, (await Assert.ThrowsAsync<StorageException>(async () => await disk.ResizeAsync(4096, None))).Kind);
        await disk.ResizeAsync(12288, None);
        Assert.Equal(12288, disk.Length);
    }

    private sealed class SlowlyGrowing() : DelegatingBlockDevice(new ReferenceDisk(4096))
    {
        public TaskCompletionSource Go { get; } = new();

        protected override async ValueTask ResizeCoreAsync(long length, CancellationToken cancellationToken)
        {
            await Go.Task;
            await base.ResizeCoreAsync(length, cancellationToken);
        }
    }
}
