namespace Godwit.Storage.Formats.Vhd;

/// <summary>Sectors that have their bytes but do not count yet.</summary>
/// <param name="Block">The block.</param>
/// <param name="Place">Its place.</param>
/// <param name="InBlock">First byte within the block.</param>
/// <param name="Length">Bytes.</param>
/// <param name="IsNew">The place is not in the table yet.</param>
internal readonly record struct VhdPending(long Block, long Place, long InBlock, long Length, bool IsNew);
