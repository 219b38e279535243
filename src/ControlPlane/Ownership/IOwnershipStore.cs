namespace Godwit.ControlPlane.Ownership;

/// <summary>
/// Keeps ownership records. They change by compare-and-set only, so of two that decide at the same time exactly one wins.
/// A lost comparison is an expected outcome (false), not an error.
/// </summary>
/// <remarks>Thread-safe. A call that answered true is durable. One conformance suite holds for every implementation.</remarks>
public interface IOwnershipStore
{
    /// <summary>Reads the record, or null when there is none.</summary>
    Task<OwnershipRecord?> ReadAsync(Guid vm, CancellationToken cancellationToken);

    /// <summary>Adds the first record of a VM; false when it has one.</summary>
    Task<bool> TryCreateAsync(OwnershipRecord record, CancellationToken cancellationToken);

    /// <summary>Replaces <paramref name="expected"/> by <paramref name="next"/>; false when the store holds anything else.</summary>
    /// <exception cref="ArgumentException">The records name different VMs, or the generation would fall.</exception>
    Task<bool> TryReplaceAsync(OwnershipRecord expected, OwnershipRecord next, CancellationToken cancellationToken);

    /// <summary>Removes the record; false when the store holds anything but <paramref name="expected"/>.</summary>
    Task<bool> TryDeleteAsync(OwnershipRecord expected, CancellationToken cancellationToken);
}
