namespace Godwit.Nbd.Server;

/// <summary>Meta contexts of a session. The bit of a context is its number on the wire.</summary>
[Flags]
internal enum StatusContexts : uint
{
    None = 0,

    /// <summary>base:allocation: hole and zero flags.</summary>
    Allocation = 1,

    /// <summary>godwit:layer: the index of the layer that decides what is read, 0 for the image that was opened.</summary>
    Layer = 2,

    /// <summary>godwit:dirty:NAME of the first point; the others follow.</summary>
    FirstPoint = 4,
}
