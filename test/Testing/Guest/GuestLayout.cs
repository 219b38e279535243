namespace Godwit.Testing.Guest;

/// <summary>Where the guest puts a record; the host's copy of what test/guest/record.h describes.</summary>
public sealed record GuestLayout(
    long DiskBytes, long RingStart, long RingSlots, long Far, long FarStart, long FarSlots, long Stride, long FillStart)
{
    private const ulong RingStep = 2654435761;

    /// <summary>Byte offset of the slot a sequence number goes to.</summary>
    public long OffsetOf(long sequence)
    {
        if (Far != 0 && sequence % Far == 0)
        {
            var k = sequence / Far - 1;
            var lane = k / FarSlots % (Stride / GuestRecord.Size);
            return FarStart + k % FarSlots * Stride + lane * GuestRecord.Size;
        }

        var i = (ulong)(sequence - (Far != 0 ? sequence / Far : 0));
        return RingStart + (long)(unchecked(i * RingStep) % (ulong)RingSlots) * GuestRecord.Size;
    }

    /// <summary>Reads the numbers of an <c>L</c> line; null when it is torn.</summary>
    internal static GuestLayout? Parse(ReadOnlySpan<long> n) =>
        n.Length == 8 && n[2] > 0 && (n[3] == 0 || (n[5] > 0 && n[6] >= GuestRecord.Size))
            ? new GuestLayout(n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7])
            : null;
}
