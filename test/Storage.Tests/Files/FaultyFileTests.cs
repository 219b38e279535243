using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Files;

public sealed class FaultyFileTests
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly CrashFile _inner = new();
    private readonly FaultyFile _file;

    public FaultyFileTests() => _file = new FaultyFile(_inner);

    [Fact]
    public async Task Only_the_nth_operation_fails_and_changes_nothing()
    {
        _file.Fail(FileOperation.Write, StorageErrorKind.NoSpace, nth: 2);
        await _file.WriteAsync(0, new byte[512], None);
        var error = await Assert.ThrowsAsync<StorageException>(() => _file.WriteAsync(512, new byte[512], None).AsTask());
        Assert.Equal((StorageErrorKind.NoSpace, 512), (error.Kind, error.Offset));
        Assert.Equal(512, _file.Length);
        await _file.WriteAsync(512, new byte[512], None);
        Assert.Equal(3, _file.Count(FileOperation.Write));
    }

    [Fact]
    public async Task Only_matching_operations_fail_until_healed()
    {
        _file.Add(new FaultRule(FileOperation.Read) { Error = StorageErrorKind.IoFailed, Times = int.MaxValue, Where = (at, _) => at >= 512 });
        await _file.WriteAsync(0, new byte[1024], None);
        await _file.ReadAsync(0, new byte[512], None);
        for (var i = 0; i < 2; i++)
            await Assert.ThrowsAsync<StorageException>(() => _file.ReadAsync(512, new byte[512], None).AsTask());
        _file.Heal();
        await _file.ReadAsync(512, new byte[512], None);
    }

    [Fact]
    public async Task A_torn_write_leaves_its_first_bytes()
    {
        _file.TearWrite(keep: 512);
        await Assert.ThrowsAsync<StorageException>(() => _file.WriteAsync(0, new byte[1024], None).AsTask());
        Assert.Equal(512, _file.Length);
    }

    [Fact]
    public async Task A_dropped_flush_is_acknowledged_and_not_done()
    {
        _file.DropFlush();
        await _file.WriteAsync(0, new byte[512], None);
        await _file.FlushAsync(None);
        Assert.DoesNotContain(_inner.Events, e => e.Operation == FileOperation.Flush);
        await _file.FlushAsync(None);
        Assert.Contains(_inner.Events, e => e.Operation == FileOperation.Flush);
    }

    [Fact(Timeout = 10_000)]
    public async Task A_held_operation_waits_for_its_release()
    {
        var rule = _file.Hold(FileOperation.Flush);
        var flush = _file.FlushAsync(None).AsTask();
        await rule.Reached;
        Assert.False(flush.IsCompleted);
        rule.Release();
        await flush;
    }

    [Fact(Timeout = 10_000)]
    public async Task A_flush_whose_answer_is_held_has_happened_and_covers_nothing_later()
    {
        var rule = _file.Rules.HoldFlushAnswer();
        var flush = _file.FlushAsync(None).AsTask();
        await rule.Reached;
        Assert.False(flush.IsCompleted);
        await _file.WriteAsync(0, new byte[512], None);
        rule.Release();
        await flush;
        Assert.Equal(0, _inner.AfterPowerCut(_inner.EventCount, PowerCut.FlushedOnly).Length);
    }

    [Fact]
    public async Task Space_runs_out_after_the_budget()
    {
        _file.LimitSpace(1024);
        await _file.WriteAsync(0, new byte[1024], None);
        var error = await Assert.ThrowsAsync<StorageException>(() => _file.WriteAsync(1024, new byte[1], None).AsTask());
        Assert.Equal(StorageErrorKind.NoSpace, error.Kind);
    }
}
