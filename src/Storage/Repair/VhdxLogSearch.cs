using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Repair;

/// <summary>Questions about a log that may not be one. Never writes.</summary>
internal static class VhdxLogSearch
{
    /// <summary>The log that a header names holds a sequence of entries that a replay would apply.</summary>
    public static async ValueTask<bool> HasActiveAsync(IStorageFile file, VhdxHeader header, CancellationToken cancellationToken)
    {
        try
        {
            await new VhdxLogReader(file, header, Boot.Id).FindActiveAsync(cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (StorageException damage) when (damage.Kind == StorageErrorKind.Corrupt)
        {
            return false;
        }
    }

    /// <summary>Something in the log begins like an entry of the log that the header names. When nothing does, none was ever flushed,
    /// and a change in its place comes only after its entry was: so the file is as it was before.</summary>
    public static async ValueTask<bool> HasAnyAsync(IStorageFile file, VhdxHeader header, CancellationToken cancellationToken)
    {
        var start = new byte[VhdxLogEntryHeader.Size];
        for (long at = 0; at < header.LogLength; at += VhdxFormat.PageSize)
        {
            await file.ReadAsync(header.LogOffset + at, start, cancellationToken).ConfigureAwait(false);
            if (start.AsSpan().StartsWith("loge"u8) && new Guid(start.AsSpan(32, 16)) == header.LogGuid)
                return true;
        }

        return false;
    }
}
