using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>4 KiB of the table in memory: what one descriptor of the log changes.</summary>
/// <param name="number">Which page of the table it is.</param>
internal sealed class BatPage(long number)
{
    public const int Shift = 9;
    public const int EntryCount = VhdxFormat.PageSize / sizeof(ulong);

    private Entries _entries;

    /// <summary>Stands for every page that holds nothing but zeroes. Never written.</summary>
    public static BatPage Empty { get; } = new(-1);

    public long Number => number;

    /// <summary>Used since the clock's hand came by. A hint, not synchronized.</summary>
    public bool WasUsed { get; set; } = true;

    /// <summary>The newest log entry that holds this page; the file has the page only when that one is applied.</summary>
    public ulong LoggedIn { get; set; }

    public BatEntry this[long index]
    {
        get => new(Volatile.Read(ref _entries[(int)index]));
        set => Volatile.Write(ref _entries[(int)index], value.Raw);
    }

    /// <summary>A page from its bytes.</summary>
    public static BatPage Parse(long number, ReadOnlySpan<byte> bytes)
    {
        var page = new BatPage(number);
        for (var index = 0; index < EntryCount; index++)
            page._entries[index] = BinaryPrimitives.ReadUInt64LittleEndian(bytes[(index * sizeof(ulong))..]);
        return page;
    }

    /// <summary>Writes the page in the file's form.</summary>
    public void CopyTo(Span<byte> bytes)
    {
        for (var index = 0; index < EntryCount; index++)
            BinaryPrimitives.WriteUInt64LittleEndian(bytes[(index * sizeof(ulong))..], this[index].Raw);
    }

    [InlineArray(EntryCount)]
    private struct Entries
    {
        private ulong _first;
    }
}
