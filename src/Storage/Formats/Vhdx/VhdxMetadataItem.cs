namespace Godwit.Storage.Formats.Vhdx;

/// <summary>A metadata item that belongs to the virtual disk and that nobody here knows.</summary>
/// <param name="Id">What it is.</param>
/// <param name="IsUser">The user has put it there.</param>
/// <param name="Bytes">All of it; may be empty.</param>
/// <remarks>[MS-VHDX] section 2.6.1.2, IsVirtualDisk: a new differencing disk takes such items over from its parent.</remarks>
internal sealed record VhdxMetadataItem(Guid Id, bool IsUser, byte[] Bytes);
