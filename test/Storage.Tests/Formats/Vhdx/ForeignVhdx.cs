using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using Godwit.Testing.Files;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>A VHDX put together byte by byte from the specification, without any of our own writers: log at 1 MiB, metadata at
/// 2 MiB, block allocation table at 3 MiB, everything else where the test puts it.</summary>
internal sealed class ForeignVhdx
{
    private const int MiB = 1 << 20;
    public const int NotPresent = 0, Undefined = 1, Zero = 2, Unmapped = 3, FullyPresent = 6, PartiallyPresent = 7;

    /// <summary>Flags of a metadata item.</summary>
    public const uint IsUser = 1, IsVirtualDisk = 2, IsRequired = 4;
    private readonly List<(Guid Id, uint Flags, byte[] Bytes)> _items = [];
    private readonly List<(long Offset, byte[] Bytes)> _contents = [];
    private readonly Dictionary<long, ulong> _entries = [];

    public long Size { get; init; } = 16 * MiB;

    public int BlockSize { get; init; } = 2 * MiB;

    public int SectorSize { get; init; } = 512;

    public Guid DataWriteGuid { get; init; } = new("aaaaaaaa-0001-0002-0003-000000000004");

    /// <summary>Length of the file without what <see cref="Put"/> adds behind it.</summary>
    public long Length { get; init; } = 24 * MiB;

    /// <summary>The parent locator's bytes; null for a disk without parent.</summary>
    public byte[]? Locator { get; init; }

    /// <summary>A locator as Windows writes it.</summary>
    public static byte[] LocatorOf(params (string Key, string Value)[] pairs)
    {
        using var texts = new MemoryStream();
        var bytes = new byte[20 + (pairs.Length * 12)];
        new Guid("b04aefb7-d19e-4a81-b789-25b8e9445913").TryWriteBytes(bytes);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(18), (ushort)pairs.Length);
        for (var index = 0; index < pairs.Length; index++)
        {
            var pair = bytes.AsSpan(20 + (index * 12));
            var (key, value) = (Encoding.Unicode.GetBytes(pairs[index].Key), Encoding.Unicode.GetBytes(pairs[index].Value));
            BinaryPrimitives.WriteUInt32LittleEndian(pair, (uint)(bytes.Length + texts.Length));
            texts.Write(key);
            BinaryPrimitives.WriteUInt32LittleEndian(pair[4..], (uint)(bytes.Length + texts.Length));
            texts.Write(value);
            BinaryPrimitives.WriteUInt16LittleEndian(pair[8..], (ushort)key.Length);
            BinaryPrimitives.WriteUInt16LittleEndian(pair[10..], (ushort)value.Length);
        }

        return [.. bytes, .. texts.ToArray()];
    }

    /// <summary>Says what a block is.</summary>
    public void Block(long block, int state, long mebibyte = 0) =>
        _entries[block + (block / Ratio)] = (uint)state | ((ulong)mebibyte << 20);

    /// <summary>Says where the sector bitmap of a chunk is.</summary>
    public void Bitmap(long chunk, int state, long mebibyte) =>
        _entries[(chunk * (Ratio + 1)) + Ratio] = (uint)state | ((ulong)mebibyte << 20);

    /// <summary>Puts bytes anywhere into the file.</summary>
    public void Put(long offset, byte[] bytes) => _contents.Add((offset, bytes));

    /// <summary>Adds a metadata item.</summary>
    public void Item(Guid id, uint flags, byte[] bytes) => _items.Add((id, flags, bytes));

    public async Task<MemoryFile> BuildAsync(string path = "foreign.avhdx")
    {
        var file = new MemoryFile(path: path);
        await file.SetLengthAsync(Length, CancellationToken.None);
        await WriteAsync(0, Encoding.ASCII.GetBytes("vhdxfile"));
        await WriteAsync(8, Encoding.Unicode.GetBytes("Microsoft Windows 10.0.20348.0"));
        await WriteAsync(64 << 10, Header(1));
        await WriteAsync(128 << 10, Header(2));
        await WriteAsync(192 << 10, RegionTable());
        await WriteAsync(256 << 10, RegionTable());
        await WriteAsync(2 * MiB, Metadata());
        foreach (var (index, raw) in _entries)
            await WriteAsync((3 * MiB) + (index * 8), BitConverter.GetBytes(raw));
        foreach (var (offset, bytes) in _contents)
            await WriteAsync(offset, bytes);
        return file;

        Task WriteAsync(long offset, byte[] bytes) => file.WriteAsync(offset, bytes, CancellationToken.None).AsTask();
    }

    /// <summary>Writes the image to a real file.</summary>
    public async Task SaveAsync(string path) => await File.WriteAllBytesAsync(path, (await BuildAsync()).ToArray());

    /// <summary>Every metadata item of an image: identifier, flags, content.</summary>
    public static List<(Guid Id, uint Flags, string Content)> ItemsOf(MemoryFile file)
    {
        var region = file.ToArray().AsSpan(2 * MiB, MiB);
        var items = new List<(Guid, uint, string)>();
        for (var index = 1; index <= BinaryPrimitives.ReadUInt16LittleEndian(region[10..]); index++)
        {
            var line = region.Slice(index * 32, 32);
            var (at, length) = (BinaryPrimitives.ReadInt32LittleEndian(line[16..]), BinaryPrimitives.ReadInt32LittleEndian(line[20..]));
            items.Add((new Guid(line[..16]), BinaryPrimitives.ReadUInt32LittleEndian(line[24..]), Convert.ToHexString(region.Slice(at, length))));
        }

        return items;
    }

    private long Ratio => (1L << 23) * SectorSize / BlockSize;

    private static byte[] Summed(byte[] bytes)
    {
        var crc = uint.MaxValue;
        foreach (var value in bytes)
            crc = BitOperations.Crc32C(crc, value);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), ~crc);
        return bytes;
    }

    private byte[] Header(ulong sequence)
    {
        var bytes = new byte[4096];
        Encoding.ASCII.GetBytes("head", bytes);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(8), sequence);
        Guid.NewGuid().TryWriteBytes(bytes.AsSpan(16));
        DataWriteGuid.TryWriteBytes(bytes.AsSpan(32));
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(66), 1);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(68), MiB);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(72), MiB);
        return Summed(bytes);
    }

    private static byte[] RegionTable()
    {
        var bytes = new byte[64 << 10];
        Encoding.ASCII.GetBytes("regi", bytes);
        bytes[8] = 2;
        Entry(16, "2dc27766-f623-4200-9d64-115e9bfd4a08", 3 * MiB);
        Entry(48, "8b7ca206-4790-4b9a-b8fe-575f050f886e", 2 * MiB);
        return Summed(bytes);

        void Entry(int at, string id, int offset)
        {
            new Guid(id).TryWriteBytes(bytes.AsSpan(at));
            BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(at + 16), offset);
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(at + 24), MiB);
            bytes[at + 28] = 1;
        }
    }

    private byte[] Metadata()
    {
        var known = new List<(Guid Id, uint Flags, byte[] Bytes)>
        {
            (new("8141bf1d-a96f-4709-ba47-f233a8faab5f"), IsRequired | IsVirtualDisk, BitConverter.GetBytes(SectorSize)),
            (new("caa16737-fa36-4d43-b3b6-33f0aa44e76b"), IsRequired, [.. BitConverter.GetBytes(BlockSize), (byte)(Locator is null ? 0 : 2), 0, 0, 0]),
            (new("2fa54224-cd1b-4876-b211-5dbed83bf4b8"), IsRequired | IsVirtualDisk, BitConverter.GetBytes(Size)),
            (new("beca12ab-b2e6-4523-93ef-c309e000c746"), IsRequired | IsVirtualDisk, Guid.NewGuid().ToByteArray()),
            (new("cda348c7-445d-4471-9cc9-e9885251c556"), IsRequired | IsVirtualDisk, BitConverter.GetBytes(4096)),
        };
        if (Locator is not null)
            known.Add((new("a8d35f2d-b30b-454d-abf7-d3d84834ab0c"), IsRequired, Locator));
        var bytes = new byte[MiB];
        Encoding.ASCII.GetBytes("metadata", bytes);
        var (line, at) = (0, 64 << 10);
        foreach (var (id, flags, content) in _items.Concat(known))
        {
            var entry = bytes.AsSpan(++line * 32);
            id.TryWriteBytes(entry);
            BinaryPrimitives.WriteInt32LittleEndian(entry[16..], content.Length == 0 ? 0 : at);
            BinaryPrimitives.WriteInt32LittleEndian(entry[20..], content.Length);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[24..], flags);
            content.CopyTo(bytes, at);

            // Items are not aligned, and there may be room between them.
            at += content.Length + 3;
        }

        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(10), (ushort)line);
        return bytes;
    }
}
