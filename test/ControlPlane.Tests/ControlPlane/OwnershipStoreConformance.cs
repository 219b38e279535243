using Godwit.ControlPlane.Ownership;
using Godwit.ControlPlane.Store;
using Xunit;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>What every ownership store must do. A new store derives from this and gives itself.</summary>
public abstract class OwnershipStoreConformance
{
    private static readonly OwnershipRecord First = new(Guid.NewGuid(), "a", 1, OwnershipPhase.Settled);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    protected abstract IOwnershipStore Store { get; }

    [Fact(Timeout = 20_000)]
    public async Task What_was_created_is_read_and_cannot_be_created_twice()
    {
        Assert.Null(await Store.ReadAsync(First.Vm, Token));
        Assert.True(await Store.TryCreateAsync(First, Token));
        Assert.False(await Store.TryCreateAsync(First with { Owner = "b" }, Token));
        Assert.Equal(First, await Store.ReadAsync(First.Vm, Token));
    }

    [Fact(Timeout = 20_000)]
    public async Task A_replacement_needs_every_field_to_match()
    {
        await Store.TryCreateAsync(First, Token);
        var next = First with { Owner = "b", Generation = 3, Phase = OwnershipPhase.Moving };
        Assert.False(await Store.TryReplaceAsync(First with { Owner = "x" }, next, Token));
        Assert.False(await Store.TryReplaceAsync(First with { Generation = 2 }, next, Token));
        Assert.False(await Store.TryReplaceAsync(First with { Phase = OwnershipPhase.Moving }, next, Token));
        Assert.Equal(First, await Store.ReadAsync(First.Vm, Token));
        Assert.True(await Store.TryReplaceAsync(First, next, Token));
        Assert.False(await Store.TryReplaceAsync(First, next, Token));
        Assert.Equal(next, await Store.ReadAsync(First.Vm, Token));
    }

    [Fact(Timeout = 20_000)]
    public async Task A_generation_never_falls_and_a_record_keeps_its_VM()
    {
        await Store.TryCreateAsync(First, Token);
        await Assert.ThrowsAsync<ArgumentException>(() => Store.TryReplaceAsync(First, First with { Generation = 0 }, Token));
        await Assert.ThrowsAsync<ArgumentException>(() => Store.TryReplaceAsync(First, First with { Vm = Guid.NewGuid() }, Token));
    }

    [Fact(Timeout = 20_000)]
    public async Task Nothing_replaces_what_does_not_exist()
    {
        Assert.False(await Store.TryReplaceAsync(First, First with { Generation = 2 }, Token));
        Assert.Null(await Store.ReadAsync(First.Vm, Token));
    }

    [Fact(Timeout = 20_000)]
    public async Task Only_what_is_expected_is_deleted()
    {
        await Store.TryCreateAsync(First, Token);
        Assert.False(await Store.TryDeleteAsync(First with { Generation = 2 }, Token));
        Assert.True(await Store.TryDeleteAsync(First, Token));
        Assert.False(await Store.TryDeleteAsync(First, Token));
        Assert.Null(await Store.ReadAsync(First.Vm, Token));
    }

    [Fact(Timeout = 20_000)]
    public async Task Of_many_that_compare_and_set_at_once_exactly_one_wins()
    {
        await Store.TryCreateAsync(First, Token);
        for (var round = 1L; round <= 20; round++)
        {
            var before = (await Store.ReadAsync(First.Vm, Token))!;
            var won = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(
                () => Store.TryReplaceAsync(before, before with { Owner = $"{round}/{i}", Generation = before.Generation + 1 }, Token))));
            Assert.Equal(1, won.Count(one => one));
            Assert.Equal(1 + round, (await Store.ReadAsync(First.Vm, Token))!.Generation);
        }
    }
}

public sealed class SqliteOwnershipStoreTests : OwnershipStoreConformance, IDisposable
{
    private readonly Database _database = Database.Open(":memory:");

    protected override IOwnershipStore Store => new SqliteOwnershipStore(_database);

    public void Dispose() => _database.Dispose();
}
