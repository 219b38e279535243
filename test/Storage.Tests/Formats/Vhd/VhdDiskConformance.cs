using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhd;
using Godwit.Testing;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;

namespace Godwit.Storage.Tests.Formats.Vhd;

/// <summary>A dynamic VHD of the smallest blocks, so that the suite's disk has several.</summary>
public class VhdDynamicConformance : DiskConformance
{
    protected virtual VhdCreateOptions Options(long size) => new() { Size = size, BlockSize = 512 << 10 };

    protected virtual BlockDevice? OpenParent() => null;

    protected override async ValueTask<DiskUnderTest> CreateAsync(long size)
    {
        var file = new MemoryFile(path: "memory.vhd");
        await VhdDisk.CreateAsync(file, Options(size), CancellationToken.None);
        return new DiskUnderTest(await OpenAsync(file), readOnly => OpenAsync(file.Reopen(readOnly)));
    }

    private async ValueTask<BlockDevice> OpenAsync(IStorageFile file) => await VhdSample.OpenAsync(file, parent: OpenParent(), headroom: 3 << 20);
}

public sealed class VhdDynamicTwoMebibyteBlocksConformance : VhdDynamicConformance
{
    protected override VhdCreateOptions Options(long size) => new() { Size = size };
}

public sealed class VhdFixedConformance : VhdDynamicConformance
{
    protected override VhdCreateOptions Options(long size) => new() { Size = size, Fixed = true };
}

public class VhdDifferencingConformance : VhdDynamicConformance
{
    protected override VhdCreateOptions Options(long size) => new() { Size = size, BlockSize = 512 << 10, Parent = VhdSample.Parent };

    protected override BlockDevice OpenParent() => new ReferenceDisk(Size);
}

public sealed class VhdDifferencingOverContentConformance : VhdDifferencingConformance
{
    private readonly byte[] _content;

    public VhdDifferencingOverContentConformance()
    {
        // Shorter than the child, with a hole in it.
        _content = new byte[Size];
        VhdSample.Pattern(7, (int)Size - 4096).CopyTo(_content, 0);
        _content.AsSpan(1 << 20, 300_000 / 512 * 512).Clear();
    }

    protected override ReadOnlySpan<byte> InitialContent => _content;

    protected override BlockDevice OpenParent() => VhdSample.ParentOf(_content[..^4096]);
}

public class VhdOnLocalFileConformance : DiskConformance, IDisposable
{
    private readonly TempFolder _folder = new();
    private int _count;

    protected override int Sequences => 10;

    protected virtual VhdCreateOptions Options(long size) => new() { Size = size, BlockSize = 512 << 10 };

    protected virtual BlockDevice? OpenParent() => null;

    public void Dispose()
    {
        _folder.Dispose();
        GC.SuppressFinalize(this);
    }

    protected override async ValueTask<DiskUnderTest> CreateAsync(long size)
    {
        var path = _folder.File($"disk{Interlocked.Increment(ref _count)}.vhd");
        await using (var file = LocalFile.Create(path))
            await VhdDisk.CreateAsync(file, Options(size), CancellationToken.None);
        return new DiskUnderTest(await OpenAsync(path, false), readOnly => OpenAsync(path, readOnly));
    }

    private async ValueTask<BlockDevice> OpenAsync(string path, bool readOnly) =>
        await VhdSample.OpenAsync(LocalFile.Open(path, readOnly), parent: OpenParent());
}

public sealed class VhdFixedOnLocalFileConformance : VhdOnLocalFileConformance
{
    protected override VhdCreateOptions Options(long size) => new() { Size = size, Fixed = true };
}

public sealed class VhdDifferencingOnLocalFileConformance : VhdOnLocalFileConformance
{
    private readonly byte[] _content;

    public VhdDifferencingOnLocalFileConformance() => _content = VhdSample.Pattern(8, (int)Size);

    protected override ReadOnlySpan<byte> InitialContent => _content;

    protected override VhdCreateOptions Options(long size) => new() { Size = size, Parent = VhdSample.Parent };

    protected override BlockDevice OpenParent() => VhdSample.ParentOf(_content);
}

public sealed class VhdOnCrashFileConformance : DiskConformance
{
    protected override string? AllocatesBecause => "the crash file remembers every write";

    protected override int Sequences => 10;

    protected override async ValueTask<DiskUnderTest> CreateAsync(long size)
    {
        var file = new CrashFile { FlushesYield = true, ChangesYield = true };
        await VhdDisk.CreateAsync(file, new VhdCreateOptions { Size = size, BlockSize = 512 << 10 }, CancellationToken.None);
        return new DiskUnderTest(
            await OpenAsync(file), readOnly => OpenAsync(readOnly ? file.AfterKill(file.EventCount).Reopen(true) : file.Reopen()));
    }

    private static async ValueTask<BlockDevice> OpenAsync(IStorageFile file) => await VhdSample.OpenAsync(file);
}
