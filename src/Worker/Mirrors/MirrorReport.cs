using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage.Mirror;

namespace Godwit.Worker.Mirrors;

/// <summary>Counters of a mirror as they were last seen: after its end nothing else is left to ask.</summary>
internal readonly record struct MirrorProgress(
    MirrorState State, long BytesCopied, long BytesLeft, long BytesVerified, long BytesToVerify);

/// <summary>Puts together what a host is told about a mirror.</summary>
internal static class MirrorReport
{
    /// <summary>The status of a recorded mirror.</summary>
    /// <param name="mirror">The record, or null when there is none.</param>
    /// <param name="progress">The counters, if this process has run it.</param>
    /// <param name="problem">What the running mirror complains about.</param>
    internal static MirrorStatus? Of(WorkerMirrorConfig? mirror, MirrorProgress? progress, Problem? problem)
    {
        if (mirror is null)
            return null;
        var seen = progress ?? default;
        var state = mirror switch
        {
            { SwitchedFrom: not null } => MirrorState.Switched,
            { Failure: not null } => MirrorState.Failed,
            _ => seen.State,
        };
        return new MirrorStatus(
            mirror.JobId,
            state,
            mirror.TargetPath,
            seen.BytesCopied,
            seen.BytesLeft,
            seen.BytesVerified,
            seen.BytesToVerify,
            mirror.Failure ?? problem);
    }

    /// <summary>The state as a host knows it.</summary>
    internal static MirrorState ToApi(this MirrorDiskState state) => state switch
    {
        MirrorDiskState.InSync => MirrorState.InSync,
        MirrorDiskState.Verified => MirrorState.Verified,
        MirrorDiskState.Failed => MirrorState.Failed,
        _ => MirrorState.Copying,
    };
}
