using System.Runtime.ExceptionServices;
using Godwit.Api.Workers;

namespace Godwit.Worker.Sandbox;

/// <summary>A thread that gives up folders, does one thing, and ends: the process around it keeps them.</summary>
internal static class LimitedThread
{
    /// <summary>Runs something on such a thread and waits for it. What it starts is limited as a whole, from its first instruction.</summary>
    /// <param name="folders">The worker's own folders.</param>
    /// <param name="disks">Where disks may be.</param>
    /// <param name="action">Is told how far the limits hold.</param>
    internal static int Run(WorkerFolders folders, ParentFolders? disks, Func<FolderLimits, int> action)
    {
        var result = 0;
        ExceptionDispatchInfo? error = null;
        var thread = new Thread(() =>
        {
            try
            {
                result = action(FolderLimits.Apply(folders, disks));
            }
            catch (Exception e)
            {
                error = ExceptionDispatchInfo.Capture(e);
            }
        });
        thread.Start();
        thread.Join();
        error?.Throw();
        return result;
    }
}
