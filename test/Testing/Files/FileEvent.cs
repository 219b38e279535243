namespace Godwit.Testing.Files;

/// <summary>What a file was asked to do.</summary>
public enum FileOperation
{
    Read = 0,
    Write = 1,
    Flush = 2,
    SetLength = 3,
    PunchHole = 4,
    AllocateZeroes = 5,
    GetExtent = 6,
}

/// <summary>One completed change of a <see cref="CrashFile"/>.</summary>
/// <param name="Operation">What was done; never a read.</param>
/// <param name="Offset">First byte; the new length for set-length; for a flush the number of events it covers.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Bytes">What was written, for a write.</param>
public sealed record FileEvent(FileOperation Operation, long Offset, long Length, ReadOnlyMemory<byte> Bytes)
{
    public override string ToString() => Operation switch
    {
        FileOperation.Flush => "flush",
        FileOperation.SetLength => $"set length {Offset}",
        _ => $"{Operation} {Length} at {Offset} (0x{Offset:x})",
    };
}
