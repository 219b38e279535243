namespace Godwit.Storage.Formats.Vhdx;

/// <summary>A new entry of the table, and the bits that change with it.</summary>
/// <param name="Index">Which entry of the table.</param>
/// <param name="Entry">What it becomes; may be what it is already.</param>
/// <param name="Bits">For a partially present block: the bits that change in the same log entry.</param>
/// <param name="OverParent">Bytes of the file become visible where the parent's were: they must be stable before this is.</param>
internal readonly record struct BatChange(long Index, BatEntry Entry, BitmapChange? Bits = null, bool OverParent = false);

/// <summary>Sectors that become the file's own, and sectors around them that become the parent's.</summary>
/// <param name="SetFrom">First sector of the disk whose bit is set.</param>
/// <param name="SetTo">The sector after the last one.</param>
/// <param name="From">First sector whose bit is made right: all from here that are not set are cleared.</param>
/// <param name="To">The sector after the last one.</param>
internal readonly record struct BitmapChange(long SetFrom, long SetTo, long From, long To)
{
    /// <summary>Sets bits and leaves the others alone.</summary>
    public static BitmapChange Set(long from, long to) => new(from, to, from, to);

    /// <summary>Pages of the bitmaps it concerns.</summary>
    public int PageCount => (int)(((To - 1) >> BitmapPage.Shift) - (From >> BitmapPage.Shift) + 1);
}
