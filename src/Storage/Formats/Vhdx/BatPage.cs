using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>4 KiB of the table in memory: what one descriptor of the log changes.</summary>
/// <param name="number">Which page of the table it is.</param>
internal sealed class BatPage(long number)
{
    public const int Shift = 9;
    public const int EntryCount = VhdxFormat.PageSize / sizeof(ulong);

    // What an entry without a place in the file is at most, when nothing odd is in it: [MS-VHDX] section 2.5.1.1.
    private const ulong LargestBlank = (ulong)BlockState.Unmapped;

    private Entries _entries;
    private volatile bool _isBlank = true;

    /// <summary>Stands for every page that holds nothing but zeroes. Never written.</summary>
    public static BatPage Empty { get; } = new(-1);

    public long Number => number;

    /// <summary>Used since the clock's hand came by. A hint, not synchronized.</summary>
    public bool WasUsed { get; set; } = true;

    /// <summary>The newest log entry that holds this page; the file has the page only when that one is applied.</summary>
    public ulong LoggedIn { get; set; }

    /// <summary>No entry has a place in the file or a state that is reserved: nothing that would have to be looked at one by one.
    /// May be false though it is so.</summary>
    public bool IsBlank => _isBlank;

    public BatEntry this[long index]
    {
        get => new(Volatile.Read(ref _entries[(int)index]));
        set
        {
            // Before the entry: whoever goes by this finds every entry that was published.
            if (value.Raw > LargestBlank)
                _isBlank = false;
            Volatile.Write(ref _entries[(int)index], value.Raw);
        }
    }

    /// <summary>A page from its bytes.</summary>
    public static BatPage Parse(long number, ReadOnlySpan<byte> bytes)
    {
        var page = new BatPage(number);
        Span<ulong> entries = page._entries;
        MemoryMarshal.Cast<byte, ulong>(bytes[..VhdxFormat.PageSize]).CopyTo(entries);
        if (!BitConverter.IsLittleEndian)
            BinaryPrimitives.ReverseEndianness(entries, entries);
        page._isBlank = !entries.ContainsAnyExceptInRange(0UL, LargestBlank);
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
