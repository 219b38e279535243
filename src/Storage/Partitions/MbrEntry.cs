namespace Godwit.Storage.Partitions;

/// <summary>One entry of an MBR or EBR: 16 bytes.</summary>
/// <param name="Status">0x80 for the active one, else 0.</param>
/// <param name="Type">0 for an unused entry.</param>
/// <param name="Start">First sector; in an EBR relative.</param>
/// <param name="Count">Sectors.</param>
internal readonly record struct MbrEntry(byte Status, byte Type, uint Start, uint Count)
{
    /// <summary>It describes something.</summary>
    public bool IsUsed => Type != 0 && Count != 0;

    /// <summary>It holds logical partitions.</summary>
    public bool IsExtended => Type is 0x05 or 0x0f or 0x85;

    /// <summary>It says that the disk has a GUID partition table.</summary>
    public bool IsProtective => Type == 0xee;
}
