namespace Godwit.Api.Disks;

/// <summary>A point in time since which the changes of a disk are marked.</summary>
/// <param name="Name">What it is called.</param>
/// <param name="Taken">When it was taken.</param>
/// <param name="ChangedBytes">Bytes that may have changed since, in whole granules; never too few.</param>
/// <param name="Lost">Why everything counts as changed; null while the marks are good.</param>
public sealed record DiskPoint(string Name, DateTimeOffset Taken, long ChangedBytes, string? Lost = null);

/// <summary>A point as asked for.</summary>
/// <param name="Name">What it is to be called: 1 to 64 letters, digits, dots, underscores and hyphens.</param>
public sealed record DiskPointSpec(string Name)
{
    /// <summary>Whether a point may be called so. Names travel in NBD contexts and on command lines.</summary>
    /// <param name="name">The name.</param>
    public static bool IsName(string? name) =>
        name is { Length: > 0 and <= 64 } && name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '_' or '-');
}
