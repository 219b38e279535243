namespace Godwit.Nbd.Protocol;

/// <summary>Request types (NBD proto.md, "Request types").</summary>
internal enum NbdCommand : ushort
{
    Read = 0,
    Write = 1,
    Disconnect = 2,
    Flush = 3,
    Trim = 4,
    Cache = 5,
    WriteZeroes = 6,
    BlockStatus = 7,

    /// <summary>Makes the export larger (NBD proto.md names it; the offset is the new size, see ADR 0016).</summary>
    Resize = 8,
}

/// <summary>Flags of a request (NBD proto.md, "Command flags").</summary>
[Flags]
internal enum NbdCommandFlags : ushort
{
    None = 0,
    ForceUnitAccess = 1,
    NoHole = 2,
    DoNotFragment = 4,
    RequestOne = 8,
    FastZero = 16,

    /// <summary>With extended headers: the length is that of a payload that follows.</summary>
    PayloadLength = 32,
}

/// <summary>What a server offers for an export (NBD proto.md, "Transmission flags").</summary>
[Flags]
internal enum NbdTransmissionFlags : ushort
{
    None = 0,
    HasFlags = 1,
    ReadOnly = 2,
    SendFlush = 4,
    SendFua = 8,
    Rotational = 16,
    SendTrim = 32,
    SendWriteZeroes = 64,
    SendDf = 128,
    CanMultiConn = 256,
    SendResize = 512,
    SendCache = 1024,
    SendFastZero = 2048,
    BlockStatusPayload = 4096,
}

/// <summary>Chunk types of a structured reply (NBD proto.md, "Structured reply types").</summary>
internal enum NbdChunk : ushort
{
    None = 0,
    OffsetData = 1,
    OffsetHole = 2,
    BlockStatus = 5,
    BlockStatusExtended = 6,
    Error = ErrorBit | 1,
    ErrorOffset = ErrorBit | 2,
    ErrorBit = 1 << 15,
}

/// <summary>States of the base:allocation context (NBD proto.md, "Metadata context base:allocation").</summary>
[Flags]
internal enum AllocationFlags : uint
{
    Data = 0,
    Hole = 1,
    Zero = 2,
}

/// <summary>States of a godwit:dirty context; the same as those of QEMU's qemu:dirty-bitmap.</summary>
[Flags]
internal enum ChangeFlags : uint
{
    None = 0,
    Dirty = 1,
}
