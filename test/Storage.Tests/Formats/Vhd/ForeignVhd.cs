using System.Buffers.Binary;
using System.Text;
using Godwit.Testing.Files;

namespace Godwit.Storage.Tests.Formats.Vhd;

/// <summary>A VHD put together byte by byte from the specification, without any of our own writers: header at 512, table at 1536,
/// paths from 64 KiB on, blocks where the test puts them.</summary>
internal sealed class ForeignVhd
{
    public const int Fixed = 2, Dynamic = 3, Differencing = 4;
    private const int PathsOffset = 64 << 10;
    private readonly List<(string Code, byte[] Path, bool SpaceInBytes)> _locators = [];
    private readonly List<(int Block, int Sector, byte[] Bytes)> _blocks = [];

    public int Kind { get; init; } = Differencing;

    public int Size { get; init; } = 16 << 20;

    public int BlockSize { get; init; } = 2 << 20;

    public string Creator { get; init; } = "win ";

    /// <summary>Cylinders, heads, sectors per track; all zero is what some writers leave.</summary>
    public (ushort Cylinders, byte Heads, byte Sectors) Geometry { get; init; }

    public Guid Id { get; init; } = new("12345678-1111-2222-3333-000000000001");

    public uint TimeStamp { get; init; } = 500_000_000;

    public Guid ParentId { get; init; }

    public uint ParentStamp { get; init; }

    public string ParentName { get; init; } = "";

    /// <summary>Adds a parent locator.</summary>
    public void Locator(string code, byte[] path, bool spaceInBytes = false) => _locators.Add((code, path, spaceInBytes));

    /// <summary>Puts a block at a sector of the file.</summary>
    /// <param name="block">Which.</param>
    /// <param name="sector">Where, in sectors of 512 bytes.</param>
    /// <param name="bytes">Its content.</param>
    /// <param name="isOwn">Whether a sector's bit is set.</param>
    public void Block(int block, int sector, byte[] bytes, Func<int, bool> isOwn)
    {
        var bitmap = new byte[((BlockSize / 512 / 8) + 511) / 512 * 512];
        for (var at = 0; at < BlockSize / 512; at++)
            bitmap[at / 8] |= (byte)(isOwn(at) ? 0x80 >> (at % 8) : 0);
        _blocks.Add((block, sector, [.. bitmap, .. bytes]));
    }

    public async Task<MemoryFile> BuildAsync(string path = "foreign.vhd")
    {
        var file = new MemoryFile(path: path);
        if (Kind == Fixed)
        {
            await WriteAsync(Size, Footer());
            return file;
        }

        await WriteAsync(0, Footer());
        await WriteAsync(512, Header());
        await WriteAsync(1536, Table());
        for (var index = 0; index < _locators.Count; index++)
            await WriteAsync(PathsOffset + (index * 512), _locators[index].Path);
        foreach (var (_, sector, bytes) in _blocks)
            await WriteAsync(sector * 512L, bytes);
        await WriteAsync(Math.Max(PathsOffset + (8 * 512), (file.Length + 511) / 512 * 512), Footer());
        return file;

        Task WriteAsync(long offset, byte[] bytes) => file.WriteAsync(offset, bytes, CancellationToken.None).AsTask();
    }

    /// <summary>Writes the image to a real file.</summary>
    public async Task SaveAsync(string path) => await File.WriteAllBytesAsync(path, (await BuildAsync()).ToArray());

    private static byte[] Summed(byte[] bytes, int at)
    {
        uint sum = 0;
        foreach (var value in bytes)
            sum += value;
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(at), ~sum);
        return bytes;
    }

    private byte[] Footer()
    {
        var bytes = new byte[512];
        Encoding.ASCII.GetBytes("conectix", bytes);
        bytes[11] = 2;
        bytes[13] = 1;
        BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(16), Kind == Fixed ? -1 : 512);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(24), TimeStamp);
        Encoding.ASCII.GetBytes(Creator, bytes.AsSpan(28));
        Encoding.ASCII.GetBytes("Wi2k", bytes.AsSpan(36));
        BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(40), Size);
        BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(48), Size);
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(56), Geometry.Cylinders);
        bytes[58] = Geometry.Heads;
        bytes[59] = Geometry.Sectors;
        bytes[63] = (byte)Kind;
        Id.TryWriteBytes(bytes.AsSpan(68), bigEndian: true, out _);
        return Summed(bytes, 64);
    }

    private byte[] Header()
    {
        var bytes = new byte[1024];
        Encoding.ASCII.GetBytes("cxsparse", bytes);
        bytes.AsSpan(8, 8).Fill(0xff);
        BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(16), 1536);
        bytes[25] = 1;
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(28), Entries);
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(32), BlockSize);
        ParentId.TryWriteBytes(bytes.AsSpan(40), bigEndian: true, out _);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(56), ParentStamp);
        Encoding.BigEndianUnicode.GetBytes(ParentName, bytes.AsSpan(64));
        for (var index = 0; index < _locators.Count; index++)
        {
            var entry = bytes.AsSpan(576 + (index * 24));
            Encoding.ASCII.GetBytes(_locators[index].Code, entry);
            BinaryPrimitives.WriteInt32BigEndian(entry[4..], _locators[index].SpaceInBytes ? 512 : 1);
            BinaryPrimitives.WriteInt32BigEndian(entry[8..], _locators[index].Path.Length);
            BinaryPrimitives.WriteInt64BigEndian(entry[16..], PathsOffset + (index * 512));
        }

        return Summed(bytes, 36);
    }

    private int Entries => (Size + BlockSize - 1) / BlockSize;

    private byte[] Table()
    {
        var bytes = new byte[((Entries * 4) + 511) / 512 * 512];
        bytes.AsSpan().Fill(0xff);
        foreach (var (block, sector, _) in _blocks)
            BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(block * 4), sector);
        return bytes;
    }
}
