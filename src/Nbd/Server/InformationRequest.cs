using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Server;

/// <summary>What INFO and GO carry: a name, and what the client wants to know.</summary>
internal ref struct InformationRequest
{
    /// <summary>Sectors a client that does not ask gets along with: the kernel and everything made for disks.</summary>
    public const int AssumedSector = 512;

    public ReadOnlySpan<byte> Name { get; private set; }

    public bool CanonicalName { get; private set; }

    public bool Description { get; private set; }

    public bool BlockSize { get; private set; }

    /// <summary>Reads it. False when the lengths inside do not add up.</summary>
    public static bool TryRead(ReadOnlySpan<byte> data, out InformationRequest request)
    {
        request = default;
        var text = new OptionText(data);
        if (!text.TryString(out var name) || !text.TryUInt16(out var wanted))
            return false;
        request.Name = name;
        for (var i = 0; i < wanted; i++)
        {
            if (!text.TryUInt16(out var information))
                return false;
            request.CanonicalName |= (NbdInformation)information == NbdInformation.Name;
            request.Description |= (NbdInformation)information == NbdInformation.Description;
            request.BlockSize |= (NbdInformation)information == NbdInformation.BlockSize;
        }

        return text.IsAtEnd;
    }
}
