using Godwit.Storage.Chains;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Raw;
using Godwit.Storage.Formats.Vhd;
using Godwit.Testing.Files;

namespace Godwit.Storage.Tests.Formats.Vhd;

/// <summary>Small images for tests, and where their parts are.</summary>
internal static class VhdSample
{
    public const int MiB = 1 << 20;
    public const int HeaderOffset = 512;
    public const int TableOffset = 1536;

    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>What the children of <see cref="CreateChildAsync"/> say about their parent.</summary>
    public static ParentLink Parent { get; } = new(
        new Guid("00112233-4455-6677-8899-aabbccddeeff"),
        null,
        new DateTimeOffset(2024, 5, 6, 7, 8, 9, TimeSpan.Zero),
        [
            new ParentPath(ParentPathKind.Relative, @".\base.vhd"),
            new ParentPath(ParentPathKind.Absolute, @"C:\VMs\Böse Namen 日本\base.vhd"),
            new ParentPath(ParentPathKind.Url, "file:///Volumes/VMs/base.vhd"),
            new ParentPath(ParentPathKind.Name, "base.vhd"),
        ]);

    public static async Task<MemoryFile> CreateAsync(long size = 8 * MiB, int blockSize = 512 << 10, bool isFixed = false)
    {
        var file = new MemoryFile(path: "sample.vhd");
        await VhdDisk.CreateAsync(file, new VhdCreateOptions { Size = size, BlockSize = blockSize, Fixed = isFixed }, None);
        return file;
    }

    public static async Task<MemoryFile> CreateChildAsync(long size = 8 * MiB, int blockSize = 512 << 10)
    {
        var file = new MemoryFile(path: "child.vhd");
        await VhdDisk.CreateAsync(file, new VhdCreateOptions { Size = size, BlockSize = blockSize, Parent = Parent }, None);
        return file;
    }

    /// <summary>A dynamic image with two blocks written, closed cleanly.</summary>
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

    /// <summary>Opens an image; one block of headroom, so that growth happens as often as it can.</summary>
    public static ValueTask<VhdDisk> OpenAsync(IStorageFile file, bool readOnly = false, BlockDevice? parent = null, long headroom = 1) =>
        VhdDisk.OpenAsync(file, new VhdOpenOptions { ReadOnly = readOnly, Parent = parent, Headroom = headroom }, None);

    /// <summary>A parent with a content; <see cref="RawDisk"/> on a file of its own.</summary>
    public static BlockDevice ParentOf(byte[] content) => RawDisk.Open(new MemoryFile(content, "parent").Reopen(readOnly: true));

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
}
