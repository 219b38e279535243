namespace Godwit.Nbd.Protocol;

/// <summary>How requests and replies look; agreed on in the handshake.</summary>
internal enum NbdHeaderForm
{
    /// <summary>28-byte requests, simple replies.</summary>
    Simple = 0,

    /// <summary>28-byte requests; reads and block status are answered in chunks.</summary>
    Structured = 1,

    /// <summary>32-byte requests and chunks with 64-bit lengths; nothing is answered otherwise.</summary>
    Extended = 2,
}
