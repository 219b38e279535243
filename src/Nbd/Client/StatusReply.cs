using System.Buffers.Binary;
using Godwit.Nbd.Protocol;
using Godwit.Storage;

namespace Godwit.Nbd.Client;

/// <summary>Turns descriptors of base:allocation into an extent of whole sectors.</summary>
internal static class StatusReply
{
    private const int MaxLayer = 1 << 20;

    /// <summary>The run at the start of the range, cut to it. Null when a descriptor is empty.</summary>
    /// <param name="descriptors">At least one descriptor, 8 bytes each, or 16 with extended headers.</param>
    /// <param name="request">What was asked.</param>
    /// <param name="sector">Sector size in bytes; servers with smaller blocks may cut runs inside a sector.</param>
    public static Extent? FirstRun(ReadOnlySpan<byte> descriptors, in RequestHeader request, int sector)
    {
        var (size, asked) = (request.Extended ? 16 : 8, (long)request.Length);
        var kind = Take(descriptors, request.Extended).Kind;
        long length = 0;
        for (; descriptors.Length >= size; descriptors = descriptors[size..])
        {
            var (run, next) = Take(descriptors, request.Extended);
            if (run == 0)
                return null;
            if (next != kind)
                break;

            // Servers may say more than was asked for, up to 64 bits of it.
            length += (long)Math.Min(run, (ulong)(asked - length));
        }

        var whole = length & -(long)sector;
        if (whole == length)
            return new Extent((long)request.Offset, length, kind);

        // Half a sector of data makes the sector data; half a sector of zeroes proves nothing.
        return kind == ExtentKind.Data || whole == 0
            ? new Extent((long)request.Offset, whole + sector, ExtentKind.Data)
            : new Extent((long)request.Offset, whole, kind);
    }

    /// <summary>The run of one layer at the start of the range, in whole sectors. Null when it is empty, or no layer has that
    /// number.</summary>
    /// <param name="descriptors">At least one descriptor.</param>
    /// <param name="request">What was asked.</param>
    /// <param name="sector">Sector size in bytes.</param>
    public static (long Length, int Layer)? FirstLayer(ReadOnlySpan<byte> descriptors, in RequestHeader request, int sector)
    {
        var (length, layer) = request.Extended
            ? (BinaryPrimitives.ReadUInt64BigEndian(descriptors), BinaryPrimitives.ReadUInt64BigEndian(descriptors[8..]))
            : (BinaryPrimitives.ReadUInt32BigEndian(descriptors), BinaryPrimitives.ReadUInt32BigEndian(descriptors[4..]));
        if (length == 0 || layer > MaxLayer)
            return null;
        var whole = (long)Math.Min(length, request.Length) & -(long)sector;
        return (Math.Max(whole, sector), (int)layer);
    }

    /// <summary>The run of changes at the start of the range, in whole sectors. Null when it is empty.</summary>
    /// <param name="descriptors">At least one descriptor.</param>
    /// <param name="request">What was asked.</param>
    /// <param name="sector">Sector size in bytes.</param>
    public static ChangedRun? FirstChange(ReadOnlySpan<byte> descriptors, in RequestHeader request, int sector)
    {
        var (length, state) = request.Extended
            ? (BinaryPrimitives.ReadUInt64BigEndian(descriptors), BinaryPrimitives.ReadUInt64BigEndian(descriptors[8..]))
            : (BinaryPrimitives.ReadUInt32BigEndian(descriptors), BinaryPrimitives.ReadUInt32BigEndian(descriptors[4..]));
        if (length == 0)
            return null;
        var asked = (long)Math.Min(length, request.Length);
        var whole = asked & -(long)sector;

        // A sector of which a part has changed has changed.
        var cut = whole == 0;
        return new ChangedRun((long)request.Offset, cut ? sector : whole, cut || ((ChangeFlags)state & ChangeFlags.Dirty) != 0);
    }

    private static (ulong Length, ExtentKind Kind) Take(ReadOnlySpan<byte> descriptor, bool extended) => extended
        ? (BinaryPrimitives.ReadUInt64BigEndian(descriptor), KindOf((uint)BinaryPrimitives.ReadUInt64BigEndian(descriptor[8..])))
        : (BinaryPrimitives.ReadUInt32BigEndian(descriptor), KindOf(BinaryPrimitives.ReadUInt32BigEndian(descriptor[4..])));

    private static ExtentKind KindOf(uint flags) => (AllocationFlags)flags switch
    {
        var state when (state & AllocationFlags.Zero) == 0 => ExtentKind.Data,
        var state when (state & AllocationFlags.Hole) != 0 => ExtentKind.Hole,
        _ => ExtentKind.Zero,
    };
}
