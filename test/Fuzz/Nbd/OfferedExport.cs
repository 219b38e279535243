namespace Godwit.Fuzz.Nbd;

/// <summary>An export as a client is to see it.</summary>
/// <param name="Name">What it is asked for by.</param>
/// <param name="Size">Its size when the session begins.</param>
/// <param name="MaxSize">As large as it gets; its size where it may not be resized.</param>
/// <param name="Contexts">Names of its contexts; the bit of each is its number on the wire.</param>
internal sealed record OfferedExport(string Name, long Size, long MaxSize, IReadOnlyList<string> Contexts)
{
    /// <summary>A point at which nothing had changed yet.</summary>
    public const string FirstPoint = "godwit:dirty:first";

    /// <summary>A point since which everything has changed.</summary>
    public const string LostPoint = "godwit:dirty:lost";

    /// <summary>RESIZE is offered.</summary>
    public bool Resizable => MaxSize > Size;

    /// <summary>The contexts a query is for.</summary>
    public uint Match(string query, bool lists)
    {
        var found = 0u;
        for (var i = 0; i < Contexts.Count; i++)
        {
            if (query == Contexts[i] || (lists && query.EndsWith(':') && Contexts[i].StartsWith(query, StringComparison.Ordinal)))
                found |= 1u << i;
        }

        return found;
    }
}
