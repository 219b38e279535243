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
    public static ValueTask<int> CollectAsync(
        BlockDevice device, in RequestHeader request, Memory<byte> to, CancellationToken cancellationToken)
    {
        var run = new Run(request, to);
        while (!run.IsComplete)
        {
            var answer = device.GetExtentAsync(run.At, run.Left, cancellationToken);
            if (!answer.IsCompletedSuccessfully)
                return ContinueAsync(device, run, answer, cancellationToken);
            run.Add(answer.Result);
        }

        return ValueTask.FromResult(run.Finish());
    }

    private static async ValueTask<int> ContinueAsync(
        BlockDevice device, Run run, ValueTask<Extent> answer, CancellationToken cancellationToken)
    {
        run.Add(await answer.ConfigureAwait(false));
        while (!run.IsComplete)
            run.Add(await device.GetExtentAsync(run.At, run.Left, cancellationToken).ConfigureAwait(false));
        return run.Finish();
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

    /// <summary>The descriptors so far and the one that may still grow.</summary>
    private struct Run(in RequestHeader request, Memory<byte> to)
    {
        private readonly bool _one = (request.Flags & NbdCommandFlags.RequestOne) != 0;
        private readonly long _end = (long)request.Offset + request.Length;
        private int _count;
        private int _questions;
        private uint _length;
        private AllocationFlags _state;
        private bool _isFull;

        public long At { get; private set; } = (long)request.Offset;

        public readonly long Left => _end - At;

        public readonly bool IsComplete => _isFull || Left == 0 || _questions == MaxQuestions;

        public void Add(in Extent extent)
        {
            var state = StateOf(extent.Kind);
            if (_length > 0 && state != _state)
            {
                // The descriptor in hand cannot grow any more; when it is the last one wanted, this extent is not.
                _isFull = _one || _count == MaxDescriptors - 1;
                if (_isFull)
                    return;
                Write(to.Span[(_count++ * DescriptorLength)..], _length, _state);
                _length = 0;
            }

            _state = state;
            _length += (uint)extent.Length;
            At += extent.Length;
            _questions++;
        }

        public int Finish()
        {
            Write(to.Span[(_count * DescriptorLength)..], _length, _state);
            return _count + 1;
        }
    }
}
