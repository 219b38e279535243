using System.Numerics;
using Godwit.Nbd.Protocol;
using Godwit.Storage;

namespace Godwit.Nbd.Server;

/// <summary>Turns the device's extents and the marks of its points into the reply to a block status (NBD proto.md, "Metadata querying").</summary>
internal static class BlockStatus
{
    /// <summary>Bytes a reply may need.</summary>
    public static int Room(StatusContexts contexts) => BitOperations.PopCount((uint)contexts) * StatusDraft.RoomPerContext;

    /// <summary>Writes the whole reply: one chunk per context, each covering the start of the range.</summary>
    /// <param name="session">The session.</param>
    /// <param name="request">A checked request; its length is that of the range.</param>
    /// <param name="contexts">At least one, all of the session.</param>
    /// <param name="to"><see cref="Room"/> bytes.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Bytes written.</returns>
    public static ValueTask<int> CollectAsync(
        Session session, in RequestHeader request, StatusContexts contexts, Memory<byte> to, CancellationToken cancellationToken)
    {
        var draft = new StatusDraft(request, contexts, to);
        while (!draft.IsComplete)
        {
            if (TryAddMarks(session, ref draft))
                continue;
            var answer = session.Export.Device.GetExtentAsync(draft.At, draft.Left, cancellationToken);
            if (!answer.IsCompletedSuccessfully)
                return ContinueAsync(session, draft, answer, cancellationToken);
            Add(ref draft, answer.Result);
        }

        return ValueTask.FromResult(draft.Written);
    }

    private static async ValueTask<int> ContinueAsync(Session session, StatusDraft draft, ValueTask<Extent> answer, CancellationToken cancellationToken)
    {
        Add(ref draft, await answer.ConfigureAwait(false));
        while (!draft.IsComplete)
        {
            if (!TryAddMarks(session, ref draft))
                Add(ref draft, await session.Export.Device.GetExtentAsync(draft.At, draft.Left, cancellationToken).ConfigureAwait(false));
        }

        return draft.Written;
    }

    /// <summary>Adds a run of a point. False when the context is one of the device.</summary>
    private static bool TryAddMarks(Session session, ref StatusDraft draft)
    {
        if (session.ContextTable?.PointOf(draft.Context) is not { } point)
            return false;
        var end = point.RunEnd(draft.At, draft.At + draft.Left, out var changed);
        draft.Add(end - draft.At, changed ? (uint)ChangeFlags.Dirty : 0);
        return true;
    }

    private static void Add(ref StatusDraft draft, in Extent extent) =>
        draft.Add(extent.Length, draft.Context == StatusContexts.Layer ? (uint)extent.Layer : StateOf(extent.Kind));

    private static uint StateOf(ExtentKind kind) => (uint)(kind switch
    {
        ExtentKind.Data => AllocationFlags.Data,
        ExtentKind.Zero => AllocationFlags.Zero,
        ExtentKind.Hole => AllocationFlags.Hole | AllocationFlags.Zero,
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "an extent kind without a state"),
    });
}
