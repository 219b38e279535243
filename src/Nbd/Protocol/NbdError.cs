namespace Godwit.Nbd.Protocol;

/// <summary>Error numbers a reply may carry (NBD proto.md, "Error values"); the numbers of Linux.</summary>
internal enum NbdError : uint
{
    None = 0,
    NotPermitted = 1,
    Io = 5,
    NoMemory = 12,
    Invalid = 22,
    NoSpace = 28,
    Overflow = 75,
    NotSupported = 95,
    ShuttingDown = 108,
}
