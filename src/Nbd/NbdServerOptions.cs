namespace Godwit.Nbd;

/// <summary>Limits of a server.</summary>
public sealed record NbdServerOptions
{
    /// <summary>How long a client may take for the whole handshake before it is cut off.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long connections may go on answering once the server is stopped, before they are cut off.</summary>
    public TimeSpan StopTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Connections served at once; more are closed as they come. Each costs a thread and about 2 MiB of address space.</summary>
    public int MaxConnections { get; init; } = 256;

    /// <summary>Set: only encrypted connections are served (TLS 1.3), and only clients whose certificate comes from one of its
    /// authorities. Stays the caller's. Each connection then costs two threads more.</summary>
    public NbdTlsIdentity? Tls { get; init; }

    /// <summary>The clock.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Is told in one sentence why a connection ended other than by the client's wish. Called on that
    /// connection's thread; must not throw.</summary>
    public Action<string>? OnProblem { get; init; }
}
