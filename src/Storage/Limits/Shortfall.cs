namespace Godwit.Storage.Limits;

/// <summary>A disk wants the requests per second it was promised and does not get them.</summary>
/// <param name="RequestsPerSecond">What it got in the last five seconds or so, in requests of up to 8 KiB.</param>
/// <param name="Since">Since when it gets too few.</param>
public sealed record Shortfall(long RequestsPerSecond, DateTimeOffset Since);
