using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Worker.Interop;

namespace Godwit.Worker.Mirrors;

/// <summary>
/// Brings the files of a mirror back to where worker.json says they are, after a worker died at any instant. Runs before the
/// disk is opened, and may itself be cut short anywhere.
/// </summary>
internal static class MirrorRecovery
{
    /// <summary>Finishes a cancel, undoes a rename that was not committed, and clears up after a switch that was.</summary>
    /// <remarks>What cannot be done is logged and left: the guest needs its disk whatever has become of the target.</remarks>
    internal static void Settle(MirrorContext context)
    {
        if (context.Entry.Mirror is not { } mirror)
            return;
        try
        {
            Settle(context, mirror);
        }
        catch (Exception e) when (e is GodwitException or StorageException)
        {
            context.Log.Warn($"{context.Name}: the mirror of job {mirror.JobId} could not be settled: {e.Message}");
        }
    }

    private static void Settle(MirrorContext context, WorkerMirrorConfig mirror)
    {
        if (mirror.SwitchedFrom is not null)
        {
            context.RemoveBitmaps();
        }
        else if (mirror.Cancelled)
        {
            context.Log.Note($"{context.Name}: finishing the cancel of job {mirror.JobId}");
            TargetFiles.Delete(context, mirror);
            context.Record(null);
        }
        else
        {
            UndoRename(context, mirror);
        }
    }

    private static void UndoRename(MirrorContext context, WorkerMirrorConfig mirror)
    {
        if (mirror.TargetFile is not { } identity || !FileStatus.Is(mirror.TargetPath, identity))
            return;
        context.Log.Note($"{context.Name}: {mirror.TargetPath} had been renamed but not committed; renaming it back");
        LocalFolder.RenameWithoutReplacing(mirror.TargetPath, mirror.UnfinishedPath);
    }
}
