using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>The two headers of a file: which one rules, and how it is replaced without a moment in which none is valid.</summary>
/// <remarks>[MS-VHDX] sections 2.2.2 and 2.2.2.1. Not thread-safe: one update at a time.</remarks>
internal sealed class VhdxHeaders
{
    /// <summary>The highest sequence number a file is opened with: a session's few updates must not run over the range.</summary>
    public const ulong MaxSequence = ulong.MaxValue - 1024;

    private readonly IStorageFile _file;
    private bool _secondRules;
    private bool _mayBeUnstable;

    private VhdxHeaders(IStorageFile file, VhdxHeader current, bool secondRules)
    {
        _file = file;
        Current = current;
        _secondRules = secondRules;
    }

    /// <summary>The header that rules.</summary>
    public VhdxHeader Current { get; private set; }

    private long CurrentOffset => _secondRules ? VhdxFormat.SecondHeaderOffset : VhdxFormat.FirstHeaderOffset;

    /// <summary>Reads both and picks the valid one with the higher sequence number.</summary>
    /// <exception cref="StorageException">Corrupt: none is valid, or both claim to be the newest; Unsupported: a newer version.</exception>
    public static async ValueTask<VhdxHeaders> ReadAsync(IStorageFile file, VhdxFindings findings, CancellationToken cancellationToken)
    {
        var buffer = new byte[VhdxHeader.Length];
        await file.ReadAsync(VhdxFormat.FirstHeaderOffset, buffer, cancellationToken).ConfigureAwait(false);
        var first = VhdxHeader.TryParse(buffer, out var firstProblem);
        await file.ReadAsync(VhdxFormat.SecondHeaderOffset, buffer, cancellationToken).ConfigureAwait(false);
        var second = VhdxHeader.TryParse(buffer, out var secondProblem);

        if (first is null && second is null)
        {
            throw Corrupt(file, VhdxFormat.FirstHeaderOffset,
                $"both headers are damaged (first: {firstProblem}; second, at {VhdxFormat.SecondHeaderOffset}: {secondProblem})");
        }

        if (first is null || second is null)
        {
            findings.Warning(first is null ? VhdxFormat.FirstHeaderOffset : VhdxFormat.SecondHeaderOffset,
                $"one header is damaged ({(first is null ? firstProblem : secondProblem)}); the other one is used");
        }
        else if (first.Sequence == second.Sequence && first != second)
        {
            throw Corrupt(file, VhdxFormat.FirstHeaderOffset, $"both headers have the sequence number {first.Sequence} but differ");
        }

        var secondRules = first is null || (second is not null && second.Sequence > first.Sequence);
        var headers = new VhdxHeaders(file, secondRules ? second! : first!, secondRules);
        headers.Validate();
        return headers;
    }

    /// <summary>Takes the log's name out of what the next update will write: the log has no entry. Nothing is written now.</summary>
    public void ForgetLog() => Current = Current with { LogGuid = Guid.Empty };

    /// <summary>Replaces the header that does not rule and makes it the ruling one, stable before this returns.</summary>
    /// <param name="next">The new content; its sequence number is set here.</param>
    /// <param name="both">Do it twice, so that losing one copy later does not bring the old content back.</param>
    /// <param name="barrier">Flushes the file.</param>
    public async ValueTask UpdateAsync(VhdxHeader next, bool both, Func<ValueTask> barrier)
    {
        // A power cut must not find both copies half written.
        if (_mayBeUnstable)
            await barrier().ConfigureAwait(false);
        _mayBeUnstable = false;
        for (var round = 0; round < (both ? 2 : 1); round++)
        {
            var header = next with { Sequence = Current.Sequence + 1 };
            var offset = _secondRules ? VhdxFormat.FirstHeaderOffset : VhdxFormat.SecondHeaderOffset;
            await _file.WriteAsync(offset, header.ToBytes(), CancellationToken.None).ConfigureAwait(false);
            await barrier().ConfigureAwait(false);
            Current = header;
            _secondRules = !_secondRules;
        }
    }

    /// <summary>Like <see cref="UpdateAsync"/> for one copy, but leaves the barrier to the caller's next one.</summary>
    public async ValueTask WriteWithoutBarrierAsync(VhdxHeader next)
    {
        var header = next with { Sequence = Current.Sequence + 1 };
        var offset = _secondRules ? VhdxFormat.FirstHeaderOffset : VhdxFormat.SecondHeaderOffset;
        await _file.WriteAsync(offset, header.ToBytes(), CancellationToken.None).ConfigureAwait(false);
        Current = header;
        _secondRules = !_secondRules;
    }

    /// <summary>Replaces the header that rules where it stands, without a barrier. Where that is torn, the other one rules: both must name
    /// the same log, or the other one none. Of the two copies only the ruling one may be unstable after a kill, so doing this once per
    /// process never leaves both torn.</summary>
    public async ValueTask RewriteWithoutBarrierAsync(VhdxHeader next)
    {
        var header = next with { Sequence = Current.Sequence + 1 };
        _mayBeUnstable = true;
        await _file.WriteAsync(CurrentOffset, header.ToBytes(), CancellationToken.None).ConfigureAwait(false);
        Current = header;
    }

    private void Validate()
    {
        if (Current.Version != 1)
        {
            throw new StorageException(StorageErrorKind.Unsupported,
                $"VHDX version {Current.Version}; only version 1 is known", _file.Path, CurrentOffset, "open");
        }

        if (Current.HasLog && Current.LogVersion != 0)
        {
            throw new StorageException(StorageErrorKind.Unsupported,
                $"log version {Current.LogVersion}; only version 0 is known", _file.Path, CurrentOffset, "open");
        }

        if (Current.Sequence > MaxSequence)
            throw Corrupt(_file, CurrentOffset, $"the header's sequence number {Current.Sequence} leaves no room for updates");
        if (Current.LogLength == 0 || Current.LogLength % VhdxFormat.MiB != 0)
            throw Corrupt(_file, CurrentOffset, $"the log's length {Current.LogLength} is not a multiple of 1 MiB above zero");
        if (Current.LogOffset < VhdxFormat.HeaderSectionEnd || Current.LogOffset % VhdxFormat.MiB != 0)
            throw Corrupt(_file, CurrentOffset, $"the log's offset {Current.LogOffset} is not a multiple of 1 MiB behind the header section");
        if (Current.LogOffset > _file.Length - Current.LogLength)
            throw Corrupt(_file, CurrentOffset, $"the log ({Current.LogLength} bytes at {Current.LogOffset}) reaches past the end of the file at {_file.Length}");
    }

    private static StorageException Corrupt(IStorageFile file, long offset, string reason) =>
        new(StorageErrorKind.Corrupt, reason, file.Path, offset, "open");
}
