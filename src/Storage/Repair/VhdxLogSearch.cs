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
            var entries = await new VhdxLogReader(file, header, Boot.Id).FindActiveAsync(cancellationToken).ConfigureAwait(false);
            return entries.Count > 0;
        }
        catch (StorageException damage) when (damage.Kind == StorageErrorKind.Corrupt)
        {
            return false;
        }
    }
}
