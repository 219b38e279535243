using System.Buffers.Binary;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Repair;

/// <summary>Puts the two headers right.</summary>
/// <remarks>[MS-VHDX] section 2.2.2. A log that holds nothing can be anywhere, so a header whose log is not known gets a new one
/// at the end of the file, where it is in nobody's way.</remarks>
internal static class VhdxHeaderRepair
{
    // A repair counts it up as well, and what it leaves has to open.
    private const ulong MaxSequence = VhdxHeaders.MaxSequence - 1024;

    private const string NotKnown = "changes that may have waited in the log are given up; which bytes of the disk that are cannot be told";

    /// <summary>Makes both headers valid.</summary>
    /// <returns>The headers, or null when they must be right before anything else can be looked at.</returns>
    public static async ValueTask<VhdxHeaders?> RunAsync(RepairWork work, CancellationToken cancellationToken)
    {
        var first = await ReadAsync(work, VhdxFormat.FirstHeaderOffset, cancellationToken).ConfigureAwait(false);
        var second = await ReadAsync(work, VhdxFormat.SecondHeaderOffset, cancellationToken).ConfigureAwait(false);
        var goOn = (first.Header, second.Header) switch
        {
            (null, null) => await RebuildAsync(work, first, second, cancellationToken).ConfigureAwait(false),
            (null, VhdxHeader other) => await CopyAsync(work, first, other, cancellationToken).ConfigureAwait(false),
            (VhdxHeader other, null) => await CopyAsync(work, second, other, cancellationToken).ConfigureAwait(false),
            (VhdxHeader a, VhdxHeader b) => a.Sequence != b.Sequence || a == b || await ChooseAsync(work, a, b, cancellationToken).ConfigureAwait(false),
        };
        return goOn && await MendLogPlaceAsync(work, cancellationToken).ConfigureAwait(false)
            ? await VhdxHeaders.ReadAsync(work.File, VhdxFindings.Collecting(work.File), cancellationToken).ConfigureAwait(false)
            : null;
    }

    private static async ValueTask<Found> ReadAsync(RepairWork work, long offset, CancellationToken cancellationToken)
    {
        var bytes = new byte[VhdxHeader.Length];
        await work.File.ReadAsync(offset, bytes, cancellationToken).ConfigureAwait(false);
        return new Found(offset, bytes, VhdxHeader.TryParse(bytes, out var problem), problem);
    }

    private static async ValueTask<bool> CopyAsync(RepairWork work, Found damaged, VhdxHeader other, CancellationToken cancellationToken)
    {
        if (other.Sequence == ulong.MaxValue)
        {
            work.Impossible(damaged.Offset, $"one header is damaged ({damaged.Problem}) and the other one's sequence number cannot rise",
                "no writer gets there: the other header is not to be trusted; take the image from a backup");
            return false;
        }

        await WriteAsync(work, damaged.Offset, other with { Sequence = other.Sequence + 1 }, cancellationToken).ConfigureAwait(false);
        work.Mended(damaged.Offset, $"one header is damaged ({damaged.Problem})", "it is written again from the other one");
        return true;
    }

    /// <summary>Two valid headers of one age: what they agree on is not in doubt.</summary>
    private static async ValueTask<bool> ChooseAsync(RepairWork work, VhdxHeader first, VhdxHeader second, CancellationToken cancellationToken)
    {
        const string Problem = "both headers have the same sequence number but differ";
        var (kept, isSafe) = (first, first.LogGuid == second.LogGuid && first.LogOffset == second.LogOffset && first.LogLength == second.LogLength);
        if (!isSafe && second.HasLog && await VhdxLogSearch.HasActiveAsync(work.File, second, cancellationToken).ConfigureAwait(false))
            kept = second;
        if (isSafe)
            work.Mended(VhdxFormat.FirstHeaderOffset, Problem, "the first one rules: they agree on the log");
        else if (!work.MayGiveUp(VhdxFormat.FirstHeaderOffset, Problem, $"the {(kept == first ? "first" : "second")} one rules, because of what its log holds; {NotKnown}"))
            return false;
        if (kept.Sequence >= ulong.MaxValue - 2)
            kept = kept with { Sequence = 0 };
        await WriteAsync(work, VhdxFormat.FirstHeaderOffset, kept with { Sequence = kept.Sequence + 1 }, cancellationToken).ConfigureAwait(false);
        await WriteAsync(work, VhdxFormat.SecondHeaderOffset, kept with { Sequence = kept.Sequence + 2 }, cancellationToken).ConfigureAwait(false);
        return true;
    }

    private static async ValueTask<bool> RebuildAsync(RepairWork work, Found first, Found second, CancellationToken cancellationToken)
    {
        var problem = $"both headers are damaged (first: {first.Problem}; second: {second.Problem})";
        var rest = await SalvageAsync(work, first, second, cancellationToken).ConfigureAwait(false);
        var action = rest?.HasLog == true
            ? "written anew with what is left of them: the log they name is there and is replayed"
            : "written anew with an empty log at the end of the file; " + NotKnown;
        if (rest?.HasLog != true)
            action += rest is null ? "; children no longer know it as their parent: godwit disk set-parent writes the new identity into them" : "";
        if (!work.MayGiveUp(VhdxFormat.FirstHeaderOffset, problem, action))
            return false;
        var header = rest ?? new VhdxHeader(0, work.Options.NewGuid(), work.Options.NewGuid(), Guid.Empty, 0, 1, 0, 0);
        if (!header.HasLog)
            header = await WithNewLogAsync(work, header, cancellationToken).ConfigureAwait(false);
        await WriteAsync(work, VhdxFormat.FirstHeaderOffset, header with { Sequence = 1 }, cancellationToken).ConfigureAwait(false);
        await WriteAsync(work, VhdxFormat.SecondHeaderOffset, header with { Sequence = 2 }, cancellationToken).ConfigureAwait(false);
        return true;
    }

    /// <summary>What a damaged header still says where other facts confirm it: that it names a log which is there, else only the
    /// identity its children know.</summary>
    private static async ValueTask<VhdxHeader?> SalvageAsync(RepairWork work, Found first, Found second, CancellationToken cancellationToken)
    {
        VhdxHeader? best = null;
        foreach (var found in (Found[])[first, second])
        {
            // Only the checksum is put right: the signature must be there for the rest to mean anything.
            var bytes = (byte[])found.Bytes.Clone();
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), Crc32C.OfStructure(bytes, 4));
            if (VhdxHeader.TryParse(bytes, out _) is not { Version: 1 } header)
                continue;
            if (header.HasLog && IsPlausible(work, header) && await VhdxLogSearch.HasActiveAsync(work.File, header, cancellationToken).ConfigureAwait(false))
                return header;
            if (header.DataWriteGuid != Guid.Empty && (best is null || header.Sequence > best.Sequence))
                best = header with { LogGuid = Guid.Empty };
        }

        return best;
    }

    private static bool IsPlausible(RepairWork work, VhdxHeader header) =>
        header.LogVersion == 0
        && header.LogLength > 0 && header.LogLength % VhdxFormat.MiB == 0
        && header.LogOffset >= VhdxFormat.HeaderSectionEnd && header.LogOffset % VhdxFormat.MiB == 0
        && header.LogOffset <= work.File.Length - header.LogLength;

    /// <summary>The header that rules may be valid and name an impossible log.</summary>
    private static async ValueTask<bool> MendLogPlaceAsync(RepairWork work, CancellationToken cancellationToken)
    {
        var first = await ReadAsync(work, VhdxFormat.FirstHeaderOffset, cancellationToken).ConfigureAwait(false);
        var second = await ReadAsync(work, VhdxFormat.SecondHeaderOffset, cancellationToken).ConfigureAwait(false);
        var current = first.Header is null || second.Header?.Sequence > first.Header.Sequence ? second.Header! : first.Header;
        var at = current == first.Header ? VhdxFormat.FirstHeaderOffset : VhdxFormat.SecondHeaderOffset;
        if (current.Version != 1 || (current.HasLog && current.LogVersion != 0))
        {
            work.Impossible(at, $"VHDX version {current.Version}, log version {current.LogVersion}; only versions 1 and 0 are known",
                "a newer program may be able to read it");
            return false;
        }

        if (IsPlausible(work, current with { LogVersion = 0 }) && current.Sequence <= MaxSequence)
            return true;
        var problem = $"the header names a log of {current.LogLength} bytes at {current.LogOffset} with sequence number {current.Sequence}, which cannot be in this file of {work.File.Length} bytes";
        const string Action = "the log is empty, so it gets a new place at the end of the file";
        if (!current.HasLog)
            work.Mended(at, problem, Action);
        else if (!work.MayGiveUp(at, problem, "an empty log at the end of the file takes its place; " + NotKnown))
            return false;
        var header = await WithNewLogAsync(work, current with { LogGuid = Guid.Empty, LogVersion = 0 }, cancellationToken).ConfigureAwait(false);
        var sequence = current.Sequence > MaxSequence ? 0 : current.Sequence;
        await WriteAsync(work, VhdxFormat.FirstHeaderOffset, header with { Sequence = sequence + 1 }, cancellationToken).ConfigureAwait(false);
        await WriteAsync(work, VhdxFormat.SecondHeaderOffset, header with { Sequence = sequence + 2 }, cancellationToken).ConfigureAwait(false);
        return true;
    }

    private static async ValueTask<VhdxHeader> WithNewLogAsync(RepairWork work, VhdxHeader header, CancellationToken cancellationToken)
    {
        // The last block may reach behind the end of a file that is not whole MiB: its place is not the log's.
        var offset = VhdxFormat.AlignUp(work.File.Length, VhdxFormat.MiB) + (work.File.Length % VhdxFormat.MiB == 0 ? 0 : VhdxFormat.MaxBlockSize);
        await work.File.SetLengthAsync(offset + VhdxFormat.MiB, cancellationToken).ConfigureAwait(false);
        return header with { LogOffset = offset, LogLength = (uint)VhdxFormat.MiB };
    }

    private static ValueTask WriteAsync(RepairWork work, long offset, VhdxHeader header, CancellationToken cancellationToken) =>
        work.File.WriteAsync(offset, header.ToBytes(), cancellationToken);

    private sealed record Found(long Offset, byte[] Bytes, VhdxHeader? Header, string Problem);
}
