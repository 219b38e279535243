namespace Godwit.Nbd.Protocol;

/// <summary>Magic numbers and sizes of the NBD protocol (NBD proto.md, "Values").</summary>
internal static class NbdMagic
{
    public const ulong Init = 0x4e42444d41474943; // "NBDMAGIC"
    public const ulong Option = 0x49484156454F5054; // "IHAVEOPT"
    public const ulong OptionReply = 0x0003e889045565a9;
    public const uint Request = 0x25609513;
    public const uint SimpleReply = 0x67446698;
    public const uint StructuredReply = 0x668e33ef;
    public const uint ExtendedRequest = 0x21e41c71;
    public const uint ExtendedReply = 0x6e8a278c;

    public const ushort FixedNewstyle = 1;
    public const ushort NoZeroes = 2;

    public const int RequestLength = 28;
    public const int SimpleReplyLength = 16;
    public const int ChunkHeaderLength = 20;
    public const int ExtendedRequestLength = 32;
    public const int ExtendedChunkHeaderLength = 32;
    public const int OptionHeaderLength = 16;
    public const int OptionReplyLength = 20;

    /// <summary>Longest string the protocol allows, in bytes.</summary>
    public const int MaxStringLength = 4096;

    /// <summary>Largest payload of one request when nothing else was agreed on, and what QEMU uses: 32 MiB.</summary>
    public const int MaxPayload = 32 << 20;
}
