using CsCheck;
using Godwit.Storage.Locking;
using Godwit.Testing;
using Xunit;

namespace Godwit.Storage.Tests.Locking;

public sealed class RangeLockTests
{
    private readonly RangeLock _lock = new();

    [Fact(Timeout = 10_000)]
    public async Task Ranges_that_do_not_overlap_are_held_together()
    {
        using var first = await _lock.AcquireAsync(0, 512, CancellationToken.None);
        using var second = await _lock.AcquireAsync(512, 512, CancellationToken.None);
        Assert.False(_lock.AcquireAsync(511, 2, CancellationToken.None).IsCompleted);
    }

    [Fact(Timeout = 10_000)]
    public async Task Disposing_a_holder_twice_does_not_let_two_in()
    {
        var first = await _lock.AcquireAsync(0, 512, CancellationToken.None);
        first.Dispose();
        using var second = await _lock.AcquireAsync(0, 512, CancellationToken.None);
        first.Dispose();
        Assert.False(_lock.AcquireAsync(0, 512, CancellationToken.None).IsCompleted);
    }

    [Fact(Timeout = 10_000)]
    public async Task A_later_request_does_not_overtake_a_waiter_it_overlaps()
    {
        var holder = await _lock.AcquireAsync(0, 10, CancellationToken.None);
        var wide = _lock.AcquireAsync(5, 10, CancellationToken.None).AsTask();
        var narrow = _lock.AcquireAsync(12, 1, CancellationToken.None).AsTask();
        Assert.False(narrow.IsCompleted);

        holder.Dispose();
        Assert.True(wide.IsCompleted);
        Assert.False(narrow.IsCompleted);
        (await wide).Dispose();
        Assert.True(narrow.IsCompleted);
    }

    [Fact(Timeout = 10_000)]
    public async Task A_cancelled_waiter_lets_those_behind_it_in()
    {
        using var holder = await _lock.AcquireAsync(0, 10, CancellationToken.None);
        using var cancel = new CancellationTokenSource();
        var cancelled = _lock.AcquireAsync(5, 10, cancel.Token).AsTask();
        var behind = _lock.AcquireAsync(12, 1, CancellationToken.None).AsTask();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        Assert.True(behind.IsCompleted);
    }

    [Fact(Timeout = 10_000)]
    public async Task Who_does_not_want_to_wait_gets_only_what_nobody_has_and_nobody_waits_for()
    {
        Assert.True(_lock.TryAcquire(0, 10, out var holder));
        Assert.False(_lock.TryAcquire(9, 1, out _));
        var waiting = _lock.AcquireAsync(5, 10, CancellationToken.None).AsTask();
        Assert.False(_lock.TryAcquire(14, 1, out _));
        Assert.True(_lock.TryAcquire(15, 1, out var behind));
        behind.Dispose();
        holder.Dispose();
        (await waiting).Dispose();
        Assert.True(_lock.TryAcquire(0, 20, out _));
        Assert.False(_lock.AcquireAsync(0, 1, CancellationToken.None).IsCompleted);
    }

    [Fact(Timeout = 10_000)]
    public async Task An_empty_range_is_granted_inside_a_held_one()
    {
        using var holder = await _lock.AcquireAsync(0, 10, CancellationToken.None);
        var empty = _lock.AcquireAsync(5, 0, CancellationToken.None);
        Assert.True(empty.IsCompleted);
        (await empty).Dispose();
        Assert.False(_lock.AcquireAsync(5, 1, CancellationToken.None).IsCompleted);
    }

    [Fact]
    public void A_range_that_is_negative_or_too_far_is_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => _lock.AcquireAsync(-1, 1, CancellationToken.None));
        Assert.Throws<ArgumentOutOfRangeException>(() => _lock.AcquireAsync(0, -1, CancellationToken.None));
        Assert.Throws<ArgumentOutOfRangeException>(() => _lock.AcquireAsync(2, long.MaxValue - 1, CancellationToken.None));
    }

    [Fact]
    public void Taking_a_free_range_allocates_nothing() =>
        Assert.Equal(0, Allocations.InSteadyState(() => TakeMany(10_000)));

    [Fact]
    public void Any_sequence_grants_exactly_what_the_rule_says() =>
        Gen.Select(Gen.Int[0, 3], Gen.Int[0, 40], Gen.Int[1, 12]).List[1, 60].Sample(RangeLockModel.Check, iter: 2_000);

    [Theory(Timeout = 30_000)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Many_threads_never_share_a_byte_and_all_get_in(int seed)
    {
        const int Workers = 6;
        const int Rounds = 4_000;
        var inside = new int[64];
        var served = 0;
        await Task.WhenAll(Enumerable.Range(0, Workers).Select(worker => Task.Run(async () =>
        {
            var random = new Random((seed * 100) + worker);
            for (var round = 0; round < Rounds; round++)
            {
                var start = random.Next(inside.Length);
                var length = random.Next(1, Math.Min(8, inside.Length - start) + 1);
                using var holder = await _lock.AcquireAsync(start, length, CancellationToken.None);
                foreach (ref var count in inside.AsSpan(start, length))
                    Assert.Equal(1, Interlocked.Increment(ref count));
                if (random.Next(8) == 0)
                    await Task.Yield();
                foreach (ref var count in inside.AsSpan(start, length))
                    Interlocked.Decrement(ref count);
                Interlocked.Increment(ref served);
            }
        })));
        Assert.Equal(Workers * Rounds, served);
    }

    private void TakeMany(int count)
    {
        for (var i = 0; i < count; i++)
        {
            using var a = _lock.AcquireAsync(i, 4096, CancellationToken.None).Result;
            using var b = _lock.AcquireAsync(1 << 20, 4096, CancellationToken.None).Result;
        }
    }
}
