using Godwit.Storage.Mirror;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Mirror;

/// <summary>Counts what the whole process allocates, so nothing else may run beside it.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class AllocationCount
{
    public const string Name = "counts allocations of the whole process";
}

[Collection(AllocationCount.Name)]
public sealed class BackgroundCopyAllocationTests
{
    [Fact(Timeout = 30_000)]
    public async Task A_chunk_allocates_nothing()
    {
#if DEBUG
        Assert.Skip("in a debug build every asynchronous method allocates");
#endif
        var content = MirrorRig.Noise(1, 64 << 20);
        await using var rig = MirrorRig.Create(new MemoryFile(content), new MemoryFile(content), new MirrorSetup { Plain = true, Chunk = 64 << 10 });
        rig.Bitmap.Clear(0, content.Length);
        rig.Bitmap.Set(0, 1 << 20);
        rig.Start();
        await rig.UntilAsync(MirrorDiskState.Verified);
        var fewest = long.MaxValue;
        for (var run = 0; run < 5; run++)
        {
            var before = GC.GetTotalAllocatedBytes(precise: true);
            rig.Bitmap.Set(0, content.Length);
            rig.Disk.Condition.FallBack();
            await rig.UntilAsync(MirrorDiskState.Verified);
            fewest = Math.Min(fewest, GC.GetTotalAllocatedBytes(precise: true) - before);
        }

        // 1024 chunks copied and 1024 compared; a handful of allocations for the changes of state.
        Assert.InRange(fewest, 0, 16_000);
    }
}
