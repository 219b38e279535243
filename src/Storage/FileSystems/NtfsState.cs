using static Godwit.Storage.FileSystems.PartitionReader;

namespace Godwit.Storage.FileSystems;

/// <summary>Whether an NTFS volume was left in order: the flags of $Volume, the restart pages of $LogFile, and hibernation.</summary>
/// <remarks>Windows sets the dirty flag only for damage; that a volume was in use shows in the log's restart area.</remarks>
internal sealed class NtfsState(NtfsVolume volume)
{
    private const int LogFileRecord = 2;
    private const int VolumeRecord = 3;
    private const uint VolumeInformation = 0x70;

    /// <summary>Refuses a volume whose bitmap may not be the last word.</summary>
    /// <exception cref="UnusableFileSystemException">And why.</exception>
    public async ValueTask RequireCleanAsync(CancellationToken cancellationToken)
    {
        // Dirty, being resized, change journal being deleted, chkdsk at work.
        const int Unsettled = 0x1 | 0x2 | 0x10 | 0x4000;
        var record = await volume.ReadRecordAsync(VolumeRecord, cancellationToken).ConfigureAwait(false);
        var value = record.ValueOf(VolumeInformation);
        if (value.Length < 12)
            throw new UnusableFileSystemException("what it says about itself is too short");
        if ((U16(value, 10) & Unsettled) != 0)
            throw new UnusableFileSystemException($"it is marked dirty (flags 0x{U16(value, 10):x}); run chkdsk in the guest first");
        await RequireEmptyLogAsync(cancellationToken).ConfigureAwait(false);
        await new NtfsHibernation(volume).RequireNoneAsync(cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask RequireEmptyLogAsync(CancellationToken cancellationToken)
    {
        const int HeaderLength = 512;
        var runs = volume.DataOf(await volume.ReadRecordAsync(LogFileRecord, cancellationToken).ConfigureAwait(false));
        var first = new byte[HeaderLength];
        await volume.ReadAsync(runs, 0, first, cancellationToken).ConfigureAwait(false);

        // A log that was reset has nothing in it but ones.
        if (!first.AsSpan().ContainsAnyExcept((byte)0xff))
            return;
        var pageSize = U32(first, 16);
        if (pageSize is < HeaderLength or > 65536 || (pageSize & (pageSize - 1)) != 0)
            throw new UnusableFileSystemException("its journal is damaged");
        var second = new byte[HeaderLength];
        await volume.ReadAsync(runs, pageSize, second, cancellationToken).ConfigureAwait(false);
        var (one, other) = (RestartArea(first), RestartArea(second));
        if (one is null && other is null)
            throw new UnusableFileSystemException("its journal is damaged");
        var newest = other is null || one?.Sequence >= other.Value.Sequence ? one!.Value : other.Value;
        if (!newest.IsClean)
            throw new UnusableFileSystemException("its journal holds changes: it was in use when the disk was switched off, or Windows is only sleeping (fast startup); shut it down fully");
    }

    private static (ulong Sequence, bool IsClean)? RestartArea(ReadOnlySpan<byte> page)
    {
        const int NoClient = 0xffff;
        const int CleanFlag = 2;
        int at = U16(page, 24);
        if (!page.StartsWith("RSTR"u8) || at < 30 || at > page.Length - 18)
            return null;
        return (U64(page, at), U16(page, at + 12) == NoClient || (U16(page, at + 14) & CleanFlag) != 0);
    }
}
