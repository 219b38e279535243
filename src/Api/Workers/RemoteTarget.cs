namespace Godwit.Api.Workers;

/// <summary>An export on another host that is to become the copy of a disk. The link is always encrypted: the worker shows the certificate in the VM's
/// folder (<c>tls/cert.pem</c>, <c>tls/key.pem</c>) and believes the authorities in <c>tls/ca.pem</c>.</summary>
/// <param name="Address">An IP address; names are the host's to look up.</param>
/// <param name="Port">TCP port; one of <see cref="ParentFolders.LinkPorts"/>.</param>
/// <param name="Export">Name of the export; of the disk's size and sector size, and writable.</param>
/// <param name="ServerName">The name the server's certificate has to be for; null for the address.</param>
/// <param name="Connections">Connections, 1 to 16.</param>
public sealed record RemoteTarget(string Address, int Port, string Export, string? ServerName = null, int Connections = 4);
