using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Worker.Mirrors;

namespace Godwit.Worker.Layers;

/// <summary>The change of worker.json after which other files are a disk's, or the end of this process: never a guess.</summary>
internal static class CommitPoint
{
    /// <summary>Records it.</summary>
    /// <param name="context">One of the disks.</param>
    /// <param name="names">All disks that are concerned, which change at once.</param>
    /// <param name="change">Makes the new entry of each.</param>
    /// <param name="isDone">Whether worker.json says so.</param>
    /// <exception cref="StorageException">The file could not be written; the old entries count.</exception>
    internal static void Pass(MirrorContext context, IReadOnlyList<string> names, Func<WorkerDiskConfig, WorkerDiskConfig> change, Func<bool> isDone)
    {
        try
        {
            context.Config.Update(names, change); // COMMIT POINT
        }
        catch (StorageException e)
        {
            if (!IsDoneAfterAll(context, names, isDone, e))
                throw;
        }
    }

    /// <summary>Writing worker.json can fail after the new file is in place; only the file itself knows.</summary>
    private static bool IsDoneAfterAll(MirrorContext context, IReadOnlyList<string> names, Func<bool> isDone, StorageException error)
    {
        context.Log.Warn($"worker.json was not written cleanly when the layers of {string.Join(", ", names)} changed: {error.Message}");
        try
        {
            context.Config.Reload();
        }
        catch (GodwitException e)
        {
            // Serving either side would be a guess. The next worker reads the file and knows.
            context.Log.Error($"cannot tell which layers count ({e.Problem.Title}); starting again");
            Environment.FailFast("the outcome of a change of layers is unknown");
        }

        if (!isDone())
            return false;
        LocalFolder.Sync(context.Folders.Config);
        return true;
    }
}
