namespace Godwit.Storage.Formats.Vhdx;

/// <summary>
/// Watches over a table that was not examined as a whole: no page gets in whose blocks overlap anything known so far.
/// </summary>
/// <remarks>Not thread-safe: the table's gate protects it.</remarks>
/// <param name="claims">Who owns what; header section, log and regions to begin with.</param>
internal sealed class BatSentry(FileClaims claims)
{
    private readonly HashSet<long> _admitted = [];

    /// <summary>Claims the places of a page's blocks; when one is taken, claims nothing and says what is wrong.</summary>
    public string? Admit(VhdxGeometry geometry, BatPage page, out long? at)
    {
        at = null;
        if (!_admitted.Add(page.Number) || page.IsBlank)
            return null;
        var first = page.Number << BatPage.Shift;
        var count = (int)Math.Min(BatPage.EntryCount, geometry.EntryCount - first);
        for (var index = 0; index < count; index++)
        {
            var owned = BatEntryRules.OwnedLength(geometry, first + index, page[index]);
            if (owned == 0 || claims.TryClaim(page[index].Offset, owned, out var taken))
                continue;
            for (var undo = 0; undo < index; undo++)
                claims.Release(page[undo].Offset, BatEntryRules.OwnedLength(geometry, first + undo, page[undo]));
            _admitted.Remove(page.Number);
            at = first + index;
            return $"{BatEntryRules.NameOf(geometry, first + index)} at {page[index].Offset} overlaps another block, a region or the log at {taken};"
                + " a check of the image names both";
        }

        return null;
    }

    /// <summary>An entry of an admitted page has changed.</summary>
    public void Replace(VhdxGeometry geometry, long index, BatEntry old, BatEntry entry)
    {
        claims.Release(old.Offset, BatEntryRules.OwnedLength(geometry, index, old));
        claims.Claim(entry.Offset, BatEntryRules.OwnedLength(geometry, index, entry));
    }
}
