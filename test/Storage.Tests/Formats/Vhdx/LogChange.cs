namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>What a log entry made by hand changes.</summary>
/// <param name="FileOffset">Where.</param>
/// <param name="Fill">Every byte of the page; null for a range of zeroes.</param>
/// <param name="ZeroLength">Bytes of that range.</param>
internal sealed record LogChange(long FileOffset, byte? Fill, long ZeroLength = 0);
