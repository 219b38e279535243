using System.Buffers.Binary;
using System.Numerics;

namespace Godwit.Nbd.Server;

/// <summary>The payload of a block status that asks for some of the session's contexts: the length of the range, then the
/// numbers of the contexts.</summary>
internal static class StatusFilter
{
    /// <summary>Whether a payload can be one: nobody has more contexts to name than there are.</summary>
    public static bool IsPossible(ulong payloadLength) =>
        payloadLength is >= 12 and <= 8 + (4 * ExportContexts.MaxCount) && payloadLength % 4 == 0;

    /// <summary>Takes a payload apart. False when a context is not one of the session's, or is named twice.</summary>
    /// <param name="payload">The payload, whose length <see cref="IsPossible"/>.</param>
    /// <param name="offered">The session's contexts.</param>
    /// <param name="length">Bytes of the range.</param>
    /// <param name="contexts">What is asked for.</param>
    public static bool TryParse(ReadOnlySpan<byte> payload, StatusContexts offered, out ulong length, out StatusContexts contexts)
    {
        length = BinaryPrimitives.ReadUInt64BigEndian(payload);
        contexts = StatusContexts.None;
        for (payload = payload[8..]; !payload.IsEmpty; payload = payload[4..])
        {
            var context = (StatusContexts)BinaryPrimitives.ReadUInt32BigEndian(payload);
            if (!BitOperations.IsPow2((uint)context) || (context & offered & ~contexts) == 0)
                return false;
            contexts |= context;
        }

        return true;
    }
}
