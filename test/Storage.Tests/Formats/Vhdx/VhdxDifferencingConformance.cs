using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>A differencing disk of 1 MiB blocks over a dynamic one without content.</summary>
public class VhdxOverEmptyParentConformance : DiskConformance
{
    protected virtual VhdxCreateOptions Options(long size) => new() { Size = size, BlockSize = 1 << 20, Parent = VhdxSample.SomeParent };

    /// <summary>Makes the parent's file and says how it is opened.</summary>
    protected virtual async Task<Func<ValueTask<BlockDevice>>> ParentAsync()
    {
        var file = new MemoryFile(path: "parent.vhdx");
        await VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = 4 << 20, BlockSize = 2 << 20 }, CancellationToken.None);
        return () => OpenAsync(file.Reopen(readOnly: true), null);
    }

    protected override async ValueTask<DiskUnderTest> CreateAsync(long size)
    {
        var parent = await ParentAsync();
        var file = new MemoryFile(path: "child.vhdx");
        await VhdxDisk.CreateAsync(file, Options(size), CancellationToken.None);
        return new DiskUnderTest(
            await OpenAsync(file, await parent()), async readOnly => await OpenAsync(file.Reopen(readOnly), await parent()));
    }

    protected static async ValueTask<BlockDevice> OpenAsync(IStorageFile file, BlockDevice? parent) =>
        await VhdxDisk.OpenAsync(file, new VhdxOpenOptions { Parent = parent, BitmapPages = 1 }, CancellationToken.None);
}

/// <summary>Over a parent that holds something, with holes: every sequence proves what shows through.</summary>
public class VhdxOverFullParentConformance : VhdxOverEmptyParentConformance
{
    private readonly byte[] _content = MakeContent();

    protected override ReadOnlySpan<byte> InitialContent => _content;

    protected override async Task<Func<ValueTask<BlockDevice>>> ParentAsync()
    {
        var file = new MemoryFile(path: "parent.vhdx");
        await MakeAsync(file, new VhdxCreateOptions { Size = _content.Length, BlockSize = 2 << 20 }, null, _content);
        return () => OpenAsync(file.Reopen(readOnly: true), null);
    }

    /// <summary>Makes an image with a content.</summary>
    protected static async Task MakeAsync(MemoryFile file, VhdxCreateOptions options, BlockDevice? parent, byte[] content)
    {
        await VhdxDisk.CreateAsync(file, options, CancellationToken.None);
        await using var disk = await OpenAsync(file, parent);
        for (var at = 0; at < content.Length; at += 64 << 10)
        {
            var part = content.AsMemory(at, Math.Min(64 << 10, content.Length - at));
            if (part.Span.ContainsAnyExcept((byte)0))
                await disk.WriteAsync(at, part, WriteFlags.None, CancellationToken.None);
        }
    }

    /// <summary>Shorter than the suite's disk, and whole 4 KiB.</summary>
    private static byte[] MakeContent()
    {
        var content = Bytes(77, (4 << 20) + (5 * 4096));
        content.AsSpan(1 << 20, 300 << 10).Clear();
        content.AsSpan((2 << 20) + (512 << 10), 1 << 20).Clear();
        return content;
    }
}

public sealed class VhdxBigBlocksOverParentConformance : VhdxOverFullParentConformance
{
    protected override int Sequences => 20;

    protected override VhdxCreateOptions Options(long size) => base.Options(size) with { BlockSize = 32 << 20 };
}

public sealed class Vhdx4KSectorsConformance : VhdxDynamicConformance
{
    protected override int SectorSize => 4096;

    protected override VhdxCreateOptions Options(long size) => base.Options(size) with { LogicalSectorSize = 4096 };
}

public sealed class Vhdx4KSectorsFixedConformance : VhdxDynamicConformance
{
    protected override int SectorSize => 4096;

    protected override VhdxCreateOptions Options(long size) => base.Options(size) with { LogicalSectorSize = 4096, Fixed = true };
}

public sealed class Vhdx4KSectorsOverParentConformance : VhdxOverFullParentConformance
{
    protected override int SectorSize => 4096;

    protected override VhdxCreateOptions Options(long size) => base.Options(size) with { LogicalSectorSize = 4096 };
}

/// <summary>Sectors of 512 bytes over a parent of 4096.</summary>
public sealed class VhdxOver4KParentConformance : VhdxOverFullParentConformance
{
    // Reads of single sectors of the parent go through a buffer; the suite's loop reads what the child has.
    protected override async Task<Func<ValueTask<BlockDevice>>> ParentAsync()
    {
        var file = new MemoryFile(path: "parent.vhdx");
        var content = InitialContent.ToArray();
        await MakeAsync(file, new VhdxCreateOptions { Size = content.Length, BlockSize = 1 << 20, LogicalSectorSize = 4096 }, null, content);
        return () => OpenAsync(file.Reopen(readOnly: true), null);
    }
}

/// <summary>Three images: half of the content in the base, half in the middle, nothing in the leaf.</summary>
public sealed class VhdxChainOfThreeConformance : VhdxOverFullParentConformance
{
    protected override async Task<Func<ValueTask<BlockDevice>>> ParentAsync()
    {
        var whole = InitialContent.ToArray();
        var (lower, upper) = ((byte[])whole.Clone(), (byte[])whole.Clone());
        for (var at = 0; at < whole.Length; at += 4096)
        {
            // Where the middle has nothing of its own, and where the base has something that must not show.
            if (at / 4096 % 3 == 0)
                upper.AsSpan(at, 4096).Clear();
            else
                lower.AsSpan(at, 4096).Fill(0xBB);
        }

        var bottom = new MemoryFile(path: "base.vhdx");
        await MakeAsync(bottom, new VhdxCreateOptions { Size = whole.Length, BlockSize = 1 << 20 }, null, lower);
        var middle = new MemoryFile(path: "middle.vhdx");
        await VhdxDisk.CreateAsync(middle, Options(whole.Length) with { BlockSize = 2 << 20 }, CancellationToken.None);
        await using (var disk = await OpenAsync(middle, await OpenAsync(bottom.Reopen(readOnly: true), null)))
        {
            for (var at = 0; at < whole.Length; at += 4096)
            {
                if (at / 4096 % 3 != 0)
                    await disk.WriteAsync(at, upper.AsMemory(at, 4096), WriteFlags.None, CancellationToken.None);
            }
        }

        return async () => await OpenAsync(middle.Reopen(readOnly: true), await OpenAsync(bottom.Reopen(readOnly: true), null));
    }
}
