namespace Godwit.Storage.Limits;

/// <summary>How much a disk may be used.</summary>
/// <param name="RequestsPerSecond">Requests of up to 8 KiB per second, above zero; a longer one counts as so many of them, as Hyper-V's
/// MaximumIOPS does. Null for no limit.</param>
/// <param name="BytesPerSecond">Bytes read and written per second, above zero; null for no limit.</param>
public sealed record DiskLimits(long? RequestsPerSecond, long? BytesPerSecond)
{
    /// <summary>No limit.</summary>
    public static DiskLimits None { get; } = new(null, null);
}
