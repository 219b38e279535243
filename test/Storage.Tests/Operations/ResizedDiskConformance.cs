using Godwit.Storage.Formats;
using Godwit.Testing.Disks;

namespace Godwit.Storage.Tests.Operations;

/// <summary>A disk that was cut off in the middle of its data, and whose block table moved then, is a disk like any other.</summary>
public abstract class ResizedDiskConformance(ImageFormat format, long roomFor) : DiskConformance
{
    private static readonly CancellationToken None = CancellationToken.None;

    protected override int Sequences => 10;

    protected override async ValueTask<DiskUnderTest> CreateAsync(long size)
    {
        // Everything behind the end to be, the rest of its block included, is full of bytes that must never show up again.
        var larger = size + (3 * ResizeSample.MiB);
        var file = await ResizeSample.CreateAsync(format, larger);
        await using (var disk = await ResizeSample.OpenAsync(file.Reopen(), format))
            await disk.WriteAsync(size, ResizeSample.Pattern(1, (int)(larger - size)), WriteFlags.None, None);
        await LayerFormats.ShrinkAsync(file.Reopen(), format, size, None);
        await LayerFormats.PrepareGrowthAsync(file.Reopen(), format, roomFor, None);
        return new DiskUnderTest(
            await ResizeSample.OpenAsync(file.Reopen(), format), readOnly => ResizeSample.OpenAsync(file.Reopen(readOnly), format));
    }
}

public sealed class ResizedVhdxConformance() : ResizedDiskConformance(ImageFormat.VhdxDynamic, 140L << 30);

public sealed class ResizedVhdConformance() : ResizedDiskConformance(ImageFormat.VhdDynamic, 40L << 30);
