using Godwit.Storage.Chains;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Files;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>Small images for tests, and where their parts are.</summary>
internal static class VhdxSample
{
    public const int MiB = 1 << 20;
    public const int LogOffset = MiB;
    public const int MetadataOffset = 2 * MiB;
    public const int BatOffset = 3 * MiB;
    public const int FirstBlockOffset = 4 * MiB;

    /// <summary>A parent's name for images whose parent is given to them anyway.</summary>
    public static ParentLink SomeParent { get; } = new(
        new Guid("00112233-4455-6677-8899-aabbccddeeff"), null, null, [new ParentPath(ParentPathKind.Relative, "parent.vhdx")]);

    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>A dynamic image with 1 MiB blocks.</summary>
    public static async Task<MemoryFile> CreateAsync(long size = 8 * MiB, int blockSize = MiB)
    {
        var file = new MemoryFile(path: "sample.vhdx");
        await VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = size, BlockSize = blockSize }, None);
        return file;
    }

    /// <summary>An image with two blocks written, closed cleanly.</summary>
    public static async Task<MemoryFile> CreateWithContentAsync()
    {
        var file = await CreateAsync();
        await using (var disk = await OpenAsync(file))
        {
            await disk.WriteAsync(0, Pattern(1, 8192), WriteFlags.None, None);
            await disk.WriteAsync(5 * MiB, Pattern(2, 8192), WriteFlags.None, None);
        }

        return file.Reopen();
    }

    /// <summary>An image whose process was killed with changes only in the log: blocks 0 and 5 written, block 5 trimmed.</summary>
    public static async Task<MemoryFile> CreateDirtyAsync()
    {
        var file = new CrashFile(await CreateAsync());
        await using var disk = await OpenAsync(file);
        await disk.WriteAsync(0, Pattern(1, 8192), WriteFlags.None, None);
        await disk.WriteAsync(5 * MiB, Pattern(2, 8192), WriteFlags.None, None);
        await disk.TrimAsync(5 * MiB, MiB, None);
        return file.AfterKill(file.EventCount);
    }

    /// <summary>Another start of the computer.</summary>
    public static Guid AfterPowerCut { get; } = new("55555555-0000-0000-0000-000000000001");

    public static ValueTask<VhdxDisk> OpenAfterPowerCutAsync(IStorageFile file) =>
        VhdxDisk.OpenAsync(file, new VhdxOpenOptions { BootId = AfterPowerCut }, None);

    public static ValueTask<VhdxDisk> OpenAsync(IStorageFile file, bool readOnly = false) =>
        VhdxDisk.OpenAsync(file, new VhdxOpenOptions { ReadOnly = readOnly }, None);

    /// <summary>The file grows by what is needed and no more.</summary>
    public static ValueTask<VhdxDisk> OpenTightAsync(IStorageFile file) =>
        VhdxDisk.OpenAsync(file, new VhdxOpenOptions { Headroom = 0 }, None);

    public static byte[] Pattern(int seed, int length)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    public static async Task<byte[]> ReadAsync(BlockDevice disk, long offset, int length)
    {
        var bytes = new byte[length];
        await disk.ReadAsync(offset, bytes, None);
        return bytes;
    }

    /// <summary>Overwrites bytes of the file.</summary>
    public static Task PokeAsync(MemoryFile file, long offset, params byte[] bytes) => file.WriteAsync(offset, bytes, None).AsTask();

    public static async Task<byte[]> PeekAsync(MemoryFile file, long offset, int length)
    {
        var bytes = new byte[length];
        await file.ReadAsync(offset, bytes, None);
        return bytes;
    }

    /// <summary>Changes a structure and puts its checksum right again.</summary>
    public static async Task RewriteAsync(MemoryFile file, long offset, int length, Action<byte[]> change)
    {
        var bytes = await PeekAsync(file, offset, length);
        change(bytes);
        BitConverter.TryWriteBytes(bytes.AsSpan(4), Crc32C.OfStructure(bytes, 4));
        await file.WriteAsync(offset, bytes, None);
    }
}
