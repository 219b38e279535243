namespace Godwit.Storage.Formats.Vhd;

/// <summary>The disk type in the footer.</summary>
internal enum VhdKind
{
    Fixed = 2,
    Dynamic = 3,
    Differencing = 4,
}
