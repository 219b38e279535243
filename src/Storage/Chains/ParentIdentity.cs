using System.Globalization;
using Godwit.Storage.Formats;

namespace Godwit.Storage.Chains;

/// <summary>Whether a file is the parent that a child was made from, unchanged since.</summary>
internal static class ParentIdentity
{
    /// <summary>Compares what the child recorded with what the parent is.</summary>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.ParentMismatch"/>, unless it is to be ignored.</exception>
    public static void Check(ChainLayer child, ChainLayer parent, bool ignore)
    {
        if (Difference(child.Description.Parent!, parent.Description) is string difference && !ignore)
        {
            throw new StorageException(
                StorageErrorKind.ParentMismatch,
                $"{parent.Path} is not the parent this file was made from, or it was changed since: {difference}",
                child.Path,
                operation: "open");
        }
    }

    /// <summary>What differs, or null.</summary>
    public static string? Difference(ParentLink link, ImageDescription parent)
    {
        if (parent.Linkage != link.Linkage && (link.Alternate is null || parent.Linkage != link.Alternate))
            return $"the child recorded the identity {link.Linkage}, the file has {parent.Linkage}";

        // A VHD's id stays when it is written to; its time stamp is all that tells. Zero: a writer that records none.
        if (link.Modified is DateTimeOffset recorded && recorded != VhdEpoch && parent.Modified is DateTimeOffset now && recorded != now)
            return $"the child recorded the time stamp {Text(recorded)}, the file has {Text(now)}";
        return null;
    }

    // VHD specification 1.0, "Hard Disk Footer Format": seconds since 2000 in UTC.
    private static DateTimeOffset VhdEpoch { get; } = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static string Text(DateTimeOffset time) => time.ToString("u", CultureInfo.InvariantCulture);
}
