namespace Godwit.Storage.Partitions;

/// <summary>One partition of a disk.</summary>
/// <param name="Number">As Linux counts: from 1 by its place in the table; logical partitions from 5.</param>
/// <param name="Start">First byte on the disk.</param>
/// <param name="Length">Bytes; may reach past the end of the disk when the table is wrong or the disk was cut.</param>
/// <param name="Type">GPT: the type's GUID; MBR: two hexadecimal digits.</param>
/// <param name="Name">The name in the table; null when it has none (always for MBR).</param>
/// <param name="IsContainer">An extended partition, which only holds the logical ones.</param>
public sealed record Partition(int Number, long Start, long Length, string Type, string? Name = null, bool IsContainer = false)
{
    /// <summary>First byte behind it.</summary>
    public long End => Start + Length;

    /// <summary>What the type stands for, for messages; null when it is not a common one.</summary>
    public string? TypeName => PartitionTypes.NameOf(Type);

    /// <summary>For messages: "partition 2 (Linux, "root")".</summary>
    public override string ToString()
    {
        var more = string.Join(", ", new[] { TypeName, Name is null ? null : $"\"{Name}\"" }.Where(part => part is not null));
        return more.Length == 0 ? $"partition {Number}" : $"partition {Number} ({more})";
    }
}
