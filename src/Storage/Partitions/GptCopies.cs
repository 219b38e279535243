namespace Godwit.Storage.Partitions;

/// <summary>The copies of a GUID partition table that can be used. At least one is there.</summary>
/// <param name="Primary">The one behind the MBR; null when it is damaged.</param>
/// <param name="Backup">The one at the end of the disk, or where it was before the disk grew; null when there is none.</param>
internal sealed record GptCopies(GptCopy? Primary, GptCopy? Backup)
{
    /// <summary>The one that counts.</summary>
    public GptCopy Current => Primary ?? Backup!;
}
