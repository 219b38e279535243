namespace Godwit.Nbd.Protocol;

/// <summary>Options a client sends during the handshake (NBD proto.md, "Option types").</summary>
internal enum NbdOption : uint
{
    ExportName = 1,
    Abort = 2,
    List = 3,
    StartTls = 5,
    Info = 6,
    Go = 7,
    StructuredReply = 8,
    ListMetaContext = 9,
    SetMetaContext = 10,
    ExtendedHeaders = 11,

    /// <summary>Our own, outside the numbers of the protocol: the client is the writer of that epoch, and earlier ones are to end.
    /// Data: the export's name with its 32-bit length in front, the epoch in 64 bits. See docs/design/nbd.md.</summary>
    Supersede = 0x4757_0001,
}

/// <summary>What a server answers to an option (NBD proto.md, "Option reply types").</summary>
internal enum NbdOptionReply : uint
{
    Ack = 1,
    Server = 2,
    Info = 3,
    MetaContext = 4,
    Unsupported = ErrorBit | 1,
    Policy = ErrorBit | 2,
    Invalid = ErrorBit | 3,
    Platform = ErrorBit | 4,
    TlsRequired = ErrorBit | 5,
    Unknown = ErrorBit | 6,
    ShuttingDown = ErrorBit | 7,
    BlockSizeRequired = ErrorBit | 8,
    TooBig = ErrorBit | 9,
    ExtendedHeadersRequired = ErrorBit | 10,
    ErrorBit = 1u << 31,
}

/// <summary>Kinds of information about an export (NBD proto.md, "NBD_INFO information types").</summary>
internal enum NbdInformation : ushort
{
    Export = 0,
    Name = 1,
    Description = 2,
    BlockSize = 3,
}
