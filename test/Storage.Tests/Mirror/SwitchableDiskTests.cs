using Godwit.Storage.Mirror;
using Godwit.Testing;
using Godwit.Testing.Disks;
using Xunit;

namespace Godwit.Storage.Tests.Mirror;

public sealed class SwitchableDiskConformance : DiskConformance
{
    protected override ValueTask<DiskUnderTest> CreateAsync(long size) =>
        new(new DiskUnderTest(new SwitchableDisk(new ReferenceDisk(size))));
}

public sealed class SwitchableDiskTests
{
    private const int Size = 1 << 20;
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact(Timeout = 30_000)]
    public async Task Requests_that_come_while_it_is_closed_wait_and_go_to_the_new_device()
    {
        var second = new ReferenceDisk(Size);
        await using var disk = new SwitchableDisk(new ReferenceDisk(Size));
        var waiting = new List<Task>();
        await disk.ReplaceAsync((_, _) =>
        {
            for (var i = 0; i < 100; i++)
                waiting.Add(disk.WriteAsync(i * 4096, Filled(i + 1), WriteFlags.None, None).AsTask());
            Assert.DoesNotContain(waiting, task => task.IsCompleted);
            return new(second);
        }, None);
        await Task.WhenAll(waiting);
        Assert.Same(second, disk.Current);
        for (var i = 0; i < 100; i++)
            Assert.Equal(i + 1, second.ToArray()[i * 4096]);
    }

    [Fact(Timeout = 30_000)]
    public async Task Waiting_requests_go_on_in_order_of_arrival()
    {
        var order = new List<int>();
        var released = new List<IThreadPoolWorkItem>();
        var gate = new RequestGate(released.Add);
        await gate.CloseAsync(None);
        for (var i = 0; i < 50; i++)
        {
            Assert.False(gate.TryEnter());
            _ = EnterAsync(i);
        }

        gate.Open();
        foreach (var waiter in released)
            waiter.Execute();
        Assert.Equal(Enumerable.Range(0, 50), order);
        var closed = gate.CloseAsync(None);
        Assert.True(closed.IsCompletedSuccessfully, "somebody is still counted as inside");

        async Task EnterAsync(int number)
        {
            await gate.WaitAsync(None).ConfigureAwait(false);
            order.Add(number);
            gate.Exit();
        }
    }

    [Fact(Timeout = 30_000)]
    public async Task Several_disks_are_exchanged_at_one_instant()
    {
        ReferenceDisk[] olds = [new(Size), new(Size)], news = [new(Size), new(Size)];
        await using var first = new SwitchableDisk(olds[0]);
        await using var second = new SwitchableDisk(olds[1]);
        var waiting = new List<Task>();
        await SwitchableDisk.ReplaceAllAsync(
            [first, second],
            current =>
            {
                Assert.Equal(olds, current);
                waiting.Add(first.WriteAsync(0, Filled(1), WriteFlags.None, None).AsTask());
                waiting.Add(second.WriteAsync(0, Filled(2), WriteFlags.None, None).AsTask());
                Assert.DoesNotContain(waiting, task => task.IsCompleted);
                return new(news);
            },
            None);
        await Task.WhenAll(waiting);
        Assert.Equal((1, 2, 0, 0), (news[0].ToArray()[0], news[1].ToArray()[0], olds[0].ToArray()[0], olds[1].ToArray()[0]));
    }

    [Fact(Timeout = 30_000)]
    public async Task When_one_disk_does_not_fit_or_the_exchange_throws_all_old_ones_stay_and_go_on()
    {
        var (old, other) = (new ReferenceDisk(Size), new ReferenceDisk(Size));
        await using var first = new SwitchableDisk(old);
        await using var second = new SwitchableDisk(other);
        await Assert.ThrowsAsync<StorageException>(async () => await SwitchableDisk.ReplaceAllAsync(
            [first, second], _ => new([new ReferenceDisk(Size), new ReferenceDisk(2 * Size)]), None));
        await Assert.ThrowsAsync<TimeoutException>(async () => await SwitchableDisk.ReplaceAllAsync([first, second], _ => throw new TimeoutException(), None));
        using var cancelled = new CancellationTokenSource();
        await using var slow = new HeldDisk(Size);
        await using var third = new SwitchableDisk(slow);
        var held = third.WriteAsync(0, Filled(3), WriteFlags.None, None).AsTask();
        var waiting = SwitchableDisk.ReplaceAllAsync([first, third], _ => throw new TimeoutException(), cancelled.Token).AsTask();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        slow.Release();
        await held;
        await first.WriteAsync(0, Filled(1), WriteFlags.None, None);
        await second.WriteAsync(0, Filled(2), WriteFlags.None, None);
        Assert.Equal((1, 2), (old.ToArray()[0], other.ToArray()[0]));
    }

    [Fact(Timeout = 30_000)]
    public async Task An_exchange_waits_for_requests_under_way()
    {
        await using var slow = new HeldDisk(Size);
        await using var disk = new SwitchableDisk(slow);
        var write = disk.WriteAsync(0, Filled(7), WriteFlags.None, None).AsTask();
        var exchanged = false;
        var replacing = disk.ReplaceAsync((_, _) =>
        {
            exchanged = true;
            return new(new ReferenceDisk(Size));
        }, None).AsTask();
        await Task.Delay(30, None);
        Assert.False(exchanged);
        slow.Release();
        await write;
        await replacing;
        Assert.True(exchanged);
    }

    [Fact(Timeout = 30_000)]
    public async Task When_the_exchange_throws_the_old_device_goes_on()
    {
        var first = new ReferenceDisk(Size);
        await using var disk = new SwitchableDisk(first);
        Task waiting = Task.CompletedTask;
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await disk.ReplaceAsync((_, _) =>
        {
            waiting = disk.WriteAsync(0, Filled(3), WriteFlags.None, None).AsTask();
            throw new InvalidOperationException("no");
        }, None));
        await waiting;
        Assert.Same(first, disk.Current);
        Assert.Equal(3, first.ToArray()[0]);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_cancelled_exchange_opens_the_gate_again()
    {
        await using var slow = new HeldDisk(Size);
        await using var disk = new SwitchableDisk(slow);
        var write = disk.WriteAsync(0, Filled(7), WriteFlags.None, None).AsTask();
        using var cancel = new CancellationTokenSource();
        var replacing = disk.ReplaceAsync((old, _) => new(old), cancel.Token).AsTask();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => replacing);
        await disk.ReadAsync(0, new byte[512], None);
        slow.Release();
        await write;
    }

    [Fact(Timeout = 30_000)]
    public async Task A_waiting_request_can_be_cancelled_and_leaves_nothing_behind()
    {
        await using var disk = new SwitchableDisk(new ReferenceDisk(Size));
        using var cancel = new CancellationTokenSource();
        Task waiting = Task.CompletedTask;
        await disk.ReplaceAsync(async (old, _) =>
        {
            waiting = disk.WriteAsync(0, Filled(3), WriteFlags.None, cancel.Token).AsTask();
            await cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
            return old;
        }, None);

        // Would wait for ever for a request that is counted but not there.
        await disk.ReplaceAsync((old, _) => new(old), None);
    }

    [Theory(Timeout = 30_000)]
    [InlineData(Size + 4096, 512, false)]
    [InlineData(Size, 4096, false)]
    [InlineData(Size, 512, true)]
    public async Task A_device_that_does_not_fit_is_refused(int size, int sector, bool readOnly)
    {
        var first = new ReferenceDisk(Size);
        await using var disk = new SwitchableDisk(first);
        var next = new ReferenceDisk(size, DiskCapabilities.Default with { SectorSize = sector, ReadOnly = readOnly });
        var refused = await Assert.ThrowsAsync<StorageException>(async () => await disk.ReplaceAsync((_, _) => new(next), None));
        Assert.Equal(StorageErrorKind.InvalidRequest, refused.Kind);
        Assert.Same(first, disk.Current);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_promise_that_trim_zeroes_is_kept_by_a_device_that_ignores_trim()
    {
        await using var disk = new SwitchableDisk(new ReferenceDisk(Size));
        await disk.ReplaceAsync((_, _) => new(new ReferenceDisk(Size, DiskCapabilities.Default with { Trim = TrimResult.Ignored })), None);
        await disk.WriteAsync(0, Filled(3), WriteFlags.None, None);
        await disk.TrimAsync(0, 4096, None);
        var read = new byte[4096];
        await disk.ReadAsync(0, read, None);
        Assert.False(read.AsSpan().ContainsAnyExcept((byte)0));
    }

    [Fact(Timeout = 60_000)]
    public async Task Exchanges_under_load_lose_no_acknowledged_write()
    {
        // Each exchange copies everything while the gate is closed: a write that slips past it would be missing at the end.
        await using var disk = new SwitchableDisk(new ReferenceDisk(Size));
        var stop = false;
        var last = new int[4];
        var writers = Enumerable.Range(0, 4).Select(writer => Task.Run(async () =>
        {
            for (var i = 1; !Volatile.Read(ref stop); i++)
            {
                var record = BitConverter.GetBytes(i).Concat(new byte[508]).ToArray();
                await disk.WriteAsync(((i % 100) * 2048) + (writer * 512), record, WriteFlags.None, None);
                last[writer] = i;
            }
        })).ToArray();
        for (var round = 0; round < 300; round++)
        {
            await disk.ReplaceAsync(async (old, token) =>
            {
                var next = new ReferenceDisk(Size);
                await next.WriteAsync(0, ((ReferenceDisk)old).ToArray(), WriteFlags.None, token);
                return next;
            }, None);
            await Task.Yield();
        }

        Volatile.Write(ref stop, true);
        await Task.WhenAll(writers);
        var content = ((ReferenceDisk)disk.Current).ToArray();
        for (var writer = 0; writer < 4; writer++)
        {
            for (var i = last[writer]; i > Math.Max(0, last[writer] - 100); i--)
                Assert.Equal(i, BitConverter.ToInt32(content, ((i % 100) * 2048) + (writer * 512)));
        }
    }

    [Fact(Timeout = 30_000)]
    public async Task Requests_allocate_nothing()
    {
        await using var disk = new SwitchableDisk(new ReferenceDisk(Size));
        var buffer = new byte[4096];
        Assert.Equal(0, Allocations.InSteadyState(() =>
        {
            for (var i = 0; i < 5000; i++)
            {
                Assert.True(disk.WriteAsync(i % 200 * 4096, buffer, WriteFlags.None, None).IsCompletedSuccessfully);
                Assert.True(disk.ReadAsync(i % 200 * 4096, buffer, None).IsCompletedSuccessfully);
            }
        }));
    }

    private static byte[] Filled(int value)
    {
        var bytes = new byte[4096];
        Array.Fill(bytes, (byte)value);
        return bytes;
    }

    /// <summary>Holds writes until it is told to let them go.</summary>
    private sealed class HeldDisk(long size) : DelegatingBlockDevice(new ReferenceDisk(size))
    {
        private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Release() => _released.TrySetResult();

        protected override async ValueTask WriteCoreAsync(
            long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
        {
            await _released.Task;
            await base.WriteCoreAsync(offset, buffer, flags, cancellationToken);
        }
    }
}
