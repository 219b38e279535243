using Godwit.Storage.Mirror;
using Godwit.Testing.Disks;
using Xunit;

namespace Godwit.Storage.Tests.Mirror;

/// <summary>Disposing it ends the copy and checks that whatever is not marked is equal on both sides.</summary>
internal sealed class CheckedMirror(MirrorRig rig) : DelegatingBlockDevice(rig.Disk)
{
    private bool _checked;

    public override async ValueTask DisposeAsync()
    {
        if (!_checked)
            await CheckAsync();
        await base.DisposeAsync();
    }

    private async Task CheckAsync()
    {
        _checked = true;
        await rig.StopAsync();
        var source = await MirrorRig.ContentAsync(rig.Source);
        var target = await MirrorRig.ContentAsync(rig.Target);
        for (var at = 0; at < source.Length;)
        {
            var end = (int)rig.Bitmap.RunEnd(at, source.Length, out var dirty);
            Assert.True(dirty || source.AsSpan(at..end).SequenceEqual(target.AsSpan(at..end)), $"[{at}, {end}) differs and is not marked");
            at = end;
        }

        await rig.DisposeAsync();
    }
}

public sealed class CopyingMirrorConformance : DiskConformance
{
    protected override ValueTask<DiskUnderTest> CreateAsync(long size) =>
        new(new DiskUnderTest(new CheckedMirror(
            MirrorRig.Create(MirrorRig.Empty(size), MirrorRig.Empty(size), new MirrorSetup { Plain = true }))));
}

public sealed class MirrorUnderCopyConformance : DiskConformance
{
    protected override string? AllocatesBecause => "the copy holds ranges now and then, and a request that waits for one allocates";

    protected override ValueTask<DiskUnderTest> CreateAsync(long size)
    {
        // From the first request on, so that requests meet every phase.
        var rig = MirrorRig.Create(MirrorRig.Empty(size), MirrorRig.Empty(size), new MirrorSetup { Chunk = 64 << 10 });
        rig.Start();
        return new(new DiskUnderTest(new CheckedMirror(rig)));
    }
}

public sealed class VerifiedMirrorConformance : DiskConformance
{
#if DEBUG
    protected override string? AllocatesBecause => "in a debug build every asynchronous method allocates, and writing to both sides is one";

#endif
    protected override async ValueTask<DiskUnderTest> CreateAsync(long size)
    {
        var rig = MirrorRig.Create(MirrorRig.Empty(size), MirrorRig.Empty(size), new MirrorSetup { Plain = true });
        rig.Start();
        await rig.UntilAsync(MirrorDiskState.Verified);
        return new DiskUnderTest(new CheckedMirror(rig));
    }
}
