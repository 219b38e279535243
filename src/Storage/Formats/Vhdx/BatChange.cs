namespace Godwit.Storage.Formats.Vhdx;

/// <summary>A block's new entry in the table.</summary>
internal readonly record struct BatChange(long Block, BatEntry Entry);
