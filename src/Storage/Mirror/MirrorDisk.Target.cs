using System.Buffers;

namespace Godwit.Storage.Mirror;

/// <content>Requests to the target: never an error to the caller, never waited for without limit.</content>
public sealed partial class MirrorDisk
{
    /// <summary>What a device may throw when it fails or is closed under a request.</summary>
    internal static bool IsTargetError(Exception error) => error is IOException or ObjectDisposedException or OperationCanceledException;

    /// <summary>Flushes the target, as long as that takes up to the limit.</summary>
    /// <returns>It has been flushed. When not, the mirror has fallen back.</returns>
    internal async ValueTask<bool> TryFlushTargetAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        Task? flush = null;
        var covers = Unflushed?.TryBeginFlush() == true;
        var flushed = false;
        try
        {
            var request = Target.FlushAsync(_condition.Ended);
            if (!request.IsCompleted)
                await (flush = request.AsTask()).WaitAsync(limit, Time, cancellationToken).ConfigureAwait(false);
            else
                await request.ConfigureAwait(false);
            _condition.TargetAnswered();
            return flushed = true;
        }
        catch (Exception e) when (flush is { IsCompleted: false } && e is TimeoutException or OperationCanceledException)
        {
            _condition.TargetLate();
            _ = AwaitLateFlushAsync(flush!);
            cancellationToken.ThrowIfCancellationRequested();
            return false;
        }
        catch (StorageException e) when (e.Kind == StorageErrorKind.Unreachable)
        {
            // What it may have forgotten is marked when it is found again.
            _condition.TargetFailed(e);
            return false;
        }
        catch (Exception e) when (IsTargetError(e))
        {
            await DistrustTargetAsync(e).ConfigureAwait(false);
            return false;
        }
        finally
        {
            if (covers)
                Unflushed!.EndFlush(flushed);
        }
    }

    /// <summary>Makes the target follow a change the source has carried out. The caller holds the range lock.</summary>
    /// <returns>The target has followed. When not, the mirror has fallen back (before the caller gives its lock back).</returns>
    private async ValueTask<bool> TryChangeTargetAsync(DiskRequest part)
    {
        // Others may have found out, while this write was at the source, that the target does not answer.
        if (!_condition.Synchronous)
            return false;

        // A copy, because the caller's buffer is the caller's again when the request is not waited for any longer.
        var copy = part.Kind == DiskRequestKind.Write ? ArrayPool<byte>.Shared.Rent((int)part.Length) : null;
        part.Buffer.CopyTo(copy);
        var change = (part.Kind == DiskRequestKind.Trim ? part.AsZero() : part).WithBuffer(copy.AsMemory(0, part.Buffer.Length));
        Task? pending = null;
        try
        {
            var request = change.SendAsync(Target, _condition.Ended);
            if (!request.IsCompleted)
                await (pending = request.AsTask()).WaitAsync(Options.TargetTimeLimit, Time).ConfigureAwait(false);
            else
                await request.ConfigureAwait(false);
            _condition.TargetAnswered();
            return true;
        }
        catch (TimeoutException) when (pending is { IsCompleted: false })
        {
            _condition.TargetLate();
            _ = AwaitLateAsync(pending, copy);
            copy = null;
            return false;
        }
        catch (Exception e) when (IsTargetError(e) || e is TimeoutException)
        {
            _condition.TargetFailed(e);
            return false;
        }
        finally
        {
            if (copy is not null)
                ArrayPool<byte>.Shared.Return(copy);
        }
    }

    private async ValueTask FlushBothAsync(CancellationToken cancellationToken)
    {
        var target = TryFlushTargetAsync(Options.TargetTimeLimit, CancellationToken.None);
        try
        {
            await Source.FlushAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            await target.ConfigureAwait(false);
        }
    }

    /// <summary>After a failed flush the kernel may have dropped any write since the last good one and says so only once.</summary>
    private ValueTask DistrustTargetAsync(Exception error)
    {
        _condition.TargetFlushFailed(error);
        return MarkUnflushedAsync();
    }

    /// <summary>The target was away. It may have been without power, or merely out of reach: what no flush has covered is copied again.</summary>
    private async Task TakeTargetBackAsync()
    {
        _condition.TargetLost();
        await MarkUnflushedAsync().ConfigureAwait(false);
    }

    /// <summary>Marks what the target may have forgotten: at once, because we may die, and again under the lock of the whole
    /// device, because a request that was just ending may have cleared its marks.</summary>
    private async ValueTask MarkUnflushedAsync()
    {
        MarkUnflushed();
        using (await _locks.AcquireAsync(0, Length, CancellationToken.None).ConfigureAwait(false))
            MarkUnflushed();
        _condition.TargetDistrusted();
    }

    private void MarkUnflushed()
    {
        if (Unflushed is { } unflushed)
            unflushed.MarkIn(Bitmap);
        else
            Bitmap.Set(0, Length);
    }

    /// <summary>Waits for a request nobody waits for any longer; until it ends nothing else is written to the target.</summary>
    /// <remarks>The caller is still inside the fence; whoever holds it waits for the late request too.</remarks>
    internal async Task AwaitLateAsync(Task pending, byte[]? rented)
    {
        Fence?.Join();
        try
        {
            await GiveUpUnlessEndedAsync(pending).ConfigureAwait(false);
            await pending.ConfigureAwait(false);
        }
        catch (Exception e) when (IsTargetError(e))
        {
            _condition.TargetFailed(e);
        }
        finally
        {
            if (rented is not null)
                ArrayPool<byte>.Shared.Return(rented);
            _condition.LateEnded();
            Fence?.Exit();
        }
    }

    private async Task AwaitLateFlushAsync(Task pending)
    {
        Fence?.Join();
        try
        {
            await GiveUpUnlessEndedAsync(pending).ConfigureAwait(false);
            await pending.ConfigureAwait(false);
        }
        catch (StorageException e) when (e.Kind == StorageErrorKind.Unreachable)
        {
            _condition.TargetFailed(e);
        }
        catch (Exception e) when (IsTargetError(e))
        {
            await DistrustTargetAsync(e).ConfigureAwait(false);
        }
        finally
        {
            _condition.LateEnded();
            Fence?.Exit();
        }
    }

    private async Task GiveUpUnlessEndedAsync(Task pending)
    {
        try
        {
            await pending.WaitAsync(Options.GiveUpAfter, Time).ConfigureAwait(false);
        }
        catch (TimeoutException) when (!pending.IsCompleted)
        {
            _condition.GiveUpOnTarget();
        }
    }
}
