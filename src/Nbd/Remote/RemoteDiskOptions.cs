using System.Net;

namespace Godwit.Nbd.Remote;

/// <summary>Where a <see cref="RemoteDisk"/> is and how it is reached.</summary>
/// <param name="Server">The server's address.</param>
/// <param name="Export">Name of the export.</param>
/// <param name="FirstEpoch">Above every epoch an earlier process has used for this export, and at least 1; each time the link is made
/// again one more is used.</param>
public sealed record RemoteDiskOptions(EndPoint Server, string Export, long FirstEpoch)
{
    /// <summary>Set: the link is encrypted (TLS 1.3), or not made. Called each time a link is made, so that certificates that were renewed count
    /// from then on; what it returns belongs to the disk. When it throws a <see cref="Storage.StorageException"/>, what it returned before stays in
    /// use and <see cref="OnChange"/> is told why.</summary>
    public Func<NbdTlsIdentity>? Tls { get; init; }

    /// <summary>The disk as error messages name it.</summary>
    public string Path => $"nbd:{Server}:{Export}";

    /// <summary>The name the server's certificate has to be for; the address when nothing else is said.</summary>
    public string? ServerName { get; init; }

    /// <summary>Connections; fewer where the server's are not coherent.</summary>
    public int Connections { get; init; } = 4;

    /// <summary>The link counts as broken when requests are on their way and nothing has moved for so long. Twice the time may pass
    /// before it is seen.</summary>
    public TimeSpan SilenceLimit { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long one attempt to make the link may take.</summary>
    public TimeSpan ConnectLimit { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>The wait after the first failed attempt, and after a link that broke soon; doubles up to five seconds.</summary>
    public TimeSpan FirstRetryAfter { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>The clock.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Is told in one sentence when the link breaks, when it is there again, and when certificates cannot be read. Must not throw.</summary>
    public Action<string>? OnChange { get; init; }
}
