using Godwit.Api.Workers;
using Godwit.Storage.Chains;
using Godwit.Worker.Interop;
using Godwit.Worker.Logging;
using Godwit.Worker.Serving;

namespace Godwit.Worker.Mirrors;

/// <summary>What everything that works on one disk's mirror shares.</summary>
/// <param name="Name">Name of the disk.</param>
/// <param name="Config">worker.json.</param>
/// <param name="Folders">Where the bitmap goes.</param>
/// <param name="ParentFolders">Where parents may be; null for anywhere.</param>
/// <param name="BootId">The kernel's boot id: a bitmap of another boot proves nothing.</param>
/// <param name="Time">The clock.</param>
/// <param name="Log">Told about every step.</param>
internal sealed record MirrorContext(
    string Name, WorkerConfigFile Config, WorkerFolders Folders, AllowedFolders? ParentFolders, string BootId, TimeProvider Time, EventLog Log)
{
    /// <summary>The disk and its mirror as worker.json has them.</summary>
    internal WorkerDiskConfig Entry => Config.Disk(Name);

    /// <summary>The dirty bitmap's file.</summary>
    internal string BitmapPath => Folders.Bitmap(Name);

    /// <summary>The file of what a target on another host may forget.</summary>
    internal string UnflushedPath => Folders.Unflushed(Name);

    /// <summary>Removes both: a later worker must not believe them.</summary>
    internal void RemoveBitmaps()
    {
        FileStatus.Remove(BitmapPath);
        FileStatus.Remove(UnflushedPath);
    }

    /// <summary>Records the mirror, or that there is none.</summary>
    internal void Record(WorkerMirrorConfig? mirror) => Config.Update(Name, entry => entry with { Mirror = mirror });
}
