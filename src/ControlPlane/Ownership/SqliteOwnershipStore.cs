using Godwit.ControlPlane.Store;

namespace Godwit.ControlPlane.Ownership;

/// <summary>Ownership records of a standalone host.</summary>
/// <param name="database">The host's store.</param>
public sealed class SqliteOwnershipStore(Database database) : IOwnershipStore
{
    private const string Match = " WHERE vm = $vm AND owner = $owner AND generation = $generation AND phase = $phase";

    /// <inheritdoc/>
    public Task<OwnershipRecord?> ReadAsync(Guid vm, CancellationToken cancellationToken)
    {
        var rows = database.Query(
            "SELECT owner, generation, phase FROM ownership WHERE vm = $vm",
            row => new OwnershipRecord(vm, row.GetString(0), row.GetInt64(1), (OwnershipPhase)row.GetInt32(2)),
            ("$vm", Key(vm)));
        return Task.FromResult(rows.Count == 0 ? null : rows[0]);
    }

    /// <inheritdoc/>
    public Task<bool> TryCreateAsync(OwnershipRecord record, CancellationToken cancellationToken) =>
        Task.FromResult(database.Execute(
            "INSERT OR IGNORE INTO ownership (vm, owner, generation, phase) VALUES ($vm, $owner, $generation, $phase)",
            ("$vm", Key(record.Vm)), ("$owner", record.Owner), ("$generation", record.Generation), ("$phase", (int)record.Phase)) == 1);

    /// <inheritdoc/>
    public Task<bool> TryReplaceAsync(OwnershipRecord expected, OwnershipRecord next, CancellationToken cancellationToken)
    {
        if (expected.Vm != next.Vm || next.Generation < expected.Generation)
        {
            throw new ArgumentException("An ownership record keeps its VM and its generation never falls.", nameof(next));
        }
        return Task.FromResult(database.Execute(
            "UPDATE ownership SET owner = $newOwner, generation = $newGeneration, phase = $newPhase" + Match,
            ("$newOwner", next.Owner), ("$newGeneration", next.Generation), ("$newPhase", (int)next.Phase),
            ("$vm", Key(expected.Vm)), ("$owner", expected.Owner),
            ("$generation", expected.Generation), ("$phase", (int)expected.Phase)) == 1);
    }

    /// <inheritdoc/>
    public Task<bool> TryDeleteAsync(OwnershipRecord expected, CancellationToken cancellationToken) =>
        Task.FromResult(database.Execute(
            "DELETE FROM ownership" + Match,
            ("$vm", Key(expected.Vm)), ("$owner", expected.Owner),
            ("$generation", expected.Generation), ("$phase", (int)expected.Phase)) == 1);

    private static string Key(Guid vm) => vm.ToString("D");
}
