using Godwit.Nbd.Protocol;

namespace Godwit.Fuzz.Nbd;

/// <summary>What must become of a request.</summary>
internal enum Verdict
{
    /// <summary>Done, unless the device fails.</summary>
    Served = 0,

    /// <summary>An error, and the device hears nothing of it.</summary>
    Refused = 1,

    /// <summary>One of the two: it depends on what is under way.</summary>
    Either = 2,
}

/// <summary>A request of a session, and what has been seen of it.</summary>
/// <param name="header">Its header.</param>
/// <param name="payload">As much of its payload as was sent.</param>
/// <param name="verdict">What must become of it.</param>
internal sealed class AskedRequest(RequestHeader header, ReadOnlyMemory<byte> payload, Verdict verdict)
{
    public RequestHeader Header { get; } = header;

    public ReadOnlyMemory<byte> Payload { get; } = payload;

    public Verdict Verdict { get; } = verdict;

    /// <summary>All of it was sent.</summary>
    public bool IsComplete { get; } = (ulong)payload.Length == header.PayloadLength;

    /// <summary>Bytes of the range a block status asks for; of any other request, its own.</summary>
    public ulong Range { get; init; } = header.Length;

    /// <summary>The contexts a block status is to tell.</summary>
    public uint Contexts { get; init; }

    /// <summary>Contexts told so far.</summary>
    public uint Told { get; set; }

    /// <summary>Bytes of a change that are on the device.</summary>
    public long Done { get; set; }

    /// <summary>Growth has been done.</summary>
    public bool HasGrown { get; set; }

    /// <summary>The device failed it.</summary>
    public bool HasFailed { get; set; }

    /// <summary>Its reply has come whole.</summary>
    public bool IsAnswered { get; set; }

    /// <summary>The reply says that it was done.</summary>
    public bool Succeeded { get; set; }

    /// <summary>An error is in its reply.</summary>
    public bool HasError { get; set; }

    /// <summary>Bytes of data in its reply.</summary>
    public long Received { get; set; }

    /// <summary>Changes the disk.</summary>
    public bool IsChange => Header.Command is NbdCommand.Write or NbdCommand.Trim or NbdCommand.WriteZeroes;

    /// <summary>Whether something that happened on the device is the next part of this request.</summary>
    public bool Fits(JournalEntry entry)
    {
        if (Verdict == Verdict.Refused || entry.Command != Header.Command || HasFailed)
            return false;
        if (entry.Command == NbdCommand.Resize)
            return !HasGrown && IsComplete && (ulong)entry.Offset == Header.Offset;
        var at = (ulong)Done;
        if ((ulong)entry.Offset != Header.Offset + at || (ulong)entry.Length > Header.Length - at)
            return false;

        // Data are on the device before all of them have come only where they went through a pipe; nothing else is done by halves.
        return entry.Command == NbdCommand.Write
            ? at + (ulong)entry.Bytes.Length <= (ulong)Payload.Length && Payload.Span[(int)at..].StartsWith(entry.Bytes)
            : IsComplete && (ulong)entry.Length == Header.Length;
    }
}
