using Godwit.Nbd.Protocol;

namespace Godwit.Nbd;

/// <summary>How <see cref="NbdDevice"/> connects.</summary>
public sealed record NbdClientOptions
{
    /// <summary>Set: the connection is encrypted (TLS 1.3), or not made; the server's certificate must come from one of its
    /// authorities. Stays the caller's.</summary>
    public NbdTlsIdentity? Tls { get; init; }

    /// <summary>The name the server's certificate has to be for; the address when nothing else is said. Needed on a unix
    /// socket.</summary>
    public string? ServerName { get; init; }

    /// <summary>Above zero: this client is the export's writer of that epoch. The server cuts the connections of earlier epochs first and
    /// waits until what they had asked for has ended; a server that cannot do that is refused.</summary>
    public long WriterEpoch { get; init; }

    /// <summary>The point of the export whose changes <see cref="NbdDevice.GetChangesAsync"/> tells; a server without it is not connected to.</summary>
    public string? ChangesSince { get; init; }

    /// <summary>The form to ask for; a server that does not know it is asked for the one below.</summary>
    internal NbdHeaderForm BestForm { get; init; } = NbdHeaderForm.Extended;
}
