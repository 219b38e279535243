using Godwit.Fuzz.Targets;
using Godwit.Storage.FileSystems;
using Godwit.Storage.Formats.Raw;
using Xunit;

namespace Godwit.Storage.Tests.Fuzz;

/// <summary>The file systems that fuzzing starts from are believed: else nothing behind their first check would ever be reached.</summary>
public sealed class FileSystemSeedTests
{
    [Fact]
    public async Task Every_one_is_used_and_has_free_space()
    {
        foreach (var image in new FileSystemTarget().Images)
        {
            await using var disk = RawDisk.Open(image.File.Reopen(readOnly: true));
            var space = await DiskFreeSpace.ReadAsync(disk, CancellationToken.None);
            var use = Assert.Single(space.Partitions);
            Assert.True(use.Reason is null, $"{image.Name}: {use.Reason}");
            var free = 0L;
            for (var run = await space.NextAsync(0, disk.Length, CancellationToken.None); run.Length > 0; run = await space.NextAsync(run.End, disk.Length, CancellationToken.None))
                free += run.Length;
            Assert.InRange(free, disk.Length / 2, disk.Length - 1);
        }
    }
}
