namespace Godwit.Nbd.Server;

/// <summary>Meta contexts this server has. The bit of a context is its number on the wire.</summary>
[Flags]
internal enum StatusContexts : uint
{
    None = 0,

    /// <summary>base:allocation: hole and zero flags.</summary>
    Allocation = 1,

    /// <summary>godwit:layer: the index of the layer that decides what is read, 0 for the image that was opened.</summary>
    Layer = 2,

    All = Allocation | Layer,
}

/// <summary>Names of the contexts, and how queries match them.</summary>
internal static class StatusContextNames
{
    /// <summary>Contexts there are.</summary>
    public const int Count = 2;

    /// <summary>The context a bit stands for.</summary>
    public static StatusContexts At(int index) => (StatusContexts)(1u << index);

    /// <summary>The name on the wire.</summary>
    public static ReadOnlySpan<byte> Of(StatusContexts context) =>
        context == StatusContexts.Allocation ? "base:allocation"u8 : "godwit:layer"u8;

    /// <summary>What a query asks for.</summary>
    /// <param name="query">A full name, or "namespace:" for all of a namespace where wildcards are allowed.</param>
    /// <param name="wildcards">The query only lists; a choice has to name its contexts in full.</param>
    public static StatusContexts Match(ReadOnlySpan<byte> query, bool wildcards)
    {
        var matches = StatusContexts.None;
        for (var i = 0; i < Count; i++)
        {
            var name = Of(At(i));
            var space = name[..(name.IndexOf((byte)':') + 1)];
            if (query.SequenceEqual(name) || (wildcards && query.SequenceEqual(space)))
                matches |= At(i);
        }

        return matches;
    }
}
