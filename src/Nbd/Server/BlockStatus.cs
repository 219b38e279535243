using System.Buffers.Binary;
using Godwit.Nbd.Protocol;
using Godwit.Storage;

namespace Godwit.Nbd.Server;

/// <summary>Turns the device's extents into descriptors of base:allocation (NBD proto.md, "Metadata querying").</summary>
internal static class BlockStatus
{
    /// <summary>Most descriptors in one reply; the client asks again for the rest.</summary>
    public const int MaxDescriptors = 2048;

    /// <summary>Most questions to the device for one reply: finely cut devices must not hold the connection for long.</summary>
    private const int MaxQuestions = 16 * 1024;

    /// <summary>Bytes one descriptor takes.</summary>
    public const int DescriptorLength = 8;

    /// <summary>Writes descriptors that cover the start of a range, joining neighbours of the same state.</summary>
    /// <param name="device">The device.</param>
    /// <param name="request">A checked request.</param>
    /// <param name="to">Room for <see cref="MaxDescriptors"/>.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Descriptors written, at least one.</returns>
    public static async ValueTask<int> CollectAsync(
        BlockDevice device, RequestHeader request, Memory<byte> to, CancellationToken cancellationToken)
    {
        var one = (request.Flags & NbdCommandFlags.RequestOne) != 0;
        var at = (long)request.Offset;
        var end = at + request.Length;
        var count = 0;
        uint length = 0;
        var state = AllocationFlags.Data;
        for (var questions = 0; at < end && questions < MaxQuestions; questions++)
        {
            var extent = await device.GetExtentAsync(at, end - at, cancellationToken).ConfigureAwait(false);
            var next = StateOf(extent.Kind);
            if (length > 0 && next != state)
            {
                Write(to.Span[(count++ * DescriptorLength)..], length, state);
                length = 0;
                if (one || count == MaxDescriptors)
                    return count;
            }

            state = next;
            length += (uint)extent.Length;
            at += extent.Length;
        }

        Write(to.Span[(count * DescriptorLength)..], length, state);
        return count + 1;
    }

    private static AllocationFlags StateOf(ExtentKind kind) => kind switch
    {
        ExtentKind.Data => AllocationFlags.Data,
        ExtentKind.Zero => AllocationFlags.Zero,
        ExtentKind.Hole => AllocationFlags.Hole | AllocationFlags.Zero,
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "an extent kind without a state"),
    };

    private static void Write(Span<byte> to, uint length, AllocationFlags state)
    {
        BinaryPrimitives.WriteUInt32BigEndian(to, length);
        BinaryPrimitives.WriteUInt32BigEndian(to[4..], (uint)state);
    }
}
