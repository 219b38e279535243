using System.Globalization;

namespace Godwit.Storage.Chains;

/// <summary>Whether a file is the parent that a child was made from, unchanged since.</summary>
internal static class ParentIdentity
{
    /// <summary>Compares what the child recorded with what the parent is.</summary>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.ParentMismatch"/>, unless it is to be ignored.</exception>
    public static void Check(ChainLayer child, ChainLayer parent, bool ignore)
    {
        if (Difference(child.Description.Parent!, parent) is string difference && !ignore)
        {
            throw new StorageException(
                StorageErrorKind.ParentMismatch,
                $"{parent.Path} is not the parent this file was made from, or it was changed since: {difference}",
                child.Path,
                operation: "open");
        }
    }

    /// <summary>What differs, or null.</summary>
    public static string? Difference(ParentLink link, ChainLayer parent)
    {
        var found = parent.Description;
        if (found.Linkage != link.Linkage && (link.Alternate is null || found.Linkage != link.Alternate))
            return $"the child recorded the identity {link.Linkage}, the file has {found.Linkage}";

        // A VHD's id stays when it is written to; its time stamp is all that tells. Zero: a writer that records none.
        if (link.Modified is not DateTimeOffset recorded || recorded == VhdEpoch || found.Modified is not DateTimeOffset now || recorded == now)
            return null;
        return parent.FileModified is DateTimeOffset written && IsFileTime(recorded, written)
            ? null
            : $"the child recorded the time stamp {Text(recorded)}, the file has {Text(now)}"
                + $"{(parent.FileModified is DateTimeOffset changed ? $" and was changed at {Text(changed)}" : "")};"
                + " when it is the right file all the same, \"disk set-parent --ignore-parent-mismatch\" records what it has now";
    }

    // VHD specification 1.0, "Hard Disk Footer Format": seconds since 2000 in UTC.
    private static DateTimeOffset VhdEpoch { get; } = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>"Parent Time Stamp" of the specification is when the parent's file was changed last, and most writers take that; some
    /// (and we) take the stamp in the parent's footer. Copies round to two seconds; Windows counts an hour less or more in summer.</summary>
    private static bool IsFileTime(DateTimeOffset recorded, DateTimeOffset written) =>
        Math.Abs((recorded - written).TotalSeconds) is <= 2 or (>= 3598 and <= 3602);

    private static string Text(DateTimeOffset time) => time.ToString("u", CultureInfo.InvariantCulture);
}
