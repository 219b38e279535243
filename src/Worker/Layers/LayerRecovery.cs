using Godwit.Storage;
using Godwit.Worker.Mirrors;

namespace Godwit.Worker.Layers;

/// <summary>Takes away an image that was being put on top of a disk and never served it.</summary>
internal static class LayerRecovery
{
    /// <summary>Runs before the disk is opened, and may itself be cut short anywhere. What cannot be done is logged and left to the next time.</summary>
    internal static void Settle(MirrorContext context)
    {
        if (context.Entry.NewLayer is null)
            return;
        try
        {
            Remove(context);
        }
        catch (Exception e) when (e is Api.GodwitException or StorageException)
        {
            context.Log.Warn($"{context.Name}: the unfinished layer {context.Entry.NewLayer.Path} could not be removed: {e.Message}");
        }
    }

    /// <summary>Removes the file if it is ours, and forgets it.</summary>
    /// <exception cref="Api.GodwitException">The file system refused.</exception>
    /// <exception cref="StorageException">worker.json could not be written.</exception>
    internal static void Remove(MirrorContext context)
    {
        if (context.Entry.NewLayer is not { } layer)
            return;
        TargetFiles.Delete(layer.Path, layer.UnfinishedPath, layer.File);
        context.Config.Update(context.Name, static entry => entry with { NewLayer = null });
        context.Log.Note($"{context.Name}: the layer {layer.Path} of job {layer.JobId} was not put on top; removed");
    }
}
