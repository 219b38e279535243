using Godwit.Storage.Mirror;

namespace Godwit.Storage.Tests.Mirror;

/// <summary>A disk on another host: it can be lost, and found again without some of what it had not flushed.</summary>
internal sealed class ForgetfulDisk(int size) : BlockDevice(size, new DiskCapabilities(512, 4096, false, TrimResult.Zeroes, false)), IForgetfulTarget
{
    private readonly Lock _lock = new();
    private readonly Random _random = new(7);
    private readonly byte[] _durable = new byte[size];
    private readonly byte[] _now = new byte[size];
    private int _losses;
    private bool _lost;

    public Func<Task>? FoundAgain { get; set; }

    public byte[] Content
    {
        get
        {
            lock (_lock)
                return [.. _now];
        }
    }

    /// <summary>Loses the link and, sector by sector at random, what was not flushed; then comes back.</summary>
    public async Task LoseAsync(TimeSpan away)
    {
        lock (_lock)
        {
            _lost = true;
            _losses++;
        }

        await Task.Delay(away);
        lock (_lock)
        {
            for (var sector = 0; sector < size / 512; sector++)
            {
                if (_random.Next(2) == 0)
                    _durable.AsSpan(sector * 512, 512).CopyTo(_now.AsSpan(sector * 512, 512));
            }

            // What is left after the power came back is durable.
            _now.CopyTo(_durable, 0);
        }

        await FoundAgain!();
        lock (_lock)
            _lost = false;
    }

    protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        DoAsync(() => _now.AsSpan((int)offset, buffer.Length).CopyTo(buffer.Span));

    protected override ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken) =>
        DoAsync(() => buffer.Span.CopyTo(_now.AsSpan((int)offset)));

    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken) =>
        WriteZeroesCoreAsync(offset, length, WriteFlags.None, cancellationToken);

    protected override ValueTask WriteZeroesCoreAsync(long offset, long length, WriteFlags flags, CancellationToken cancellationToken) =>
        DoAsync(() => _now.AsSpan((int)offset, (int)length).Clear());

    protected override async ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        var data = false;
        await DoAsync(() => data = _now.AsSpan((int)offset, (int)length).ContainsAnyExcept((byte)0));
        return new Extent(offset, length, data ? ExtentKind.Data : ExtentKind.Zero);
    }

    protected override async ValueTask FlushCoreAsync(CancellationToken cancellationToken)
    {
        byte[] covered = [];
        var losses = 0;
        await DoAsync(() => (covered, losses) = ([.. _now], _losses));
        await Task.Yield();
        lock (_lock)
        {
            if (_lost || losses != _losses)
                throw Unreachable();

            // No more than the protocol promises: what had completed before the flush began.
            covered.CopyTo(_durable, 0);
        }
    }

    private static StorageException Unreachable() => new(StorageErrorKind.Unreachable, "the link is broken");

    private async ValueTask DoAsync(Action action)
    {
        await Task.Yield();
        lock (_lock)
        {
            if (_lost)
                throw Unreachable();
            action();
        }
    }
}
