using Godwit.Nbd.Remote;
using Godwit.Nbd.Tests.Nbd;
using Godwit.Storage;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Nbd.Tests.Remote;

/// <summary>Several connections to our own server behave like any other disk.</summary>
public sealed class RemoteDiskConformance : DiskConformance, IAsyncDisposable
{
    private readonly List<ServerUnderTest> _servers = [];

    protected override int Sequences => 10;

    protected override string? AllocatesBecause => "every request crosses a socket";

    public async ValueTask DisposeAsync()
    {
        foreach (var server in _servers)
            await server.DisposeAsync();
    }

    protected override async ValueTask<DiskUnderTest> CreateAsync(long size)
    {
        var disk = new ReferenceDisk(size);
        var server = new ServerUnderTest(null, new NbdExport("disk", disk), new NbdExport("reader", disk) { ReadOnly = true });
        _servers.Add(server);
        var epoch = 0;
        return new DiskUnderTest(
            await OpenAsync("disk"), async readOnly => await OpenAsync(readOnly ? "reader" : "disk"));

        async Task<BlockDevice> OpenAsync(string export) =>
            await RemoteDisk.ConnectAsync(new RemoteDiskOptions(server.EndPoint, export, ++epoch), CancellationToken.None);
    }
}

public sealed class RemoteDiskTests : IAsyncDisposable
{
    private const int Size = 1 << 20;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly GatedDisk _disk = new(Size);
    private readonly ServerUnderTest _server;
    private readonly BreakableLink _link;

    public RemoteDiskTests()
    {
        _server = new ServerUnderTest(_disk);
        _link = new BreakableLink(_server.EndPoint);
    }

    private RemoteDiskOptions Options => new(_link.EndPoint, "disk", 1)
    {
        SilenceLimit = TimeSpan.FromMilliseconds(200),
        FirstRetryAfter = TimeSpan.FromMilliseconds(5),
        ConnectLimit = TimeSpan.FromSeconds(5),
    };

    public async ValueTask DisposeAsync()
    {
        await _link.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Fact(Timeout = 30_000)]
    public async Task A_cut_link_fails_what_is_on_its_way_and_comes_back_after_whoever_wants_to_know_was_told()
    {
        await using var disk = await RemoteDisk.ConnectAsync(Options, None);
        var (told, go) = (new TaskCompletionSource(), new TaskCompletionSource());
        disk.FoundAgain = () =>
        {
            told.SetResult();
            return go.Task;
        };
        var gate = _disk.HoldReads();
        var reading = disk.ReadAsync(0, new byte[4096], None).AsTask();
        while (_disk.Waiting == 0)
            await Task.Delay(5, None);
        _link.Cut();
        Assert.Equal(StorageErrorKind.Unreachable, (await Assert.ThrowsAsync<StorageException>(() => reading)).Kind);
        Assert.NotNull(disk.Trouble);
        gate.SetResult();
        _disk.Open();
        _link.Mend();
        await told.Task;
        Assert.Equal(StorageErrorKind.Unreachable, (await Assert.ThrowsAsync<StorageException>(async () => await disk.ReadAsync(0, new byte[512], None))).Kind);
        go.SetResult();
        await UntilReachableAsync(disk);
        await disk.WriteAsync(0, new byte[4096], WriteFlags.None, None);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_silent_link_is_taken_for_broken_but_an_idle_one_is_not()
    {
        await using var disk = await RemoteDisk.ConnectAsync(Options, None);
        await Task.Delay(600, None);
        var before = _link.Accepted;
        await disk.ReadAsync(0, new byte[4096], None);
        Assert.Equal(before, _link.Accepted);
        _link.Silence();
        Assert.Equal(
            StorageErrorKind.Unreachable, (await Assert.ThrowsAsync<StorageException>(async () => await disk.ReadAsync(0, new byte[512], None))).Kind);
        _link.Mend();
        await UntilReachableAsync(disk);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_link_that_broke_while_nobody_asked_is_noticed()
    {
        await using var disk = await RemoteDisk.ConnectAsync(Options, None);
        var told = new TaskCompletionSource();
        disk.FoundAgain = () =>
        {
            told.TrySetResult();
            return Task.CompletedTask;
        };
        _link.Cut();
        _link.Mend();
        await told.Task;
        await UntilReachableAsync(disk);
    }

    [Fact(Timeout = 30_000)]
    public async Task An_error_of_the_disk_is_no_broken_link()
    {
        var faulty = new FaultyDisk(new ReferenceDisk(Size));
        await using var server = new ServerUnderTest(faulty);
        await using var disk = await RemoteDisk.ConnectAsync(new RemoteDiskOptions(server.EndPoint, "disk", 1), None);
        faulty.Rules.FailAlways(FileOperation.Write, StorageErrorKind.NoSpace);
        Assert.Equal(StorageErrorKind.NoSpace, (await Assert.ThrowsAsync<StorageException>(async () => await disk.WriteAsync(0, new byte[512], WriteFlags.None, None))).Kind);
        Assert.Null(disk.Trouble);
    }

    [Fact(Timeout = 30_000)]
    public async Task An_export_that_comes_back_as_another_one_ends_it()
    {
        await using var disk = await RemoteDisk.ConnectAsync(Options, None);
        await using var other = new ServerUnderTest(new ReferenceDisk(Size * 2));
        _link.Cut();
        _link.Server = other.EndPoint;
        _link.Mend();
        StorageException failure;
        do
        {
            await Task.Delay(5, None);
            failure = await Assert.ThrowsAsync<StorageException>(async () => await disk.ReadAsync(0, new byte[512], None));
        }
        while (failure.Kind == StorageErrorKind.Unreachable);
        Assert.Equal(StorageErrorKind.Closed, failure.Kind);
        Assert.Contains("another disk", failure.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_server_that_is_not_there_is_an_error_at_once()
    {
        _link.Cut();
        await Assert.ThrowsAsync<StorageException>(async () => await RemoteDisk.ConnectAsync(Options, None));
    }

    private static async Task UntilReachableAsync(RemoteDisk disk)
    {
        while (true)
        {
            try
            {
                await disk.ReadAsync(0, new byte[512], None);
                return;
            }
            catch (StorageException e) when (e.Kind == StorageErrorKind.Unreachable)
            {
                await Task.Delay(5, None);
            }
        }
    }
}
