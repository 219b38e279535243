using Godwit.Nbd.Protocol;
using Godwit.Storage;
using Microsoft.Win32.SafeHandles;

namespace Godwit.Fuzz.Nbd;

/// <summary>A disk in memory that remembers everything that reached it, and has moods.</summary>
/// <remarks>What is done and what is remembered are one step, so the journal's order is that of the effects.</remarks>
internal sealed class ChangeJournal : BlockDevice
{
    private readonly Lock _lock = new();
    private readonly byte[] _memory;
    private readonly List<JournalEntry> _entries = [];
    private long _used;

    /// <summary>Creates the disk.</summary>
    /// <param name="size">Its size in bytes.</param>
    /// <param name="memory">All zeroes, as large as it may grow; the caller's, to be used again after <see cref="Wipe"/>.</param>
    public ChangeJournal(long size, byte[] memory)
        : base(size, DiskCapabilities.Default with { CanResize = true }) => _memory = memory;

    /// <summary>How it behaves.</summary>
    public DeviceTemper Temper { get; set; } = DeviceTemper.Plain;

    /// <summary>Entries so far.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
                return _entries.Count;
        }
    }

    /// <summary>What has happened since the last call.</summary>
    public IReadOnlyList<JournalEntry> Take()
    {
        lock (_lock)
        {
            JournalEntry[] taken = [.. _entries];
            _entries.Clear();
            return taken;
        }
    }

    /// <summary>Makes the memory all zeroes again.</summary>
    public void Wipe()
    {
        _memory.AsSpan(0, (int)_used).Clear();
        _used = 0;
    }

    protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        WhenReady(() =>
        {
            lock (_lock)
            {
                FailMaybe(NbdCommand.Read, offset, buffer.Length, []);
                _memory.AsSpan((int)offset, buffer.Length).CopyTo(buffer.Span);
                _entries.Add(new JournalEntry(NbdCommand.Read, offset, buffer.Length, buffer.ToArray()));
            }
        });

    protected override int TryMoveToPipeCore(long offset, int length, int pipe)
    {
        if (Temper.RefusesPipe())
            return 0;
        using var end = new FileStream(new SafeFileHandle(pipe, ownsHandle: false), FileAccess.Write, bufferSize: 0);
        lock (_lock)
        {
            var count = Temper.Fails() ? length / 2 : length;
            var bytes = _memory.AsSpan((int)offset, count).ToArray();
            end.Write(bytes);
            if (count == length)
                _entries.Add(new JournalEntry(NbdCommand.Read, offset, length, bytes));
            else if (Temper.Fails())
                throw new StorageException(StorageErrorKind.IoFailed, "the device is in a bad mood", operation: "read");
            return count;
        }
    }

    protected override ValueTask WriteCoreAsync(long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken) =>
        WhenReady(() => Write(offset, buffer.ToArray()));

    protected override bool TryMoveFromPipeCore(long offset, int length, int pipe)
    {
        if (Temper.RefusesPipe())
            return false;
        using var end = new FileStream(new SafeFileHandle(pipe, ownsHandle: false), FileAccess.Read, bufferSize: 0);
        var bytes = new byte[length];
        end.ReadExactly(bytes);
        Write(offset, bytes);
        return true;
    }

    protected override ValueTask FlushCoreAsync(CancellationToken cancellationToken) => WhenReady(() => { });

    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken) =>
        WhenReady(() => Zero(NbdCommand.Trim, offset, length));

    protected override ValueTask WriteZeroesCoreAsync(long offset, long length, WriteFlags flags, CancellationToken cancellationToken) =>
        WhenReady(() => Zero(NbdCommand.WriteZeroes, offset, length));

    protected override ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            var data = _memory.AsSpan((int)offset, (int)length).IndexOfAnyExcept((byte)0);
            var zero = data < 0 ? length : data / Capabilities.SectorSize * Capabilities.SectorSize;
            return new ValueTask<Extent>(
                zero > 0 ? new Extent(offset, zero, ExtentKind.Zero) : new Extent(offset, Capabilities.SectorSize, ExtentKind.Data));
        }
    }

    protected override ValueTask ResizeCoreAsync(long length, CancellationToken cancellationToken) => WhenReady(() =>
    {
        lock (_lock)
        {
            _entries.Add(new JournalEntry(NbdCommand.Resize, length, 0, [], Failed: length > _memory.Length));
            if (length > _memory.Length)
                throw new StorageException(StorageErrorKind.NoSpace, "no room to grow", operation: "resize");
        }
    });

    private void Write(long offset, byte[] bytes)
    {
        lock (_lock)
        {
            FailMaybe(NbdCommand.Write, offset, bytes.Length, bytes.AsSpan(0, bytes.Length / 1024 * 512));
            bytes.CopyTo(_memory.AsSpan((int)offset));
            _used = Math.Max(_used, offset + bytes.Length);
            _entries.Add(new JournalEntry(NbdCommand.Write, offset, bytes.Length, bytes));
        }
    }

    private void Zero(NbdCommand command, long offset, long length)
    {
        lock (_lock)
        {
            _memory.AsSpan((int)offset, (int)length).Clear();
            _entries.Add(new JournalEntry(command, offset, length, []));
        }
    }

    /// <summary>Fails at times, with a part of the work done.</summary>
    private void FailMaybe(NbdCommand command, long offset, int length, ReadOnlySpan<byte> done)
    {
        if (!Temper.Fails())
            return;
        done.CopyTo(_memory.AsSpan((int)offset));
        _used = Math.Max(_used, offset + done.Length);
        _entries.Add(new JournalEntry(command, offset, length, done.ToArray(), Failed: true));
        throw new StorageException(StorageErrorKind.NoSpace, "the device is in a bad mood", operation: $"{command}");
    }

    private ValueTask WhenReady(Action work)
    {
        if (Temper.Holds())
            return LaterAsync(work, Temper.HoldTime());
        work();
        return ValueTask.CompletedTask;
    }

    private static async ValueTask LaterAsync(Action work, TimeSpan delay)
    {
        await Task.Yield();
        if (delay > TimeSpan.Zero)
            await Task.Delay(delay).ConfigureAwait(false);
        work();
    }
}
