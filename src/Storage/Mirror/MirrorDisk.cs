using System.Runtime.CompilerServices;
using Godwit.Storage.Bitmaps;
using Godwit.Storage.Decorators;
using Godwit.Storage.Locking;

namespace Godwit.Storage.Mirror;

/// <summary>
/// Serves a source and keeps a target becoming, and then staying, its copy. Reads come from the source; a write is
/// acknowledged by the source, and no failure of the target ever reaches the caller.
/// </summary>
/// <remarks>
/// <para><b>Copying</b>: a write marks its granules dirty, then goes to the source. Marked first, so that a death of the
/// process at any instant leaves too much marked, never too little. A <see cref="BackgroundCopy"/> brings the target after.</para>
/// <para><b>Synchronous</b>, near the end and from then on: a write to clean granules marks them, goes to the source, then to
/// the target, and clears the marks; a write to dirty granules goes to the source and leaves the marks. So the number of
/// dirty granules can only fall, at any write rate.</para>
/// <para>A target that fails, or has not answered within <see cref="MirrorOptions.TargetTimeLimit"/>, turns the mirror back
/// to Copying; the granules concerned are still marked. What cannot be bounded is a target whose request blocks the calling
/// thread inside the kernel (a file on a hung network file system): the call does not return to us.</para>
/// <para>Owns neither source, target nor bitmap. Cannot grow while it mirrors.</para>
/// </remarks>
public sealed partial class MirrorDisk : BlockDevice
{
    private readonly RangeLock _locks = new();
    private readonly MirrorCondition _condition;

    /// <summary>Creates the mirror, in state Copying with what the bitmap says still to do.</summary>
    /// <param name="source">Serves the guest; stays the caller's.</param>
    /// <param name="target">Becomes the copy; same length and sector size, writable; stays the caller's.</param>
    /// <param name="bitmap">What differs; a new one says everything. Stays the caller's.</param>
    /// <param name="time">Measures limits and back-off.</param>
    /// <param name="options">Limits; the defaults when null.</param>
    /// <param name="unflushed">What a target on another host may forget; stays the caller's.</param>
    /// <param name="fence">What the guests' requests pass before they come here, and the copy's too; stays the caller's. Null: nobody takes the disk over.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.InvalidRequest"/>: target or bitmap does not fit the source.</exception>
    public MirrorDisk(
        BlockDevice source, BlockDevice target, DirtyBitmap bitmap, TimeProvider time, MirrorOptions? options = null, UnflushedRanges? unflushed = null,
        Fence? fence = null)
        : base(source.Length, Offered(source.Capabilities))
    {
        if (target.Length != source.Length || bitmap.Length != source.Length)
            throw Unfit(target, $"source, target and bitmap have {source.Length}, {target.Length} and {bitmap.Length} bytes");
        if (target.Capabilities.SectorSize != source.Capabilities.SectorSize)
            throw Unfit(target, $"its sectors have {target.Capabilities.SectorSize} bytes, the source's {source.Capabilities.SectorSize}");
        if (target.Capabilities.ReadOnly)
            throw Unfit(target, "it is read-only");
        Source = source;
        Target = target;
        Bitmap = bitmap;
        Time = time;
        Options = options ?? new MirrorOptions();
        Unflushed = unflushed;
        Fence = fence;
        _condition = new MirrorCondition(Options, time);

        // Last: such a target may be found at once.
        if (target is IForgetfulTarget forgetful)
            forgetful.FoundAgain = TakeTargetBackAsync;
    }

    /// <summary>Where the mirror stands now.</summary>
    public MirrorDiskState State => _condition.State;

    /// <summary>Why the mirror has failed, or what it is waiting out before it tries the target again; null when all is well.</summary>
    public StorageException? Problem => _condition.Problem;

    /// <summary>The device that serves the guest.</summary>
    public BlockDevice Source { get; }

    /// <summary>The device that becomes the copy.</summary>
    public BlockDevice Target { get; }

    /// <summary>What differs.</summary>
    public DirtyBitmap Bitmap { get; }

    /// <summary>What the target may forget; null for one that forgets all or nothing.</summary>
    public UnflushedRanges? Unflushed { get; }

    /// <inheritdoc/>
    public override string? Path => Source.Path;

    internal MirrorOptions Options { get; }

    internal TimeProvider Time { get; }

    internal Fence? Fence { get; }

    internal RangeLock Locks => _locks;

    internal MirrorCondition Condition => _condition;

    /// <summary>Waits until the mirror has left a state.</summary>
    /// <param name="state">The state it is known to be in.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <returns>The state it is in now.</returns>
    public async ValueTask<MirrorDiskState> WaitWhileAsync(MirrorDiskState state, CancellationToken cancellationToken)
    {
        while (true)
        {
            var changed = _condition.NextChangeAsync();
            if (_condition.State != state)
                return _condition.State;
            await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Tells the target's outstanding requests that nobody waits for them and gives them a moment to end. Source,
    /// target and bitmap stay open.</summary>
    public override async ValueTask DisposeAsync()
    {
        _condition.End();
        var started = Time.GetTimestamp();
        while (_condition.Late > 0 && Time.GetElapsedTime(started) < Options.TargetTimeLimit)
        {
            var changed = _condition.NextChangeAsync();
            if (_condition.Late > 0)
                await Task.WhenAny(changed, Task.Delay(Options.TargetTimeLimit, Time)).ConfigureAwait(false);
        }

        _condition.Dispose();
        await base.DisposeAsync().ConfigureAwait(false);
    }

    /// <inheritdoc/>
    protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        Source.ReadAsync(offset, buffer, cancellationToken);

    /// <inheritdoc/>
    protected override int TryMoveToPipeCore(long offset, int length, int pipe) => Source.TryMoveToPipe(offset, length, pipe);

    /// <inheritdoc/>
    protected override ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken) =>
        Source.GetExtentAsync(offset, length, cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken) =>
        ChangeAsync(DiskRequest.Write(offset, buffer, flags), cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask WriteZeroesCoreAsync(
        long offset, long length, WriteFlags flags, CancellationToken cancellationToken) =>
        ChangeAsync(DiskRequest.Zero(offset, length, flags), cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        // A trim that may read back as anything would make the sides differ for ever: zero instead, which frees space too.
        var change = DiskRequest.Trim(offset, length);
        return ChangeAsync(Source.Capabilities.Trim == TrimResult.Zeroes ? change : change.AsZero(), cancellationToken);
    }

    /// <inheritdoc/>
    protected override ValueTask FlushCoreAsync(CancellationToken cancellationToken) =>
        _condition.Synchronous ? FlushBothAsync(cancellationToken) : Source.FlushAsync(cancellationToken);

    private static DiskCapabilities Offered(DiskCapabilities source) => source with
    {
        CanResize = false,
        Trim = source.Trim == TrimResult.Ignored ? TrimResult.Ignored : TrimResult.Zeroes,
    };

    private static StorageException Unfit(BlockDevice target, string reason) => new(
        StorageErrorKind.InvalidRequest, $"this target cannot become the copy: {reason}", target.Path, operation: "mirror");

    private ValueTask ChangeAsync(in DiskRequest change, CancellationToken cancellationToken)
    {
        // Whole granules: the marks stand for them, and the copier replaces them whole.
        var start = change.Offset & -(long)Bitmap.Granularity;
        var end = (change.End + Bitmap.Granularity - 1) & -(long)Bitmap.Granularity;
        var locked = _locks.AcquireAsync(start, end - start, cancellationToken);
        if (!locked.IsCompletedSuccessfully || _condition.Synchronous)
            return ChangeWhenLockedAsync(locked, change, cancellationToken);

        // No asynchronous method for the usual case: nobody in the way, and the page cache answers at once.
        var holder = locked.GetAwaiter().GetResult();
        ValueTask sent;
        try
        {
            sent = ChangeSourceAsync(change, cancellationToken);
        }
        catch
        {
            holder.Dispose();
            throw;
        }

        if (!sent.IsCompletedSuccessfully)
            return ReleaseAfterAsync(sent, holder);
        sent.GetAwaiter().GetResult();
        holder.Dispose();
        return ValueTask.CompletedTask;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ChangeWhenLockedAsync(ValueTask<RangeLock.Holder> locked, DiskRequest change, CancellationToken cancellationToken)
    {
        bool both;
        using (await locked.ConfigureAwait(false))
        {
            // Asked under the lock, see MirrorCondition.TargetLate.
            both = _condition.Synchronous;
            if (both)
                await ChangeBothAsync(change, cancellationToken).ConfigureAwait(false);
            else
                await ChangeSourceAsync(change, cancellationToken).ConfigureAwait(false);
        }

        // Forced to the target's medium by a flush after the lock is released: a flush that fails needs the whole device.
        if (both && (change.Flags & WriteFlags.ForceUnitAccess) != 0)
            await TryFlushTargetAsync(Options.TargetTimeLimit, CancellationToken.None).ConfigureAwait(false);
    }

    private ValueTask ChangeSourceAsync(in DiskRequest change, CancellationToken cancellationToken)
    {
        Bitmap.Set(change.Offset, change.Length);
        return change.SendAsync(Source, cancellationToken);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private static async ValueTask ReleaseAfterAsync(ValueTask sent, RangeLock.Holder holder)
    {
        using (holder)
            await sent.ConfigureAwait(false);
    }

    /// <summary>Takes each run of equally marked granules on its own; nearly every write lies in one.</summary>
    private async ValueTask ChangeBothAsync(DiskRequest change, CancellationToken cancellationToken)
    {
        for (var at = change.Offset; at < change.End;)
        {
            var end = Bitmap.RunEnd(at, change.End, out var dirty);
            var part = change.Slice(at, end);
            if (dirty)
                await part.SendAsync(Source, cancellationToken).ConfigureAwait(false);
            else
                await ChangeCleanAsync(part, cancellationToken).ConfigureAwait(false);
            at = end;
        }
    }

    private async ValueTask ChangeCleanAsync(DiskRequest part, CancellationToken cancellationToken)
    {
        Bitmap.Set(part.Offset, part.Length);
        var written = false;
        try
        {
            await part.SendAsync(Source, cancellationToken).ConfigureAwait(false);
            written = true;
        }
        finally
        {
            // Nobody knows what the source holds there now; it stays marked and the copier makes the sides equal again.
            if (!written)
                _condition.FallBack();
        }

        if (!await TryChangeTargetAsync(part).ConfigureAwait(false))
            return;
        Unflushed?.Add(part.Offset, part.Length);
        Bitmap.Clear(part.Offset, part.Length);
    }
}
