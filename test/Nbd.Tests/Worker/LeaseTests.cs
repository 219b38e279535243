using Godwit.Api.Disks;
using Godwit.Api.Workers;
using Godwit.Storage;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>A worker that serves only while its computer owns the VM.</summary>
[Collection(WorkerPrograms.Name)]
public sealed class LeaseTests
{
    private const long Size = 16 << 20;
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Fact(Timeout = 60_000)]
    public async Task A_lease_that_ends_holds_requests_in_this_worker_and_the_next_until_it_is_renewed()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        await using var device = await worker.ConnectAsync("disk0", _ct);
        await device.WriteAsync(0, new byte[4096], WriteFlags.None, _ct);
        Assert.Null((await worker.AskAsync(new RenewLease(4, 1), _ct)).Problem);
        await Task.Delay(20, _ct);
        var held = device.WriteAsync(0, new byte[4096], WriteFlags.None, _ct).AsTask();
        Assert.NotSame(held, await Task.WhenAny(held, Task.Delay(300, _ct)));
        Assert.Null((await worker.AskAsync(new RenewLease(4, 60_000), _ct)).Problem);
        await held;

        await worker.RestartAsync(_ct);
        await using var next = await worker.ConnectAsync("disk0", _ct);
        held = next.WriteAsync(0, new byte[4096], WriteFlags.None, _ct).AsTask();
        Assert.NotSame(held, await Task.WhenAny(held, Task.Delay(300, _ct)));
        await worker.AskAsync(new RenewLease(5, 60_000), _ct);
        await held;
        Assert.NotNull((await worker.AskAsync(new RenewLease(4, 60_000), _ct)).Problem);
    }

    [Fact(Timeout = 60_000)]
    public async Task Held_by_word_and_then_revoked_every_request_fails()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        await using var device = await worker.ConnectAsync("disk0", _ct);
        Assert.Null((await worker.AskAsync(new HoldDisks(), _ct)).Problem);
        var held = device.WriteAsync(0, new byte[4096], WriteFlags.None, _ct).AsTask();
        Assert.NotSame(held, await Task.WhenAny(held, Task.Delay(300, _ct)));
        Assert.Null((await worker.AskAsync(new RevokeLease("host b has it"), _ct)).Problem);
        Assert.Equal(StorageErrorKind.Closed, (await Assert.ThrowsAsync<StorageException>(() => held)).Kind);
        await Assert.ThrowsAsync<StorageException>(async () => await device.ReadAsync(0, new byte[4096], _ct));
    }

    [Theory(Timeout = 60_000)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_hold_and_a_revocation_outlive_the_worker_though_there_was_no_lease_before(bool revoked)
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        Assert.Null((await worker.AskAsync(revoked ? new RevokeLease("host b has it") : new HoldDisks(), _ct)).Problem);
        worker.KillWorker();
        await using var device = await worker.ConnectAsync("disk0", _ct);
        var held = device.WriteAsync(0, new byte[4096], WriteFlags.None, _ct).AsTask();
        Assert.NotSame(held, await Task.WhenAny(held, Task.Delay(300, _ct)));
        Assert.Null((await worker.AskAsync(new RenewLease(1, 60_000), _ct)).Problem);
        await held;
    }

    [Fact(Timeout = 60_000)]
    public async Task A_move_keeps_limits_cache_mode_and_the_need_of_a_lease()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx");
        var before = worker.Read().Disks[0];
        await worker.AskAsync(new LimitDisk("disk0", new DiskLimitSpec(RequestsPerSecond: 5000)), _ct);
        await worker.AskAsync(new RenewLease(1, 60_000), _ct);
        var job = Guid.NewGuid();
        await worker.AskAsync(new StartMirror("disk0", job, worker.File("moved.vhdx"), null), _ct);
        await worker.WaitForAsync(d => d.Mirror?.State == MirrorState.Verified, _ct);
        Assert.Null((await worker.AskAsync(new SwitchMirror("disk0", job), _ct)).Problem);
        var after = worker.Read().Disks[0];
        Assert.Equal((5000L, true, before.Disk.Cache, before.Disk.Name), (after.Limits?.RequestsPerSecond, after.Leased, after.Disk.Cache, after.Disk.Name));
        Assert.Equal(worker.File("moved.vhdx"), after.Disk.Path);
    }
}
