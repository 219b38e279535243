namespace Godwit.Api.Disks;

/// <summary>How much a disk may be used; kept by its worker until it is changed.</summary>
/// <param name="RequestsPerSecond">Requests of up to 8 KiB per second, above zero; a longer one counts as so many of them. Null for no limit.</param>
/// <param name="BytesPerSecond">Bytes read and written per second, above zero; null for no limit.</param>
public sealed record DiskLimitSpec(long? RequestsPerSecond = null, long? BytesPerSecond = null);
