using Godwit.Nbd.Protocol;
using Godwit.Storage;

namespace Godwit.Nbd.Server;

/// <summary>Turns the device's extents into the reply to a block status (NBD proto.md, "Metadata querying").</summary>
internal static class BlockStatus
{
    /// <summary>Room a reply may need.</summary>
    public const int Room = StatusContextNames.Count * StatusDraft.RoomPerContext;

    /// <summary>Writes the whole reply: one chunk per context, each covering the start of the range.</summary>
    /// <param name="device">The device.</param>
    /// <param name="request">A checked request; its length is that of the range.</param>
    /// <param name="contexts">At least one.</param>
    /// <param name="to"><see cref="Room"/> bytes.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Bytes written.</returns>
    public static ValueTask<int> CollectAsync(
        BlockDevice device, in RequestHeader request, StatusContexts contexts, Memory<byte> to, CancellationToken cancellationToken)
    {
        var draft = new StatusDraft(request, contexts, to);
        while (!draft.IsComplete)
        {
            var answer = device.GetExtentAsync(draft.At, draft.Left, cancellationToken);
            if (!answer.IsCompletedSuccessfully)
                return ContinueAsync(device, draft, answer, cancellationToken);
            draft.Add(answer.Result);
        }

        return ValueTask.FromResult(draft.Written);
    }

    private static async ValueTask<int> ContinueAsync(
        BlockDevice device, StatusDraft draft, ValueTask<Extent> answer, CancellationToken cancellationToken)
    {
        draft.Add(await answer.ConfigureAwait(false));
        while (!draft.IsComplete)
            draft.Add(await device.GetExtentAsync(draft.At, draft.Left, cancellationToken).ConfigureAwait(false));
        return draft.Written;
    }
}
